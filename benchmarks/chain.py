"""Measure how long it takes to verify a chain, change by change, and in how much memory.

    python -m benchmarks.chain [--changes 10000] [--parts 10] [--json]

The first change creates the group; every further one adds one member or, each third one, replaces
one: with a new split, as after a device was lost. They are made first, by a process of their own.
Then they are read, a line at a time, as a client replays them. Each part of the chain has its line:
processor time for each change, its ratio to the two signatures that are verified in it, and
the memory of the process after it. If verifying is linear, the times stay the same down the table;
what memory grows by is the roster.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from recrypt_client import entries
from recrypt_core import chain
from recrypt_core.documents import (
    NO_HEAD,
    CreateAuthorization,
    GroupKey,
    Head,
    Privilege,
    Profile,
    RecryptionGroup,
    VerifiedProfile,
    sign_create,
    sign_group_key,
    sign_profile,
)
from recrypt_core.encoding import read_json, write_json
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import AddMember, Change, CreateGroup, UpdateMember, write_message
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, Link, read_signed, sign_request
from recrypt_core.wire import from_json

NOW: Final = datetime(2026, 11, 22, tzinfo=UTC)
URL: Final = "https://lists.example"
GROUP: Final = "team@lists.example"
LINE_OCTETS: Final = 2**20
EVERY: Final = (Privilege.RECRYPT, Privilege.ADMIN, Privilege.SUPER)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one part of the chain took."""

    changes: int
    members: int
    microseconds: float
    ratio: float
    mebibytes: float


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Verifying a chain, change by change.")
    parser.add_argument("--changes", type=int, default=10_000, help="(default 10000)")
    parser.add_argument("--parts", type=int, default=10, help="lines of the table (default 10)")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chain"
        maker = multiprocessing.get_context("spawn").Process(
            target=make_chain, args=(file, asked.changes)
        )
        maker.start()
        maker.join()
        found = list(measured(file, max(1, asked.changes // asked.parts)))
    if asked.json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    else:
        sys.stdout.write(table(found) + "\n")
    return 0


def measured(file: Path, part: int) -> Iterator[Figures]:
    """Replay a chain, and give the figures of each part of it."""
    signature = signature_microseconds()
    state: chain.GroupState | None = None
    changes = 0
    with file.open("rb") as lines:
        while octets := list(islice(lines, part)):
            begun = time.process_time()
            for line in octets:
                read = chain.read_change(from_json(Jws, read_json(line, limit=LINE_OCTETS)))
                state = chain.begin(read) if state is None else chain.advance(state, read)
            spent = (time.process_time() - begun) / len(octets) * 1e6
            changes += len(octets)
            members = 0 if state is None else len(state.members)
            yield Figures(changes, members, spent, spent / signature / 2, resident_mebibytes())


def signature_microseconds() -> float:
    """Measure one verification by itself, over as much as a change has."""
    key, octets, times = signature_key(), bytes(4096), []
    signed = sign_request(octets, key, url=URL, now=NOW)
    read = read_signed(signed)
    for _ in range(200):
        begun = time.process_time()
        read.verify(key.public)
        times.append(time.process_time() - begun)
    return statistics.median(times) * 1e6


def resident_mebibytes() -> float:
    """Give what this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def table(found: list[Figures]) -> str:
    """Lay the figures out, a line for each part."""
    heads = ("changes", "members", "CPU us/change", "of 2 signatures", "MiB resident")
    lines = ["".join(f"{head:>17}" for head in heads)]
    for each in found:
        cells = (
            f"{each.changes:,}",
            f"{each.members:,}",
            f"{each.microseconds:,.0f}",
            f"{each.ratio:.1f}",
            f"{each.mebibytes:,.1f}",
        )
        lines.append("".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


# --- the chain


def make_chain(file: Path, count: int) -> None:
    """Write a chain of so many changes, a line each."""
    key, online, master = PrivateKey.generate(Curve.X25519), signature_key(), signature_key()
    administrator, admin_key = new_profile("alice@example.org")
    group = sign_profile(
        Profile(
            identifier=master.public.udf,
            master_signature_key=master.public,
            online_signature_keys=(online.public,),
            accounts=(GROUP,),
            updated=NOW,
        ),
        master,
    )
    first = creation(group, key, online, (administrator, admin_key))
    head = NO_HEAD
    with file.open("wb") as lines:
        for seq, message in enumerate(islice(changes(first, group, key), count), start=1):
            signer = online if seq == 1 else admin_key
            link = Link(group.identifier, seq, head.hash)
            signed = sign_request(write_message(message), signer, url=URL, now=NOW, link=link)
            lines.write(write_json(signed.json()) + b"\n")
            head = Head(seq, signed.hash)


def changes(first: CreateGroup, group: VerifiedProfile, key: PrivateKey) -> Iterator[Change]:
    """Give changes without end."""
    yield first
    added: list[VerifiedProfile] = []
    for seq in range(10**9):
        if seq % 3 == 2:
            made = entries.member(added[seq // 3], key, privileges=(Privilege.RECRYPT,))
            yield UpdateMember(recryption_group=group.identifier, member_entry=(made.entry,))
            continue
        profile, _ = new_profile(f"member{seq}@example.org")
        added.append(profile)
        made = entries.member(profile, key, privileges=(Privilege.RECRYPT,))
        yield AddMember(recryption_group=group.identifier, member_entry=(made.entry,))


def creation(
    group: VerifiedProfile,
    key: PrivateKey,
    online: SignaturePrivateKey,
    administrator: tuple[VerifiedProfile, SignaturePrivateKey],
) -> CreateGroup:
    """Give the change that creates the group."""
    profile, admin_key = administrator
    document = GroupKey(
        group_name=GROUP,
        group_identifier=group.identifier,
        encryption_key=key.public,
        generation=1,
        created=NOW,
        not_after=NOW + timedelta(days=180),
        head=NO_HEAD,
    )
    authorization = CreateAuthorization(
        group_identifier=group.identifier,
        group_name=GROUP,
        url=URL,
        iat=int(NOW.timestamp()),
    )
    return CreateGroup(
        recryption_group=RecryptionGroup(
            group_name=GROUP,
            master=group.signed,
            current_encryption_key=sign_group_key(document, online).signed,
            members=(entries.member(profile, key, privileges=EVERY).entry,),
        ),
        authorization=sign_create(authorization, admin_key),
    )


def new_profile(address: str) -> tuple[VerifiedProfile, SignaturePrivateKey]:
    """Make somebody with one device, and the online key."""
    master, online = signature_key(), signature_key()
    profile = Profile(
        identifier=master.public.udf,
        master_signature_key=master.public,
        online_signature_keys=(online.public,),
        encryption_keys=(PrivateKey.generate(Curve.X25519).public,),
        accounts=(address,),
        updated=NOW,
    )
    return sign_profile(profile, master), online


def signature_key() -> SignaturePrivateKey:
    """Draw a key."""
    return SignaturePrivateKey.generate(SignatureCurve.ED25519)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
