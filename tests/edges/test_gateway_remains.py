"""What is left in memory of a session that is over: nothing, and at once.

Otherwise who sends most of a large mail and hangs up, again and again, would have us keep all of it
until Python next looks for rings, though at the door its room counts as free.
"""

import asyncio
import gc
import ssl
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doors import OPENING, SETTINGS, Doorway, Sender, door, make_certificate

GREETING, MAIL, RECIPIENT, DATA = OPENING
POST = b"Subject: words\r\n\r\nwords\r\n"


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Leave what is in a ring where it is."""
    gc.disable()
    yield
    gc.enable()


class Watch:
    """Tells when the only session at a door is freed."""

    def __init__(self, it: Doorway) -> None:
        self._gone = asyncio.Event()
        (guest,) = it.gateway.door.guests
        self._guest = weakref.ref(guest, lambda _: self._gone.set())

    async def is_freed(self) -> bool:
        """Wait a while for it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), 2)
        return self._guest() is None


async def is_freed(it: Doorway, sender: Sender) -> bool:
    """Hang up, and tell whether the only session is freed."""
    watch = Watch(it)
    sender.writer.close()
    return await watch.is_freed()


@pytest.mark.asyncio
@pytest.mark.parametrize("lmtp", [False, True])
async def test_a_session_is_freed_when_its_sender_hangs_up(lmtp: bool) -> None:
    async with door() as it:
        sender = await it.sender(lmtp=lmtp)
        await sender.reply()
        assert await is_freed(it, sender)


@pytest.mark.asyncio
@pytest.mark.parametrize("said", [(b"QUIT\r\n",), (b"BDAT 1\r\n",), (b"A" * 5000,)])
async def test_a_session_is_freed_that_was_parted_with(said: tuple[bytes, ...]) -> None:
    async with door() as it:
        sender = await it.greeted()
        for each in said:
            sender.send(each)
        assert await is_freed(it, sender)


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [POST, POST * 2000, POST * 8000])
async def test_what_came_of_a_mail_is_freed_when_its_sender_hangs_up_in_its_midst(
    content: bytes,
) -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        sender.send(content)
        await sender.writer.drain()
        assert await is_freed(it, sender)


@pytest.mark.asyncio
async def test_a_session_is_freed_after_its_mail_was_answered() -> None:
    async with door() as it:
        sender = await it.sender()
        await sender.begin()
        assert (await sender.post(POST + b".\r\n")).startswith("250")
        assert await is_freed(it, sender)


@pytest.mark.asyncio
async def test_a_mail_in_hand_is_taken_and_then_its_session_freed_if_the_sender_is_gone() -> None:
    async with door() as it:
        it.reception.may_go_on.clear()
        sender = await it.sender()
        await sender.begin()
        sender.send(POST + b".\r\n")
        await it.reception.begun.wait()
        watch = Watch(it)
        sender.writer.write_eof()
        assert await sender.reader.read() == b""  # the session has ended
        it.reception.may_go_on.set()
        assert await watch.is_freed()
        assert it.reception.received == [(POST, "team", False)]
        assert it.log.events == []


@pytest.mark.asyncio
async def test_a_session_over_tls_is_freed(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    async with door(replace(SETTINGS, tls_certificate=certificate, tls_key=key)) as it:
        sender = await it.greeted()
        await sender.ask("STARTTLS")
        await sender.start_tls(ssl.create_default_context(cafile=str(certificate)))
        await sender.post(GREETING)
        assert await is_freed(it, sender)
