"""A profile moves to another machine, or comes back from a back-up, as one sealed file."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recrypt_client import escrows, pins
from recrypt_client.errors import Trouble
from recrypt_client.exporting import gather, read_export, write_export
from recrypt_client.home import Home
from recrypt_client.importing import take
from recrypt_client.pins import Pin
from recrypt_core.documents import Head
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.passphrases import open_under
from recrypt_core.udf import Udf
from tests.client.stage import CHEAP, TEAM, URL, Stage

WORDS = "correct horse battery"
VECTOR = Path(__file__).parent.parent / "vectors" / "profile-export.json"


@pytest.fixture
def secret(stage: Stage) -> str:
    """Give the option that names a file with the passphrase of exports."""
    file = stage.folder / "words"
    file.write_text(f"{WORDS}\n", "utf-8")
    return f"--export-passphrase-file={file}"


def moved(stage: Stage, secret: str, *, who: str = "alice", to: str = "laptop") -> bytes:
    """Export somebody's profile and import it in another home; give the answer."""
    file = str(stage.folder / f"{who}-{to}.recrypt")
    stage.does(who, "profile", "export", file, secret)
    return stage.does(to, "profile", "import", file, secret)


def keys(home: Path) -> set[str]:
    found = {path.name for path in home.glob("keys/*.jwk")}
    assert found
    return found


def test_an_administrator_goes_on_from_another_machine(stage: Stage, secret: str) -> None:
    stage.team("bob")
    answer = moved(stage, secret)
    assert b"new here" in answer
    assert TEAM.encode() in answer
    assert keys(stage.home("laptop")) == keys(stage.home("alice"))
    stage.does("laptop", "add", TEAM, str(stage.person("carol")))
    copy = stage.copy(stage.sealed(by="laptop"), "bob")
    assert b"At one?" in stage.does("bob", "read", stdin=copy)


def test_who_a_reader_has_met_moves_too(stage: Stage, secret: str) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))
    moved(stage, secret, who="bob")
    read = stage.run("laptop", "read", stdin=stage.copy(stage.sealed(), "bob"))
    assert "known since" in read.stderr
    for folder in ("contacts", "profiles", "halves", "groups"):
        names = {path.name for path in (stage.home("bob") / folder).glob("*.json")}
        assert names
        assert {path.name for path in (stage.home("laptop") / folder).glob("*.json")} == names


def test_the_file_is_the_owners_alone_and_shows_nothing(stage: Stage, secret: str) -> None:
    stage.team("bob")
    file = stage.folder / "alice.recrypt"
    stage.does("alice", "profile", "export", str(file), secret)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    value = json.loads(file.read_bytes())
    assert set(value) == {"recrypt-profile-export", "kdf", "iv", "ciphertext", "tag"}
    assert set(value["kdf"]) == {"alg", "v", "m", "t", "p", "salt"}
    assert b"alice" not in file.read_bytes()


def test_an_existing_file_is_not_overwritten(stage: Stage, secret: str) -> None:
    stage.person("alice")
    file = stage.folder / "precious"
    file.write_bytes(b"precious")
    words = stage.fails("alice", "profile", "export", str(file), secret)
    assert "is there already" in words
    assert file.read_bytes() == b"precious"
    missing = str(stage.folder / "missing" / "file")
    assert missing in stage.fails("alice", "profile", "export", missing, secret)


def test_it_goes_through_a_pipe(stage: Stage, secret: str) -> None:
    stage.person("alice")
    octets = stage.does("alice", "profile", "export", "-", secret)
    stage.does("laptop", "profile", "import", "-", secret, stdin=octets)
    assert keys(stage.home("laptop")) == keys(stage.home("alice"))


def test_a_new_home_may_have_a_passphrase_of_its_own(stage: Stage, secret: str) -> None:
    stage.person("alice")
    own = stage.folder / "own"
    own.write_text("another passphrase", "utf-8")
    file = str(stage.folder / "alice.recrypt")
    stage.does("alice", "profile", "export", file, secret)
    stage.does("laptop", "profile", "import", file, secret, "--passphrase-file", str(own))
    files = [path.read_bytes() for path in stage.home("laptop").rglob("*") if path.is_file()]
    assert not [octets for octets in files if b'"d":' in octets]
    again = ("profile", "export", "-", secret)
    assert "sealed under a passphrase" in stage.fails("laptop", *again)
    stage.does("laptop", *again, "--passphrase-file", str(own))


def test_what_is_asked_on_a_terminal(stage: Stage) -> None:
    stage.person("alice")
    stage.types = lambda _words: WORDS
    file = str(stage.folder / "alice.recrypt")
    stage.asked.clear()
    stage.does("alice", "profile", "export", file)
    assert stage.asked == ["Passphrase for the exported file twice"]
    stage.asked.clear()
    stage.does("laptop", "profile", "import", file)
    assert stage.asked == [
        f"Passphrase of {file}",
        "Passphrase for your private keys (empty: none) twice",
    ]


def test_without_a_terminal_it_says_what_to_give(stage: Stage, secret: str) -> None:
    stage.person("alice")
    file = str(stage.folder / "alice.recrypt")
    words = stage.fails("alice", "profile", "export", file)
    assert "--export-passphrase-file FILE" in words
    stage.does("alice", "profile", "export", file, secret)
    assert "--export-passphrase-file FILE" in stage.fails("laptop", "profile", "import", file)


def test_a_wrong_passphrase_is_one_clear_line(stage: Stage, secret: str) -> None:
    stage.person("alice")
    file = str(stage.folder / "alice.recrypt")
    stage.does("alice", "profile", "export", file, secret)
    stage.types = lambda _words: "something else"
    words = stage.fails("laptop", "profile", "import", file)
    assert f"{file}: the passphrase is wrong" in words
    assert not stage.home("laptop").exists()


@pytest.mark.parametrize("octets", [b"", b"{}", b"\xff", b'{"recrypt-profile-export":2}', b"[]"])
def test_what_is_no_export_is_told_before_anything_is_asked(
    stage: Stage, secret: str, octets: bytes
) -> None:
    file = stage.folder / "odd"
    file.write_bytes(octets)
    assert str(file) in stage.fails("laptop", "profile", "import", str(file), secret)
    assert stage.asked == []
    assert not stage.home("laptop").exists()


def test_another_profile_is_never_overwritten(stage: Stage, secret: str) -> None:
    for who in ("alice", "bob"):
        stage.person(who)
    before = (stage.home("bob") / "profile.json").read_bytes()
    file = str(stage.folder / "alice.recrypt")
    stage.does("alice", "profile", "export", file, secret)
    words = stage.fails("bob", "profile", "import", file, secret)
    assert "Nothing was imported" in words
    assert (stage.home("bob") / "profile.json").read_bytes() == before
    assert len(keys(stage.home("bob"))) == 3


def test_two_homes_of_one_profile_learn_from_each_other_and_nothing_goes_back(
    stage: Stage, secret: str
) -> None:
    stage.team()
    moved(stage, secret)
    early = str(stage.folder / "alice-laptop.recrypt")
    stage.does("laptop", "add", TEAM, str(stage.person("bob")))
    stage.does("laptop", "rekey", TEAM)
    stage.keys("alice").keep_key(PrivateKey.generate(Curve.X448))
    newer = stage.keys("laptop").pin(TEAM)
    assert newer is not None
    assert newer.generation == 2
    stage.does("laptop", "profile", "import", early, secret)
    assert stage.keys("laptop").pin(TEAM) == newer
    moved(stage, secret, who="laptop", to="alice")
    assert stage.keys("alice").pin(TEAM) == newer
    assert keys(stage.home("laptop")) < keys(stage.home("alice"))
    stage.does("alice", "members", TEAM)


def test_whose_the_escrow_keys_are_moves_too_and_is_never_said_otherwise(
    stage: Stage, secret: str
) -> None:
    stage.person("alice")
    notary = str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    stage.does("alice", "add", TEAM, notary)
    known = escrows.owners(stage.keys("alice"), TEAM)
    moved(stage, secret)
    assert escrows.owners(stage.keys("laptop"), TEAM) == known
    result = stage.run("laptop", "delete", TEAM, "notary@example.org")
    assert "has the escrow key of notary@example.org no more" in result.stderr
    ((key, owner),) = known.items()
    other = stage.keys("alice").profile().identifier
    escrows.note(stage.keys("alice"), TEAM, {key: other, owner: other})
    moved(stage, secret, to="laptop2")
    file = str(stage.folder / "alice-laptop2.recrypt")
    stage.does("laptop", "profile", "import", file, secret)
    assert escrows.owners(stage.keys("laptop"), TEAM) == {key: owner, owner: other}


def test_an_import_that_was_cut_off_goes_on(stage: Stage, secret: str) -> None:
    stage.team()
    moved(stage, secret)
    root = stage.home("laptop")
    for name in ("profile.json", f"groups/{TEAM}.json", f"keys/{min(keys(root))}"):
        (root / name).unlink()
    stage.does("laptop", "profile", "import", str(stage.folder / "alice-laptop.recrypt"), secret)
    assert keys(root) == keys(stage.home("alice"))
    stage.does("laptop", "members", TEAM)


def test_an_author_who_is_known_otherwise_here_stays_so_and_it_is_told(
    stage: Stage, secret: str
) -> None:
    stage.team("bob")
    stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))
    moved(stage, secret, who="bob")
    contact = next(stage.home("laptop").glob("contacts/*.json"))
    other = json.loads(contact.read_bytes())
    other["Identifier"] = stage.keys("bob").profile().identifier
    contact.write_text(json.dumps(other), "utf-8")
    file = str(stage.folder / "bob-laptop.recrypt")
    result = stage.run("laptop", "profile", "import", file, secret)
    assert result.exit_code == 0
    assert "alice@example.org is known here with another fingerprint" in result.stderr
    assert json.loads(contact.read_bytes()) == other


UDF = [Udf(f"MAAAA{'-AAAAA' * 4}-AAAA{letter}") for letter in "ABCDEF"]
HEAD = Head(3, "x")
SINCE = datetime(2026, 11, 22, tzinfo=UTC)


def pin(generation: int = 1, *, key: Udf = UDF[1], head: Head = HEAD, group: Udf = UDF[0]) -> Pin:
    past = (UDF[1], UDF[2], UDF[3])[: generation - 1]
    return Pin(
        group_name=TEAM,
        identifier=group,
        generation=generation,
        key_udf=key,
        past_key_udf=past,
        service="https://lists.example",
        head=head,
        since=SINCE + timedelta(days=generation),
    )


def test_the_highest_generation_and_the_longest_history_are_kept_whoever_has_them() -> None:
    old, new = pin(head=Head(9, "y")), pin(3, key=UDF[3])
    merged = pins.merge(old, new, hint="")
    assert merged == pins.merge(new, old, hint="")
    assert (merged.generation, merged.key_udf, merged.head) == (3, UDF[3], Head(9, "y"))
    assert merged.past_key_udf == (UDF[1], UDF[2])
    assert merged.since == old.since
    assert pins.merge(merged, old, hint="") == merged


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (pin(group=UDF[5]), "ANOTHER GROUP,"),
        (pin(key=UDF[5]), "ANOTHER GROUP KEY of generation 1"),
        (pin(head=Head(3, "z")), "ANOTHER HISTORY: change 3"),
    ],
)
def test_two_groups_of_one_name_are_never_made_one(other: Pin, words: str) -> None:
    with pytest.raises(Trouble, match=words):
        pins.merge(pin(), other, hint="Ask")


def test_a_group_that_is_known_otherwise_stops_the_whole_import(stage: Stage, secret: str) -> None:
    stage.team()
    moved(stage, secret)
    home = stage.keys("laptop")
    known = home.pin(TEAM)
    assert known is not None
    file = stage.home("laptop") / f"groups/{TEAM}.json"
    value = json.loads(file.read_bytes())
    value["Identifier"] = UDF[5]
    file.write_text(json.dumps(value), "utf-8")
    lost = next(stage.home("laptop").glob("keys/*.jwk"))
    lost.unlink()
    early = str(stage.folder / "alice-laptop.recrypt")
    assert "ANOTHER GROUP" in stage.fails("laptop", "profile", "import", early, secret)
    assert not lost.exists()


def test_what_another_program_has_exported_is_read_and_imported(tmp_path: Path) -> None:
    """Its passphrase is typed with a combining accent, as some keyboards do."""
    vector = json.loads(VECTOR.read_bytes())
    file, passphrase = json.dumps(vector["file"]).encode(), vector["passphrase"]
    text = open_under(passphrase, vector["file"], name="recrypt-profile-export")
    assert json.loads(text) == vector["plaintext"]
    export = read_export(file, passphrase, what="the vector")
    home = Home(tmp_path / "home")
    assert take(home, export).keys == 4
    found = gather(home)
    assert sorted(map(repr, found.keys)) == sorted(map(repr, export.keys))
    assert replace(found, keys=()) == replace(export, keys=())


def test_what_is_written_is_what_is_read() -> None:
    vector = json.loads(VECTOR.read_bytes())
    file = json.dumps(vector["file"]).encode()
    export = read_export(file, vector["passphrase"], what="the vector")
    octets = write_export(export, WORDS, cost=CHEAP, now=datetime(2026, 11, 23, 8, tzinfo=UTC))
    again = open_under(WORDS, json.loads(octets), name="recrypt-profile-export")
    assert json.loads(again) == vector["plaintext"]
