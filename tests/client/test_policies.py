"""`recrypt set`: the rules of a list, each value checked before anything is sent."""

import json

import pytest

from recrypt_client import policies
from recrypt_client.errors import Trouble
from recrypt_core.policy import History, Policy, PostRight
from tests.client.stage import TEAM, Stage


def test_every_rule_of_a_policy_can_be_set() -> None:
    kinds = [*policies.WORDS, *policies.FLAGS, *policies.COUNTS, *policies.PROFILES]
    kinds += policies.TEXTS
    assert sorted(kinds) == sorted(Policy.__struct_encode_fields__)


def test_what_is_set_is_shown_before_and_after(stage: Stage) -> None:
    stage.team()
    told = stage.does("alice", "set", TEAM, "post=Members", "keep=30", "notice=true").decode()
    assert told == "post: anyone -> members\nkeep: 14 -> 30\n"
    assert stage.service.state is not None
    assert stage.service.state.policy == Policy(post=PostRight.MEMBERS, keep=30)
    told = stage.does("alice", "set", TEAM, "keep=30").decode()
    assert told == f"The rules of {TEAM} were so already\n"
    assert len(stage.service.changes) == 2


def test_without_settings_the_rules_are_shown(stage: Stage) -> None:
    stage.team()
    told = stage.does("alice", "set", TEAM).decode()
    assert "history=none\nkeep=14\nrecrypt_per_day=unset\n" in told
    answer = json.loads(stage.does("alice", "set", TEAM, "--json"))
    assert answer["Policy"]["past_keys"] is True
    assert len(stage.service.changes) == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("keep=366", "keep is a whole number, 0 to 365"),
        ("keep=-1", "keep is a whole number"),
        ("keep=007", "keep is a whole number"),
        ("keep=1.5", "keep is a whole number"),
        ("keep=", "keep is a whole number"),
        ("notice=yes", "notice is true or false"),
        ("post=everyone", "post is one of anyone, members, moderated, announce"),
        ("history=some", "history is one of none, since-join, all"),
        ("recrypt_per_day=many", "recrypt_per_day is a whole number, 0 to 999999999, or unset"),
        ("subject=[team]", "subject is a text with [...] in it, at most 60 ASCII characters"),
        ("Keep=3", "Did you mean keep?"),
        ("past-keys=false", "Did you mean past_keys?"),
        ("histroy=all", "Did you mean history?"),
        ("colour=blue", "The rules are post, reply_to, from,"),
        ("keep", "'keep' is no KEY=VALUE"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    stage: Stage, setting: str, words: str
) -> None:
    stage.team()
    asked = len(stage.service.asked)
    assert words in stage.fails("alice", "set", TEAM, "notice=false", setting)
    assert len(stage.service.asked) == asked


def test_a_rule_is_unset_again() -> None:
    limited = policies.changed(Policy(), ["recrypt_per_day=7"])
    assert limited.recrypt_per_day == 7
    assert policies.changed(limited, ["recrypt_per_day=unset"]) == Policy()


def test_the_subject_of_copies_keeps_its_case_and_is_set_back() -> None:
    tagged = policies.changed(Policy(), ["subject= [Team] [...] "])
    assert tagged.subject == "[Team] [...]"
    assert policies.changed(tagged, ["subject=[...]"]) == Policy()


def test_the_last_of_two_settings_counts() -> None:
    assert policies.changed(Policy(), ["history=all", "history=since-join"]) == Policy(
        history=History.SINCE_JOIN
    )
    with pytest.raises(Trouble):
        policies.changed(Policy(), ["=", "keep=1"])


def test_another_administrators_rule_of_meanwhile_stays(stage: Stage) -> None:
    stage.team()
    stage.does("alice", "members", TEAM)

    def change() -> None:
        stage.does("alice", "set", TEAM, "keep=3")

    stage.service.before = change
    stage.pause = lambda: None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recrypt_client.home.Home._lock", lambda *_: None)
        stage.does("alice", "set", TEAM, "notice=false")
    assert stage.service.state is not None
    assert stage.service.state.policy == Policy(keep=3, notice=False)
