"""Files of members: read line by line, refused whole, written for one's own eyes."""

import json
from pathlib import Path

import pytest

from recrypt_client.errors import Trouble
from recrypt_client.rosters import Row, read_csv, read_mailman, write_csv
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"
CAROL = "carol@example.org"
DAVE = "dave@example.org"


def test_a_table_is_read_by_the_names_of_its_columns() -> None:
    text = (
        "\ufeffName,Address,Profile\r\n"
        '"Carol, of accounts",carol@Example.ORG, carol.json\r\n\r\n'
        "Bob,bob@example.org\r\n"
    )
    roster = read_csv(text.encode())
    assert roster.rows == (Row(2, CAROL, "carol.json"), Row(4, BOB))
    assert roster.wrong == ()


def test_each_wrong_line_is_named_and_no_address_counts_twice() -> None:
    text = "address\nbob@example.org\nnobody\nBob <bob@EXAMPLE.org>\na@b.example c@d.example\n"
    roster = read_csv(text.encode())
    assert roster.rows == (Row(2, BOB),)
    assert [each.partition(":")[0] for each in roster.wrong] == ["line 3", "line 4", "line 5"]
    assert "line 2 again" in roster.wrong[1]


@pytest.mark.parametrize(
    "octets",
    [b"", b"bob@example.org\n", b"address,address\n", b'address\n"bob', b"address\n\xff\n"],
    ids=["empty", "without a head", "two of one name", "an open quote", "Latin 1"],
)
def test_what_is_no_such_table_is_refused(octets: bytes) -> None:
    with pytest.raises(Trouble):
        read_csv(octets)


def test_what_mailman_and_postorius_write_is_read() -> None:
    """`mailman members LIST` names people where it knows how; Postorius' CSV is addresses alone."""
    told = b'Bob Person <bob@example.org>\n"Carol, X." <carol@example.org>\ndave@example.org\n'
    assert [row.address for row in read_mailman(told).rows] == [BOB, CAROL, DAVE]
    table = b"bob@example.org\r\ncarol@example.org\r\n"
    assert [row.address for row in read_mailman(table).rows] == [BOB, CAROL]
    none = read_mailman(b"team@lists.example has no members\n")
    assert (none.rows, len(none.wrong)) == ((), 1)


def test_a_spreadsheet_takes_no_cell_for_a_formula_and_it_is_read_back() -> None:
    octets = write_csv(("address",), [("=1+1@example.org",), (BOB,)])
    assert octets == b"address\r\n'=1+1@example.org\r\nbob@example.org\r\n"
    assert [row.address for row in read_csv(octets).rows] == ["=1+1@example.org", BOB]


@pytest.fixture
def service() -> JoinService:
    """A service."""
    return JoinService(URL)


@pytest.fixture
def stage(stage: Stage, service: JoinService) -> Stage:
    """Alice's team; Bob has a profile, whose file she has."""
    stage.service = service
    stage.team()
    stage.person("bob")
    return stage


def table(stage: Stage, *lines: str) -> Path:
    """Write a table."""
    file = stage.folder / "people.csv"
    file.write_text("\n".join(("address,name,profile", *lines, "")))
    return file


def added(stage: Stage, *words: str) -> list[tuple[int, str]]:
    """Add a file; give what came of each line."""
    told = json.loads(stage.does("alice", "add", TEAM, *words, "--json"))
    return [(each["Line"], each["Result"]) for each in told["Rows"]]


def test_who_has_a_profile_is_added_and_the_others_invited_and_again_nothing_is_done(
    stage: Stage, service: JoinService
) -> None:
    file = table(stage, f"{BOB},Bob,bob.json", f"{CAROL},Carol,")
    add = ("--csv", str(file), "--invite")
    assert added(stage, *add) == [(2, "added"), (3, "invited")]
    assert service.invited.keys() == {CAROL}
    before = len(service.changes)
    (_, bob), (_, carol) = added(stage, *add)
    assert bob == "was so already"
    assert carol.startswith("was invited on")
    assert len(service.changes) == before
    assert len(service.invited[CAROL]) == 1


def test_if_a_line_is_wrong_all_such_are_named_and_nothing_is_done(
    stage: Stage, service: JoinService
) -> None:
    file = table(
        stage,
        f"{BOB},Bob,bob.json",
        "nobody,,",
        f"{CAROL},Carol,bob.json",
        f"{DAVE},Dave,dave.json",
        "erin@example.org,Erin,",
    )
    asked = len(service.asked)
    result = stage.run("alice", "add", TEAM, "--csv", str(file))
    assert result.exit_code == 1
    for words in ("line 3", "line 4: carol", "line 5", "line 6: erin@example.org has no profile"):
        assert words in result.stderr, words
    assert "4 lines can't be used" in result.stderr
    assert len(service.asked) == asked


def test_a_members_file_is_the_owners_alone_and_says_so(stage: Stage, service: JoinService) -> None:
    stage.does("alice", "add", TEAM, str(stage.folder / "bob.json"))
    file = stage.folder / "members.csv"
    result = stage.run("alice", "members", TEAM, "--csv", str(file))
    assert result.exit_code == 0
    assert "which nobody else may know" in result.stderr.replace("\n", " ")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [row.address for row in read_csv(file.read_bytes()).rows] == ["alice@example.org", BOB]
    assert not service.invited
    assert [what for _, what in added(stage, "--csv", str(file), "--invite")] == [
        "is ACTIVE already", "is ACTIVE already"
    ]  # fmt: skip


def test_a_mailman_list_is_invited(stage: Stage, service: JoinService) -> None:
    file = stage.folder / "members.txt"
    file.write_text("Bob Person <bob@example.org>\ncarol@example.org\n")
    assert added(stage, "--mailman", str(file), "--invite") == [(1, "invited"), (2, "invited")]
    assert service.invited.keys() == {BOB, CAROL}


def test_wrong_usage_of_add_is_told(stage: Stage) -> None:
    file = str(table(stage))
    for words in (
        [],
        ["--csv", file, "--mailman", file],
        ["bob.json", "--csv", file],
        ["--invite"],
    ):
        assert stage.run("alice", "add", TEAM, *words).exit_code == 2, words
