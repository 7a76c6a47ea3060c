"""Another vault key: all rows open with it, all names stay, and who dies midway leaves a pair."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from listserver.app import open_vault
from listserver.config import Config, parse_config
from listserver.edges.sqlite import open_store
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.held import Share
from listserver.model import Half, Readers
from listserver.outcomes import Phase, Refused
from listserver.rotation import Step, finish_rotation, rotate_key
from listserver.vault import KEY_OCTETS, Vault
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Envelope
from recrypt_core.errors import NotAuthentic
from recrypt_core.messages import JoinGroup, UpdateProfile, write_message
from recrypt_core.signing import sign_request
from tests.asking import asked
from tests.builders import NOW, TEAM, URL, new_group, new_membership, new_person
from tests.fakes import Bench, FixedClock, ScriptedCourier, open_bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed
from tests.returned import words_of
from tests.stored import half_of, stored_post

BOB = "bob@example.org"
REFUSED = Refused(Phase.RCPT, 550, f"5.1.1 {BOB}: unknown")
KEY = b"v" * KEY_OCTETS  # which open_bench has
SETTINGS = 'domain = "lists.example"\npublic_url = "https://lists.example"\n' \
           'operator = "postmaster@lists.example"\n'  # fmt: skip


@dataclass(frozen=True)
class Lived:
    """A stopped server's folder, and what stands in its store."""

    config: Config
    team: Team
    post: bytes

    @property
    def key_file(self) -> Path:
        """Where the key stands."""
        return Path(self.config.vault.key_file)

    @property
    def new_file(self) -> Path:
        """Where a new key stands until it takes the old one's place."""
        return self.key_file.with_name(f"{self.key_file.name}.new")


async def lived_in(folder: Path) -> Lived:
    """Make a store with a list of two, a refusal, a letter about it, who asks in, and a post."""
    (folder / "vault.key").write_bytes(write_b64url(KEY).encode() + b"\n")
    config = parse_config(SETTINGS, folder)
    async with open_bench(folder, courier=ScriptedCourier({BOB: [REFUSED]})) as bench:
        group = new_group()
        person = new_person(BOB)
        bob = new_membership(person, group.key)
        team = await new_list_of(bench, group, new_person("alice@example.org"), bob)
        newer = write_message(UpdateProfile(profile=person.changed().signed))
        sent = await bench.send(sign_request(newer, person.online, url=URL, now=NOW))
        assert sent.status == 201
        question = write_message(asked(person, bob, sealed(team.key.public)))
        sent = await bench.send(sign_request(question, person.online, url=URL, now=NOW))
        assert sent.status == 201
        await bench.post(mail(sealed(team.key.public).mmx(), message_id="<2@host.example>"))
        await bench.relay_all()
        wants = write_message(JoinGroup(group_name=TEAM, account_name=BOB, profile=person.signed))
        sent = await bench.send(sign_request(wants, person.online, url=URL, now=NOW))
        assert sent.status == 201
        await bench.carry_letters()
        post = mail(sealed(team.key.public).mmx())
        assert (await bench.post(post)).positive
        await bench.notices.tell()  # a letter to Alice, of the refusal
        await hold(bench, sealed(team.key.public), half_of(bob))
    return Lived(config, team, post)


async def hold(bench: Bench, envelope: Envelope, half: Half) -> None:
    """Hold a post, which nobody has copies of."""
    post = replace(stored_post(envelope, half), held=1)
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        nobody = Readers(found.id, [], 0)
        await work.hold(nobody, post, envelope, until=NOW, share=Share.UNSIGNED)


async def check_whole(lived: Lived) -> None:
    """Check that the server works with its key file, and knows what it has had."""
    vault = open_vault(lived.config)
    store = await open_store(lived.config.store.file, vault, alone=True)
    bench = Bench(Path(lived.config.store.file), store, vault, FixedClock(), ScriptedCourier())
    async with store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        (held,), _ = await work.held_after(found.id, 0, 1)
        assert held.content_id
        assert await work.authorized(lived.team.alice.online.public.udf) is not None
    assert (await bench.post(lived.post)).positive  # known, so not sent out again
    await bench.relay_all()
    assert {each.recipient for each in bench.courier.sent} == {BOB, "alice@example.org"}
    assert len(bench.courier.sent) == 2
    await bench.carry_letters()
    letter = bench.courier.sent.pop()
    assert (letter.recipient, letter.return_path) == ("alice@example.org", "")
    assert BOB in words_of(letter, lived.team.alice)
    await store.close()
    with open_upkeep(lived.config.store.file, vault) as upkeep:
        (refused,) = upkeep.queue(NOW)
        assert refused.list_address == TEAM
        assert upkeep.codes(refused.id) == {"5.1.1": 1}


def sealed_columns(file: Path) -> dict[str, list[bytes]]:
    """Read what stands sealed in every table that has it."""
    with closing(sqlite3.connect(file)) as store:
        tables = [
            row[0]
            for row in store.execute(
                "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
                " WHERE m.type = 'table' AND c.name = 'sealed'"
            )
        ]
        return {
            table: [
                row[0]
                for row in store.execute(f"SELECT sealed FROM {table} WHERE sealed NOT NULL")  # noqa: S608 - its own names
            ]
            for table in tables
        }


def octets_of(folder: Path) -> bytes:
    """Give every octet of the store's files."""
    return b"".join(each.read_bytes() for each in folder.glob("store.db*"))


def passed_over(_step: Step) -> None:
    """Do nothing."""


@pytest.mark.asyncio
async def test_after_a_rotation_every_row_is_another_and_all_goes_on(tmp_path: Path) -> None:
    lived = await lived_in(tmp_path)
    file = Path(lived.config.store.file)
    for _ in range(2):
        before = sealed_columns(file)
        assert len(before) == 14
        assert all(before.values()), "a table is empty"
        assert rotate_key(lived.config, open_vault(lived.config), passed_over) == 0
        after = sealed_columns(file)
        octets = octets_of(tmp_path)
        for table, rows in before.items():
            assert len(rows) == len(after[table])
            assert not set(rows) & set(after[table])
            assert not [each for each in rows if each[-100:] in octets]
        assert not lived.new_file.exists()
    with pytest.raises(NotAuthentic):
        await open_store(file, Vault(KEY), alone=True)
    await check_whole(lived)


@pytest.mark.asyncio
async def test_the_key_file_keeps_its_mode_and_a_link_to_it_stays_one(tmp_path: Path) -> None:
    lived = await lived_in(tmp_path)
    kept = tmp_path / "elsewhere.key"
    lived.key_file.rename(kept)
    kept.chmod(0o640)
    lived.key_file.symlink_to(kept)
    rotate_key(lived.config, open_vault(lived.config), passed_over)
    assert lived.key_file.is_symlink()
    assert kept.stat().st_mode & 0o777 == 0o640
    assert kept.read_bytes().count(b"\n") == 2
    await check_whole(lived)


@pytest.mark.asyncio
async def test_a_row_that_does_not_open_is_counted_and_stays_as_it_is(tmp_path: Path) -> None:
    lived = await lived_in(tmp_path)
    with closing(sqlite3.connect(lived.config.store.file)) as store, store:
        store.execute("UPDATE members SET sealed = zeroblob(9) WHERE id = 2")
    assert rotate_key(lived.config, open_vault(lived.config), passed_over) == 1
    assert bytes(9) in sealed_columns(Path(lived.config.store.file))["members"]
    await check_whole(lived)


@pytest.mark.asyncio
@pytest.mark.parametrize("alone", [False, True])
async def test_a_store_that_another_program_has_is_not_sealed_anew(
    tmp_path: Path, *, alone: bool
) -> None:
    lived = await lived_in(tmp_path)
    vault = open_vault(lived.config)
    other = await open_store(lived.config.store.file, vault, alone=alone)
    with pytest.raises(OSError, match="another program has the store"):
        rotate_key(lived.config, vault, passed_over)
    await other.close()
    assert not lived.new_file.exists()
    await check_whole(lived)


@pytest.mark.asyncio
async def test_nobody_opens_the_store_meanwhile(tmp_path: Path) -> None:
    lived = await lived_in(tmp_path)
    refused = []

    def look(step: Step) -> None:
        with closing(sqlite3.connect(lived.config.store.file, timeout=0)) as other:
            try:
                other.execute("SELECT * FROM vault_check")
            except sqlite3.OperationalError:
                refused.append(step)

    rotate_key(lived.config, open_vault(lived.config), look)
    assert refused == list(Step)


@pytest.mark.asyncio
async def test_another_vault_changes_nothing(tmp_path: Path) -> None:
    lived = await lived_in(tmp_path)
    with pytest.raises(NotAuthentic):
        rotate_key(lived.config, Vault(b"o" * KEY_OCTETS), passed_over)
    finish_rotation(lived.config)
    await check_whole(lived)


DIES = """
import os, sys
from pathlib import Path
from listserver.app import open_vault
from listserver.config import parse_config
from listserver.rotation import Step, rotate_key
folder, text, last = sys.argv[1:]
config = parse_config(text, Path(folder))
rotate_key(config, open_vault(config), lambda step: os._exit(9) if step.name == last else None)
"""


def die(folder: Path, last: Step) -> int:
    """Run a rotation that dies when it has passed a step."""
    words = (sys.executable, "-c", DIES, folder, SETTINGS, last.name)
    return subprocess.run(words, check=False, timeout=30).returncode


@pytest.mark.asyncio
@pytest.mark.parametrize("last", Step)
async def test_who_dies_midway_leaves_a_store_and_its_key(tmp_path: Path, last: Step) -> None:
    lived = await lived_in(tmp_path)
    assert die(tmp_path, last) == 9
    old = write_b64url(KEY).encode() + b"\n"
    assert (lived.key_file.read_bytes() == old) is (last is not Step.RENAMED)
    assert lived.new_file.exists() is (last is not Step.RENAMED)
    for _ in range(2):
        finish_rotation(lived.config)
    is_old = last in (Step.KEY_WRITTEN, Step.RESEALED)
    assert (lived.key_file.read_bytes() == old) is is_old
    assert lived.new_file.exists() is is_old  # a key is never erased
    await check_whole(lived)
    rotate_key(lived.config, open_vault(lived.config), passed_over)
    finish_rotation(lived.config)
    assert not lived.new_file.exists()


@pytest.mark.asyncio
async def test_a_file_beside_the_key_that_is_no_key_of_the_store_changes_nothing(
    tmp_path: Path,
) -> None:
    lived = await lived_in(tmp_path)
    before = lived.key_file.read_bytes()
    for octets in (b"", b"A1B2\n", Vault(b"o" * KEY_OCTETS).successor()):
        lived.new_file.write_bytes(octets)
        finish_rotation(lived.config)
        assert lived.key_file.read_bytes() == before
    lived.key_file.write_bytes(b"spoilt\n")
    finish_rotation(lived.config)
    assert lived.key_file.read_bytes() == b"spoilt\n"
