"""A service that lies about a group's history is caught, whatever it tries (spec §5, §8)."""

from collections.abc import Callable, Sequence

import httpx2
import pytest

from recrypt_client import chains
from recrypt_client.errors import Trouble
from recrypt_client.service import Service
from recrypt_core import chain
from recrypt_core.documents import Head, Privilege
from recrypt_core.messages import (
    AddMember,
    ChangeResponse,
    GetChangesResponse,
    Response,
    UpdateMember,
    write_message,
)
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, sign_request
from tests.builders import NOW, Person, new_group, new_membership, new_person
from tests.client.stage import TEAM, URL, Stage


def shows(stage: Stage, changes: Sequence[Jws], head: Head | None = None) -> None:
    """Let the service show this history from now on."""

    def lie(name: str, response: Response) -> Response:
        if name != "GetChanges" or not isinstance(response, GetChangesResponse):
            return response
        return GetChangesResponse(
            changes=tuple(changes), head=head or Head(len(changes), changes[-1].hash)
        )

    stage.service.lie = lie


def change(
    stage: Stage, message: AddMember | UpdateMember, key: SignaturePrivateKey, *, at: int = -1
) -> Jws:
    """Sign a change that follows one of the chain's."""
    assert stage.service.state is not None
    before = stage.service.changes[at]
    link = chain.read_change(before).link
    place = Link(stage.service.state.identifier, link.seq + 1, before.hash)
    return sign_request(write_message(message), key, url=URL, now=NOW, link=place)


def adding(stage: Stage, person: Person) -> AddMember:
    """Write a change that adds somebody, as who doesn't know the group's private key would."""
    assert stage.service.state is not None
    ghost = new_membership(person, new_group().key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))
    return AddMember(recryption_group=stage.service.state.identifier, member_entry=(ghost.entry,))


def test_a_ghost_member_is_noticed(stage: Stage) -> None:
    stage.team("bob")
    mallory = new_person("mallory@example.org")
    ghost = change(stage, adding(stage, mallory), mallory.online)
    shows(stage, [*stage.service.changes, ghost])
    words = stage.fails("alice", "members", TEAM)
    assert "signed by a key that is unknown here" in words
    assert "the history of team@lists.example" in words


def test_a_ghost_that_a_plain_member_signed_is_noticed(stage: Stage) -> None:
    stage.team("bob")
    bob = stage.keys("bob")
    key = bob.signing_key(bob.profile())
    ghost = change(stage, adding(stage, new_person("mallory@example.org")), key)
    shows(stage, [*stage.service.changes, ghost])
    assert "Ask an administrator" in stage.fails("alice", "members", TEAM)


def test_a_history_that_goes_back_is_noticed(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "delete", TEAM, "bob@example.org")
    shows(stage, stage.service.changes[:2])
    for command in (("members", TEAM), ("history", TEAM), ("resume", TEAM, "bob@example.org")):
        words = stage.fails("alice", *command)
        assert "SHOWS ANOTHER HISTORY: it goes back before change 3" in words
    assert len(stage.service.changes) == 3


def test_a_fork_is_noticed(stage: Stage) -> None:
    stage.team("bob")
    old = list(stage.service.changes)
    alice = stage.keys("alice")
    fork = change(stage, adding_honestly(stage), alice.signing_key(alice.profile()), at=0)
    shows(stage, [old[0], fork])
    assert "change 2 is not the same" in stage.fails("alice", "members", TEAM)


def adding_honestly(stage: Stage) -> AddMember:
    """Write a change that Alice's own key may sign: she did so before, and undid it."""
    assert stage.service.state is not None
    key = stage.keys("alice").agreement_key(stage.service.state.key.udf)
    assert key is not None
    made = new_membership(new_person("dave@example.org"), key)
    return AddMember(recryption_group=stage.service.state.identifier, member_entry=(made.entry,))


BENT: list[Callable[[list[Jws]], list[Jws]]] = [
    lambda changes: [changes[0], changes[2]],
    lambda changes: [changes[0], changes[2], changes[1]],
    lambda changes: [changes[0], changes[0]],
    lambda changes: changes[1:],
    lambda changes: [*changes[:2], Jws(**{**changes[2].json(), "payload": changes[1].payload})],  # type: ignore[arg-type]  # texts by name
]


@pytest.mark.parametrize("bend", BENT, ids=["gap", "order", "twice", "headless", "forged"])
def test_a_bent_history_is_noticed(stage: Stage, bend: Callable[[list[Jws]], list[Jws]]) -> None:
    stage.team("bob")
    stage.does("alice", "suspend", TEAM, "bob@example.org")
    shows(stage, bend(stage.service.changes))
    assert "the history of team@lists.example" in stage.fails("alice", "members", TEAM)


def test_a_history_that_ends_before_its_head_is_noticed(stage: Stage) -> None:
    stage.team("bob")

    def lie(name: str, response: Response) -> Response:
        if name != "GetChanges" or not isinstance(response, GetChangesResponse):
            return response
        return GetChangesResponse(changes=(), head=response.head)

    stage.service.lie = lie
    assert "shows less of the history" in stage.fails("alice", "members", TEAM)


def test_a_change_that_was_taken_elsewhere_is_noticed(stage: Stage) -> None:
    stage.team()
    stage.service.lie = lambda name, response: (
        ChangeResponse(head=Head(2, "A" * 43)) if name == "AddMember" else response
    )
    before = stage.keys("alice").pin(TEAM)
    words = stage.fails("alice", "add", TEAM, str(stage.person("bob")))
    assert "SHOWS ANOTHER HISTORY" in words
    assert stage.keys("alice").pin(TEAM) == before


def test_a_longer_history_is_followed_and_remembered(stage: Stage) -> None:
    stage.team("bob")
    for command in ("suspend", "resume") * 6:
        stage.does("alice", command, TEAM, "bob@example.org")
    assert stage.does("alice", "members", TEAM)
    pin = stage.keys("alice").pin(TEAM)
    assert pin is not None
    assert pin.head == Head(14, stage.service.changes[-1].hash)


ANSWERS = [
    b"",
    b"<html>It works!</html>",
    b"[]",
    b"{}",
    b'{"GetKeyResponse":[]}',
    b'{"GetKeyResponse":{"Status":"201"}}',
    b'{"GetKeyResponse":{"Status":201}}',
    b'{"RecryptResponse":{"Status":201}}',
    b'{"RecryptResponse":[]}',
    b'{"HelloResponse":{"Status":201}}',
    b'{"GetKeyResponse":{"Status":500,"StatusDescription":"a\\nb\\u001b[2J"}}',
    b"\xff" * 100,
]


@pytest.mark.parametrize("octets", ANSWERS)
def test_an_answer_that_is_none_is_told_in_one_line(stage: Stage, octets: bytes) -> None:
    answers = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=octets))
    result = stage.run_against(answers, "bob", "key", TEAM)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr
    assert URL in result.stderr


def test_the_words_of_a_refusal_that_names_no_transaction_are_shown(stage: Stage) -> None:
    stated = b'{"RecryptResponse":{"Status":503,"StatusDescription":"Too many at once."}}'
    answers = httpx2.MockTransport(lambda _request: httpx2.Response(503, content=stated))
    result = stage.run_against(answers, "bob", "key", TEAM)
    assert result.exit_code == 1
    assert result.stderr == (
        f"recrypt: {URL} refused GetKey: 503 Too many at once. Try again later.\n"
    )


def test_a_history_that_goes_back_in_the_middle_of_a_command_is_noticed(stage: Stage) -> None:
    stage.team()
    file = str(stage.person("bob"))
    home, pin = stage.keys("alice"), stage.keys("alice").pin(TEAM)
    assert pin is not None
    desk = chains.open_desk(home, Service(URL, stage.service.transport), pin)
    stage.does("alice", "add", TEAM, file)
    shows(stage, stage.service.changes[:1])
    with pytest.raises(Trouble, match="SHOWS ANOTHER HISTORY"):
        chains.current(desk, now=stage.now)


def test_an_answer_without_end_is_cut_off(stage: Stage) -> None:
    endless = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, content=(b" " * 2**20 for _ in range(100)))
    )
    result = stage.run_against(endless, "bob", "key", TEAM)
    assert result.exit_code == 1
    assert "an answer of over" in result.stderr


def test_a_network_that_fails_is_told_in_one_line(stage: Stage) -> None:
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("[Errno 111] Connection refused")

    result = stage.run_against(httpx2.MockTransport(fail), "bob", "key", TEAM)
    assert result.exit_code == 1
    assert result.stderr == (
        f"recrypt: {URL}: [Errno 111] Connection refused. "
        "Check the address and the network, then try again.\n"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("lists.example", "is no address"),
        ("ftp://lists.example", "is no address"),
        ("https://", "is no address"),
        ("https://a b", "is no address"),
        ("http://lists.example", "isn't safe"),
        ("http://192.0.2.1:8080", "isn't safe"),
    ],
)
def test_only_an_address_that_is_safe_is_called(stage: Stage, url: str, words: str) -> None:
    assert words in stage.fails("bob", "key", TEAM, "--service", url)
    assert stage.service.asked == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]/x", "http://localhost"])
def test_loopback_is_called_without_tls(stage: Stage, url: str) -> None:
    stage.team()
    stage.does("bob", "key", TEAM, "--service", "https://lists.example/")
    result = stage.run("bob", "key", TEAM, "--service", url)
    assert "isn't safe" not in result.stderr
