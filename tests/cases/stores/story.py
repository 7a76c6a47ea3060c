"""The store of a list in the midst of its life, as SQL: one text for each schema, made by its code.

The text of the schema that the code here has, to be kept before the next one is written:

    .venv/bin/python -m tests.cases.stores.story > tests/cases/stores/schema2.sql

Posts 1 to 6 to Alice, Bob and Carol, of whom Alice has had her copy of each but the fourth:
1 had a damaged entry of Carol's, so hers is held; 2 was refused for Bob, and is put off for Carol;
3 is delivered; 4 is held as a whole; of 5 Bob's was under way when the server was killed, and
Carol's wasn't tried; of 6 two stand in their shard. All keys come of names, so that readers of
the text can open what is sealed in it.
"""

import asyncio
import hashlib
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from listserver.limits import FAULT_DELAY, FAULTS
from listserver.model import Claim, PostId
from listserver.outcomes import Answer, Phase, Refused
from recrypt_core.documents import Profile, sign_profile
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from tests.builders import NOW, TEAM, Group, Person, new_membership, signed_group_key
from tests.fakes import Bench, administrator, open_bench
from tests.mails import mail, sealed

ALICE: Final = "alice@example.org"
BOB: Final = "bob@example.org"
CAROL: Final = "carol@example.org"
LATER: Final = Refused(Phase.RCPT, 451, "4.2.0 try later")
NEVER: Final = Refused(Phase.RCPT, 550, "5.1.1 unknown")


@dataclass(frozen=True)
class Told:
    """Who and what the story is about."""

    group: Group
    people: dict[str, Person]


def people_and_group() -> Told:
    """Make everybody's keys of their names."""
    people = {address: _person(address) for address in (ALICE, BOB, CAROL)}
    master = _person(TEAM)
    key = PrivateKey(Curve.X25519, _secret("group key", TEAM))
    return Told(Group(master, key, signed_group_key(master, key)), people)


def content(post: int) -> bytes:
    """Give what a post says."""
    return b"Subject: post %d\r\n\r\nThe secret is out.\r\n" % post


async def post(bench: Bench, told: Told, number: int) -> None:
    """Post."""
    envelope = sealed(told.group.key.public, content=content(number))
    reply = await bench.post(mail(envelope.mmx(), message_id=f"<{number}@example.org>"))
    assert reply.positive


async def _tell(bench: Bench) -> bool:
    """Let it all happen; False if the draw was another than the story has."""
    told = people_and_group()
    alice, *others = told.people.values()
    members = [new_membership(each, told.group.key) for each in others]
    await bench.create(told.group, administrator(alice, told.group), *members, authorised=alice)
    await post(bench, told, 1)
    await _tell_of_a_damaged_entry(bench)
    await post(bench, told, 2)
    await _deliver(bench, {BOB: NEVER, CAROL: LATER})
    await post(bench, told, 3)
    await _deliver(bench, {})
    await post(bench, told, 4)
    async with bench.store.begin() as work:
        await work.hold_post(PostId(4))
    await post(bench, told, 5)
    for claim, to in await _claimed(bench, 3):
        if to == ALICE:
            await _attempt(bench, claim)
        elif to == CAROL:
            await bench.delivering.record([bench.delivering.untried(claim)])
    await post(bench, told, 6)
    ((claim, to),) = await _claimed(bench, 1)
    await _attempt(bench, claim)
    return to == ALICE


async def _tell_of_a_damaged_entry(bench: Bench) -> None:
    for _ in range(FAULTS):
        for claim, to in await _claimed(bench, 3):
            if to == CAROL:
                fault = bench.delivering.faulted(claim, ValueError())
                await bench.delivering.record([fault])
            else:
                await _attempt(bench, claim)
        bench.clock.advance(FAULT_DELAY)


async def _deliver(bench: Bench, answers: dict[str, Answer]) -> None:
    bench.courier._scripts.update({to: [answer] for to, answer in answers.items()})
    for claim, _ in await _claimed(bench, 3):
        await _attempt(bench, claim)


async def _claimed(bench: Bench, limit: int) -> list[tuple[Claim, str]]:
    """Claim, and tell whose."""
    batch = await bench.delivering.claim(limit)
    assert batch is not None
    found = []
    async with bench.store.begin() as work:
        for claim in batch.claims:
            (half,) = await work.halves_of(claim.post, [claim.member]) or (None,)
            assert half is not None
            found.append((claim, half.address))
    return found


async def _attempt(bench: Bench, claim: Claim) -> None:
    frame = bench.delivering._frames[claim.post]
    await bench.delivering.record([await bench.attempt(frame, claim)])


def _person(address: str) -> Person:
    master, online = (
        SignaturePrivateKey(SignatureCurve.ED25519, _secret(kind, address))
        for kind in ("master", "online")
    )
    devices = () if address == TEAM else (PrivateKey(Curve.X25519, _secret("device", address)),)
    profile = Profile(
        identifier=master.public.udf,
        master_signature_key=master.public,
        online_signature_keys=(online.public,),
        encryption_keys=tuple(key.public for key in devices),
        accounts=(address,),
        updated=NOW,
    )
    return Person(sign_profile(profile, master), master, online, devices)


def _secret(kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{kind} of {name}".encode()).digest()


async def _written(folder: Path) -> str | None:
    async with open_bench(folder) as bench:
        if not await _tell(bench):
            return None
        file = bench.file
    with closing(sqlite3.connect(file)) as store:
        ((version,),) = store.execute("PRAGMA user_version")
        return "\n".join((*store.iterdump(), f"PRAGMA user_version = {version};\n"))


def main() -> None:
    """Write the text; the order of members is drawn, so it may take a few stores."""
    text = None
    while text is None:
        with TemporaryDirectory() as folder:
            text = asyncio.run(_written(Path(folder)))
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
