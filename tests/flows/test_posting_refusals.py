"""What a list refuses: the exact code and words, and nothing of it is kept."""

import base64
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from listserver import replies
from recrypt_core.encoding import JsonObject, write_b64url
from recrypt_core.envelope import Envelope
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import new_membership, new_person, recryption_for
from tests.fakes import Bench, open_bench
from tests.lists import Team, new_team
from tests.mails import mail, mixed, part, sealed, with_head

ADVICE = "Encrypt it; get the key with: recrypt key team@lists.example"
Make = Callable[[Team], bytes]


def good(team: Team) -> Envelope:
    return sealed(team.key.public)


def with_epk(team: Team, epk: JsonObject) -> bytes:
    """Write a post whose epk is another."""
    envelope = good(team)
    recipient = envelope.recipients[0].json()
    assert isinstance(recipient["header"], dict)
    recipient["header"]["epk"] = epk
    return mail(with_head(envelope, recipients=[recipient]))


def x25519(octets: bytes) -> JsonObject:
    return {"kty": "OKP", "crv": "X25519", "x": write_b64url(octets)}


def with_protected(team: Team, **members: str) -> bytes:
    """Write a post with more in its protected header."""
    octets = json.dumps({"enc": "A256GCM", **members}).encode()
    return mail(with_head(good(team), protected=write_b64url(octets)))


def duplicated(team: Team) -> bytes:
    line, _, ciphertext = good(team).mmx().partition(b"\n")
    return mail(line[:-1] + b',"iv":"AAAAAAAAAAAAAAAA"}\n' + ciphertext)


def come_back(team: Team) -> bytes:
    envelope = good(team)
    membership = new_membership(new_person("bob@example.org"), team.key)
    copy = dataclasses.replace(envelope, recryption=recryption_for(membership, envelope))
    return mail(copy.mmx())


def broken_base64(team: Team) -> bytes:
    whole = mail(good(team).mmx())
    at = whole.index(b"base64\r\n\r\n") + 30
    return whole[:at] + b"*" + whole[at + 1 :]


def to_another_curve(team: Team) -> bytes:
    return with_epk(team, PrivateKey.generate(Curve.P256).public.jwk())


PNG = b"Content-Type: image/png\r\n\r\nx"
LONG_TEXT = b"Content-Type: text/plain\r\n\r\n" + b"x" * 9000
PRIME = (2**255 - 19).to_bytes(32, "little")

REFUSED: dict[str, tuple[Make, str]] = {
    "in clear": (
        lambda _: b"Subject: x\r\n\r\nhello\r\n",
        f"It holds no part that is encrypted to the list. {ADVICE}",
    ),
    "to another key": (
        lambda _: mail(sealed(PrivateKey.generate(Curve.X25519).public).mmx()),
        f"It is not encrypted to a key of this list. {ADVICE}",
    ),
    "two encrypted parts": (
        lambda team: mixed(part(good(team).mmx()), part(good(team).mmx())),
        "It holds more than one encrypted part",
    ),
    "a picture beside": (
        lambda team: mixed(part(good(team).mmx()), PNG),
        "There is content beside the envelope",
    ),
    "much text beside": (
        lambda team: mixed(LONG_TEXT, part(good(team).mmx())),
        "There is content beside the envelope",
    ),
    "broken base64": (broken_base64, "The transfer encoding of the encrypted part is"),
    "not an envelope": (lambda _: mail(b"{}"), "Its envelope is no good: an envelope without"),
    "not JSON": (lambda _: mail(b"hello\n\0\1"), "Its envelope is no good: not JSON."),
    "low-order epk": (
        lambda team: with_epk(team, x25519(b"\1" + bytes(31))),
        "Its envelope is no good: a public key of low order.",
    ),
    "non-canonical epk": (
        lambda team: with_epk(team, x25519(PRIME)),
        "Its envelope is no good: ",
    ),
    "epk with its top bit set": (
        lambda team: with_epk(team, x25519(b"\t" + bytes(30) + b"\x80")),
        "Its envelope is no good: ",
    ),
    "epk of another curve": (to_another_curve, "Its epk is of another curve than the list's key."),
    "zip": (lambda team: with_protected(team, zip="DEF"), "Its envelope is no good: an envelope"),
    "crit": (lambda team: with_protected(team, crit="x"), "Its envelope is no good: an envelope"),
    "PBES2": (
        lambda team: with_protected(team, alg="PBES2-HS256+A128KW"),
        "Its envelope is no good: a header name that stands in two headers.",
    ),
    "duplicate members": (duplicated, "Its envelope is no good: JSON with a duplicate member."),
    "two keys of the list": (
        lambda team: mail(sealed(team.key.public, team.key.public).mmx()),
        "It is encrypted to two keys of this list.",
    ),
    "too long a line": (
        lambda team: mail(with_head(good(team), aad="a" * 32_000)),
        "The envelope has too much beside its ciphertext.",
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", REFUSED)
async def test_a_post_is_refused_with_554_and_leaves_nothing(bench: Bench, name: str) -> None:
    make, words = REFUSED[name]
    said = str(await bench.post(make(await new_team(bench))))
    assert said.startswith(f"554 5.6.0 {words}")
    await nothing_is_stored(bench)


@pytest.mark.asyncio
@pytest.mark.parametrize("bears_list_id", [False, True])
async def test_a_loop_or_replay_is_refused_with_its_own_code(
    bench: Bench, bears_list_id: bool
) -> None:
    team = await new_team(bench)
    list_id = ["List-Id: The team <TEAM.lists.example>"]
    made = mail(good(team).mmx(), fields=list_id) if bears_list_id else come_back(team)
    said = await bench.post(made)
    assert said == replies.LOOP
    assert str(said).startswith("550 5.4.6 This mail has been through this list")
    await nothing_is_stored(bench)


@pytest.mark.asyncio
@pytest.mark.parametrize("recryption", [{}, [], "x", 0, {"EncryptedPartial": {}}])
async def test_whatever_a_recryption_is_it_is_a_loop(bench: Bench, recryption: object) -> None:
    team = await new_team(bench)
    assert await bench.post(mail(with_head(good(team), recryption=recryption))) == replies.LOOP
    line, _, ciphertext = good(team).mmx().partition(b"\n")
    null = line[:-1] + b',"recryption":null}\n' + ciphertext
    assert await bench.post(mail(null)) == replies.LOOP
    await nothing_is_stored(bench)


@pytest.mark.asyncio
async def test_a_copy_as_it_was_relayed_is_refused_when_it_comes_back(bench: Bench) -> None:
    team = await new_team(bench)
    assert (await bench.post(mail(good(team).mmx()))).positive
    await bench.relay_all()
    (copy,) = bench.courier.sent
    assert await bench.post(b"".join(copy.parts)) == replies.LOOP


@pytest.mark.asyncio
async def test_the_size_that_counts_is_the_finished_copys(tmp_path: Path) -> None:
    sizes: list[int] = []
    for most in (200_000, 0):
        limit = most or sizes[0]
        folder = tmp_path / str(most)
        folder.mkdir()
        async with open_bench(folder, post_octets=limit) as bench:
            team = await new_team(bench)
            assert (
                await bench.post(mail(sealed(team.key.public, content=bytes(999)).mmx()))
            ).positive
            await bench.relay_all()
            sizes.append(len(b"".join(bench.courier.sent[0].parts)))
            too_large = sealed(team.key.public, content=bytes(999 + limit - sizes[-1] + 57))
            said = await bench.post(mail(too_large.mmx()))
            assert str(said) == f"552 5.3.4 Too large: a copy of it would be over {limit} octets."
            assert await bench.count("contents") == await bench.count("posts") == 1
    assert sizes[0] == sizes[1]


async def nothing_is_stored(bench: Bench) -> None:
    for table in ("posts", "shards", "deliveries", "contents", "message_ids"):
        assert await bench.count(table) == 0, table
    assert not bench.posting.arrived.is_set()


@pytest.mark.asyncio
async def test_no_refusal_repeats_what_was_sent_or_names_a_member(bench: Bench) -> None:
    team = await new_team(bench)
    for make, _ in REFUSED.values():
        said = str(await bench.post(make(team)))
        assert "example.org" not in said
        assert base64.b64encode(team.key.public.x).decode() not in said
    assert "example.org" not in str(bench.log.events)
