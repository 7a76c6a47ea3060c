"""`recrypt verify --accept-restored`: going on from a restored back-up, by who knows of it."""

import json
import shutil

import pytest

from recrypt_client import chains, trails
from recrypt_client.home import Home
from recrypt_core import chain, limits
from recrypt_core.documents import Head, Privilege, Status
from recrypt_core.encoding import write_json
from recrypt_core.messages import GetChangesResponse, Response
from recrypt_core.wire import Document, to_json
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_administrators import BOB, member, state, two

ACCEPT = ("verify", TEAM, "--accept-restored")


def restore(stage: Stage, changes: int) -> None:
    """Let the operator restore a back-up of when there were so many changes."""
    stage.service.changes = stage.service.changes[:changes]
    stage.service.state = chain.replay(stage.service.changes)


def pinned(stage: Stage, who: str = "alice") -> Head:
    pin = stage.keys(who).pin(TEAM)
    assert pin is not None
    return pin.head


@pytest.fixture
def gone(stage: Stage) -> Stage:
    """Let Alice remove Bob, which no back-up has."""
    stage.team("bob", "carol")
    stage.does("alice", "delete", TEAM, BOB)
    restore(stage, 2)
    return stage


def test_after_a_yes_the_commands_work_again(gone: Stage) -> None:
    assert "goes back before change 3" in gone.fails("alice", "members", TEAM)
    gone.says_yes = True
    result = gone.run("alice", *ACCEPT)
    assert result.exit_code == 0, result.output
    assert "changes 3 to 3 are gone" in result.stderr
    assert "alice@example.org: UpdateMember bob@example.org REVOKED." in result.stderr
    assert result.stderr.count("Gone: ") == 1
    assert "by another way than this service" in result.stderr
    assert pinned(gone) == state(gone).head
    gone.does("alice", "delete", TEAM, BOB)
    assert member(gone, BOB).entry.status is Status.REVOKED


@pytest.mark.parametrize("answer", [False, None])
def test_without_a_yes_nothing_is_changed(gone: Stage, answer: bool | None) -> None:
    before = pinned(gone)
    gone.says_yes = answer
    result = gone.run("alice", *ACCEPT)
    assert result.exit_code == 1
    assert "nothing was changed" in result.stderr
    assert pinned(gone) == before


def test_a_program_says_yes_by_an_option(gone: Stage) -> None:
    gone.does("alice", *ACCEPT, "--yes")
    assert pinned(gone).seq == 2


def test_plain_verify_moves_nothing_and_names_the_command(gone: Stage) -> None:
    result = gone.run("alice", "verify", TEAM)
    assert result.exit_code == 1
    assert f"recrypt verify {TEAM} --accept-restored" in result.stdout
    assert pinned(gone).seq == 3


def test_where_nothing_went_back_it_is_a_verify(stage: Stage) -> None:
    stage.team("bob")
    before = stage.keys("alice").pin(TEAM)
    result = stage.run("alice", *ACCEPT)
    assert result.exit_code == 0
    assert "is the one that you had seen" in result.stderr
    assert stage.keys("alice").pin(TEAM) == before


def test_a_history_that_others_went_on_with_is_taken_too(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("alice", "set", TEAM, "keep=30")
    restore(stage, len(stage.service.changes) - 1)
    stage.does("bob", "set", TEAM, "keep=20")
    assert "is not the same" in stage.fails("alice", "members", TEAM)
    result = stage.run("alice", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert "is another one now" in result.stderr
    assert result.stderr.count("Gone: ") == 1
    assert "alice@example.org: UpdateGroup Policy." in result.stderr
    stage.does("alice", "set", TEAM, "keep=30")


def test_an_older_master_and_key_are_told_and_what_is_owed_again(stage: Stage) -> None:
    two(stage, "ADMIN")
    stage.does("bob", "members", TEAM)
    count = len(stage.service.changes)
    stage.does("alice", "delete", TEAM, BOB)
    restore(stage, count + 1)
    result = stage.run("alice", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert "Its Master is older" in result.stderr
    assert f"recrypt rekey {TEAM} 2 times" in result.stderr
    assert f"{BOB} can still sign" in result.stdout
    pin = stage.keys("alice").pin(TEAM)
    assert pin is not None
    assert (pin.generation, pin.key_udf, len(pin.past_key_udf)) == (1, state(stage).key.udf, 1)
    for _ in range(2):
        stage.does("alice", "rekey", TEAM)
    assert state(stage).key.document.generation == 3
    assert "can still" not in stage.does("alice", "verify", TEAM).decode()


def test_a_member_who_saw_the_lost_key_takes_a_later_one(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "rekey", TEAM)
    stage.does("bob", "key", TEAM, "--service", URL)
    restore(stage, 2)
    assert "AN OLD GROUP KEY" in stage.fails("bob", "key", TEAM)
    stage.does("alice", *ACCEPT, "--yes")
    for _ in range(2):
        stage.does("alice", "rekey", TEAM)
    stage.does("bob", "key", TEAM)


def test_another_group_or_a_forged_history_is_never_accepted(gone: Stage) -> None:
    honest = gone.service.changes
    gone.service.changes = [honest[0], honest[0]]
    assert "DOESN'T FOLLOW" in gone.fails("alice", *ACCEPT, "--yes")
    elsewhere = Stage(gone.folder / "elsewhere")
    elsewhere.folder.mkdir()
    elsewhere.team()
    shown = GetChangesResponse(changes=tuple(elsewhere.service.changes), head=state(elsewhere).head)
    gone.service.lie = lambda _name, _response: shown
    assert "another group's" in gone.fails("alice", *ACCEPT, "--yes")
    assert pinned(gone).seq == 3


def test_what_is_shown_otherwise_at_the_second_look_is_not_taken(gone: Stage) -> None:
    """The service shows less after the yes than before it."""

    def lie(_name: str, response: Response) -> Response:
        if isinstance(response, GetChangesResponse):
            restore(gone, 1)
        return response

    gone.service.lie, gone.says_yes = lie, True
    assert "has changed since you looked" in gone.run("alice", *ACCEPT).stderr
    assert pinned(gone).seq == 3


def test_of_a_long_history_the_last_changes_are_known(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "PAGE_CHANGES", 2)
    monkeypatch.setattr(trails, "STEPS", 3)
    stage.team()
    for days in range(6):
        stage.does("alice", "set", TEAM, f"keep={days}")
    restore(stage, 2)
    result = stage.run("alice", *ACCEPT, "--yes", "--json")
    assert json.loads(result.stdout)["Head"]["seq"] == 2
    assert "changes 3 to 7 are gone" in result.stderr
    found = [each for each in range(1, 8) if f"Gone: change {each}," in result.stderr]
    assert found == [5, 6, 7]


def test_what_was_seen_of_members_is_sealed_under_a_passphrase(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "delete", TEAM, BOB)
    (trail,) = stage.home("alice").glob("groups/*.trail")
    assert BOB.encode() in trail.read_bytes()
    words = stage.folder / "words"
    words.write_text("correct horse battery\n")
    stage.does("alice", "profile", "passphrase", "--new-passphrase-file", str(words))
    assert BOB.encode() not in trail.read_bytes()
    restore(stage, 2)
    given = ("--yes", "--passphrase-file", str(words))
    assert "bob@example.org REVOKED" in stage.run("alice", *ACCEPT, *given).stderr


def test_a_trail_of_the_longest_words_can_still_be_read() -> None:
    words = "\x01" * 5000
    steps = [trails.Step(seq=seq, hash="A" * 43, words=words) for seq in range(1, 60)]
    trail = trails.longer(None, steps)
    assert trail.steps[-1].seq == 59
    assert len(write_json(to_json(trail))) < limits.DOCUMENT_OCTETS
    assert trails.longer(trail, steps[:3]).steps == tuple(steps[:3])


def test_a_yes_to_nothing_is_wrong_usage(stage: Stage) -> None:
    stage.team()
    assert stage.run("alice", "verify", TEAM, "--yes").exit_code == 2


def behind(stage: Stage, *change: str) -> None:
    """Let Bob change the team, Alice see its new key alone, and the change be lost by a restore."""
    two(stage, "ADMIN", "SUPER")
    count = len(stage.service.changes)
    stage.does("bob", *change)
    assert stage.run("alice", "key", TEAM).exit_code == 0
    restore(stage, count)


def test_a_key_that_was_only_seen_is_given_back_too(stage: Stage) -> None:
    behind(stage, "rekey", TEAM)
    words = stage.fails("alice", "members", TEAM)
    assert "OLD GROUP KEY" in words
    assert f"recrypt verify {TEAM} --accept-restored" in words
    result = stage.run("alice", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert "its key or Master tells of changes after it, which are gone" in result.stderr
    assert f"recrypt rekey {TEAM} 2 times" in result.stderr
    for _ in range(2):
        stage.does("alice", "rekey", TEAM)
    stage.does("bob", "key", TEAM)


def test_another_key_of_the_same_generation_is_taken_by_who_says_yes(stage: Stage) -> None:
    behind(stage, "rekey", TEAM)
    shutil.copytree(stage.home("alice"), stage.home("alice-at-home"))
    stage.does("alice", *ACCEPT, "--yes")
    stage.does("alice", "rekey", TEAM)
    assert "ANOTHER GROUP KEY of generation 2" in stage.fails("alice-at-home", "key", TEAM)
    result = stage.run("alice-at-home", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert "1 times" not in result.stderr
    assert f"recrypt rekey {TEAM} once" in result.stderr


def test_a_list_that_a_restore_has_opened_again_is_told_of_and_closed_again(stage: Stage) -> None:
    behind(stage, "close", TEAM, "--yes")
    words = stage.fails("alice", "members", TEAM)
    assert "CLOSED FOR GOOD" in words
    assert "--accept-restored" in words
    result = stage.run("alice", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert f"refuses it for ever: recrypt close {TEAM}" in result.stderr
    assert "Its key is of generation" not in result.stderr
    stage.does("alice", "close", TEAM, "--yes")
    stage.does("bob", "verify", TEAM, "--accept-restored", "--yes")


@pytest.mark.parametrize("written", [1, 2, 3])
def test_what_is_gone_is_told_again_if_it_was_cut_off(
    gone: Stage, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Of the four files that are written, some are."""
    keep, left = Home.keep_document, [written]

    def cut_off(home: Home, name: str, document: Document) -> None:
        if not left[0]:
            raise KeyboardInterrupt(name)
        left[0] -= 1
        keep(home, name, document)

    monkeypatch.setattr(Home, "keep_document", cut_off)
    assert gone.run("alice", *ACCEPT, "--yes").exit_code != 0
    monkeypatch.setattr(Home, "keep_document", keep)
    result = gone.run("alice", *ACCEPT, "--yes")
    assert result.exit_code == 0, result.output
    assert "changes 3 to 3 are gone" in result.stderr
    assert result.stderr.count("Gone: ") == 1
    assert pinned(gone) == state(gone).head
    assert "is the one that you had seen" in gone.run("alice", *ACCEPT, "--yes").stderr


def escrowed(stage: Stage) -> str:
    """Let the notary, who knows the team and has its escrow file, see it go back; give the file."""
    notary, file = str(stage.person("notary")), str(stage.folder / "team.escrow")
    stage.team("bob")
    stage.does("alice", "escrow", TEAM, notary, "--out", file)
    count = len(stage.service.changes)
    stage.does("alice", "rekey", TEAM)
    stage.does("notary", "recover", TEAM, file)
    restore(stage, count)
    return file


def test_who_recovers_goes_on_from_a_restored_back_up_too(stage: Stage) -> None:
    recover = ("recover", TEAM, escrowed(stage))
    assert "recrypt recover" in stage.fails("notary", *recover)
    before = pinned(stage, "notary")
    stage.says_yes = False
    assert "nothing was changed" in stage.run("notary", *recover, "--accept-restored").stderr
    assert pinned(stage, "notary") == before
    stage.says_yes = True
    result = stage.run("notary", *recover, "--accept-restored")
    assert result.exit_code == 0, result.output
    assert "by another way than this service" in result.stderr
    assert f"recrypt rekey {TEAM} 2 times" in result.stderr
    assert member(stage, "notary@example.org").may(Privilege.SUPER)


def test_who_recovers_and_has_seen_nothing_need_not_ask_for_it(stage: Stage) -> None:
    file = escrowed(stage)
    shutil.rmtree(stage.home("notary") / "groups")
    result = stage.run("notary", "recover", TEAM, file, "--accept-restored")
    assert result.exit_code == 0, result.output
    assert stage.run("notary", "recover", TEAM, file, "--yes").exit_code == 2
