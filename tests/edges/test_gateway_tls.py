"""STARTTLS at the door (RFC 3207): what it brings, and that nothing comes in with it."""

import asyncio
import dataclasses
import smtplib
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from listserver import limits, replies
from listserver.config import SmtpSettings
from listserver.edges.connections import Connection
from tests.doors import HERE, OPENING, SETTINGS, Doorway, Sender, door, make_certificate

MEBIBYTE = (b"A" * 1022 + b"\r\n") * 1024


@pytest.fixture
def settings(tmp_path: Path) -> SmtpSettings:
    certificate, key = make_certificate(tmp_path)
    return dataclasses.replace(
        SETTINGS, max_post_octets=2**21, tls_certificate=certificate, tls_key=key
    )


@pytest.fixture
def trusting(settings: SmtpSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(settings.tls_certificate))


async def offered(sender: Sender, verb: str = "EHLO") -> set[str]:
    """Greet, and give the words of the answer."""
    sender.send(f"{verb} client.example\r\n".encode())
    words = set()
    while True:
        line = (await sender.reader.readline()).decode()
        words.add(line[4:].split()[0])
        if line[3] == " ":
            return words


@pytest.mark.asyncio
@pytest.mark.parametrize("lmtp", [False, True])
async def test_a_mail_comes_in_over_tls(
    settings: SmtpSettings, trusting: ssl.SSLContext, lmtp: bool
) -> None:
    verb = "LHLO" if lmtp else "EHLO"
    async with door(settings) as it:
        sender = await it.sender(lmtp=lmtp)
        await sender.reply()
        assert "STARTTLS" in await offered(sender, verb)
        assert await sender.ask("STARTTLS") == str(replies.START_TLS)
        await sender.start_tls(trusting)
        # Not again, and no AUTH, for there is nobody to log in.
        assert not {"STARTTLS", "AUTH"} & await offered(sender, verb)
        assert await sender.ask("STARTTLS") == str(replies.NOT_OFFERED)
        for command in OPENING[1:]:
            await sender.post(command)
        assert await sender.post(MEBIBYTE + b".\r\n") == str(replies.ACCEPTED)
        assert it.reception.received == [(MEBIBYTE, "team", False)]
        assert await sender.ask("QUIT") == str(replies.BYE)
        assert await sender.reply() == ""


@pytest.mark.asyncio
async def test_a_stock_client_is_served_over_tls(
    settings: SmtpSettings, trusting: ssl.SSLContext
) -> None:
    async with door(settings) as it:
        await asyncio.to_thread(_send_by_smtplib, it.ports[False], trusting)
        assert it.reception.received == [(b"Subject: x\r\n\r\n", "team", False)]


def _send_by_smtplib(port: int, trusting: ssl.SSLContext) -> None:
    with smtplib.SMTP(HERE.host, port) as client:
        client.starttls(context=trusting)
        client.sendmail("alice@example.org", ["team@lists.example"], b"Subject: x\r\n\r\n")


@pytest.mark.asyncio
async def test_without_a_certificate_it_is_not_offered() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.reply()
        assert "STARTTLS" not in await offered(sender)
        assert await sender.ask("STARTTLS") == str(replies.NOT_OFFERED)


@pytest.mark.asyncio
async def test_mail_in_clear_is_taken_still(settings: SmtpSettings) -> None:
    async with door(settings) as it:
        sender = await it.sender()
        await sender.begin()
        assert await sender.post(b"Subject: x\r\n\r\n.\r\n") == str(replies.ACCEPTED)


@pytest.mark.asyncio
async def test_what_was_said_in_clear_does_not_count(
    settings: SmtpSettings, trusting: ssl.SSLContext
) -> None:
    async with door(settings) as it:
        sender = await it.sender()
        await sender.reply()
        for command in OPENING[:-1]:
            await sender.post(command)
        assert await sender.ask("STARTTLS now") == str(replies.BAD_ARGUMENT)
        await sender.ask("STARTTLS")
        await sender.start_tls(trusting)
        assert await sender.ask("DATA") == str(replies.NO_HELLO)
        assert await sender.ask("MAIL FROM:<>") == str(replies.NO_HELLO)
        await sender.ask("EHLO client.example")
        assert await sender.ask("DATA") == str(replies.NO_MAIL)


@pytest.mark.asyncio
async def test_the_budget_of_a_session_is_not_renewed(
    settings: SmtpSettings, trusting: ssl.SSLContext
) -> None:
    async with door(settings) as it:
        sender = await it.greeted()
        for _ in range(limits.SESSION_ERRORS - 1):
            await sender.ask("XYZZY")
        await sender.ask("STARTTLS")
        await sender.start_tls(trusting)
        assert await sender.ask("XYZZY") == str(replies.NOT_UNDERSTOOD)
        assert await sender.reply() == str(replies.TOO_MANY_ERRORS)


@pytest.mark.asyncio
async def test_a_command_behind_starttls_is_never_obeyed(settings: SmtpSettings) -> None:
    async with door(settings) as it:
        sender = await it.greeted()
        sender.send(b"STARTTLS\r\nMAIL FROM:<eve@example.org>\r\n" + OPENING[2])
        assert await sender.rest() == ["554 5.5.0"]
        assert it.reception.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize("octets", [b"RSET\r\n" + OPENING[0], b"\x16\x03\x01\0\x05hello"])
async def test_what_is_no_handshake_ends_the_session(settings: SmtpSettings, octets: bytes) -> None:
    async with door(settings) as it:
        sender = await it.greeted()
        assert await sender.ask("STARTTLS") == str(replies.START_TLS)
        sender.send(octets)
        assert b"250" not in await sender.reader.read()
        await _empty(it)
        assert it.log.events == [("tls-failed", {})]


@pytest.mark.asyncio
@pytest.mark.parametrize("rudely", [False, True])
async def test_who_leaves_within_the_handshake_is_gone(
    settings: SmtpSettings, rudely: bool
) -> None:
    async with door(settings) as it:
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        if rudely:
            sender.writer.transport.abort()
        else:
            sender.writer.write_eof()
        await _empty(it)


@pytest.mark.asyncio
async def test_who_never_shakes_hands_is_cut_off(
    settings: SmtpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT", timedelta(seconds=0.02))
    async with door(settings) as it:
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        sender.send(b"\x16\x03")  # so it begins
        assert await sender.reader.read() == b""
        await _empty(it)
        assert it.log.events == [("tls-failed", {})]


async def _empty(it: Doorway) -> None:
    """Wait until all sessions have ended."""
    for guest in it.gateway.door.guests:
        assert isinstance(guest, Connection)
        if guest._handler_coroutine is not None:
            await asyncio.wait({guest._handler_coroutine}, timeout=10)
    assert it.gateway.door.guests == ()


@pytest.mark.asyncio
async def test_a_stop_waits_for_no_handshake(settings: SmtpSettings) -> None:
    async with door(settings) as it:
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        await asyncio.wait_for(it.gateway.close(), 1)
        assert it.gateway.door.guests == ()


@pytest.mark.asyncio
async def test_a_commit_goes_on_when_its_sender_ends_tls(
    settings: SmtpSettings, trusting: ssl.SSLContext
) -> None:
    async with door(settings) as it:
        it.reception.may_go_on.clear()
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        await sender.start_tls(trusting)
        for command in OPENING:
            await sender.post(command)
        sender.send(b"Subject: x\r\n.\r\n")
        await it.reception.begun.wait()
        sender.writer.transport.abort()
        await _empty(it)
        it.reception.may_go_on.set()
        await it.gateway.drain()
        assert len(it.reception.received) == 1


@pytest.mark.asyncio
async def test_a_new_certificate_is_used_without_a_restart(
    settings: SmtpSettings, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    async with door(settings) as it:
        before = await it.greeted()
        await before.ask("STARTTLS")
        await before.start_tls(trusting)
        make_certificate(tmp_path)
        it.gateway.reload()
        after = await it.greeted()
        await after.ask("STARTTLS")
        await after.start_tls(ssl.create_default_context(cafile=str(settings.tls_certificate)))
        assert _certificate(after) != _certificate(before)
        assert (await before.ask("NOOP")).startswith("250")  # sessions under way go on


def _certificate(sender: Sender) -> bytes | None:
    secured = sender.writer.get_extra_info("ssl_object")
    assert isinstance(secured, ssl.SSLObject)
    return secured.getpeercert(binary_form=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("damage", ["missing", "empty", "another key", "locked key"])
async def test_a_bad_certificate_is_an_error_and_the_old_one_stays(
    settings: SmtpSettings, trusting: ssl.SSLContext, tmp_path: Path, damage: str
) -> None:
    async with door(settings) as it:
        _damage(tmp_path, damage)
        with pytest.raises(OSError, match=r"."):
            it.gateway.reload()
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        await sender.start_tls(trusting)


def _damage(folder: Path, damage: str) -> None:
    key = folder / "door.key"
    match damage:
        case "missing":
            key.unlink()
        case "empty":
            key.write_bytes(b"")
        case "another key":
            certificate = (folder / "door.crt").read_bytes()
            make_certificate(folder)
            (folder / "door.crt").write_bytes(certificate)
        case _:
            plain = serialization.load_pem_private_key(key.read_bytes(), None)
            pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            lock = serialization.BestAvailableEncryption(b"secret")
            key.write_bytes(plain.private_bytes(pem, form, lock))
