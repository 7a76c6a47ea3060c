"""How a service is called, and followed; what it lies about is in test_malicious_service.py."""

import httpx2
import pytest

from recrypt_client import chains
from recrypt_client.errors import Trouble
from recrypt_client.service import Service
from recrypt_core.documents import Head
from recrypt_core.messages import GetChangesResponse
from tests.client.stage import TEAM, URL, Stage


def test_a_longer_history_is_followed_and_remembered(stage: Stage) -> None:
    stage.team("bob")
    for command in ("suspend", "resume") * 6:
        stage.does("alice", command, TEAM, "bob@example.org")
    assert stage.does("alice", "members", TEAM)
    pin = stage.keys("alice").pin(TEAM)
    assert pin is not None
    assert pin.head == Head(14, stage.service.changes[-1].hash)


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
    first = stage.service.changes[0]
    stage.service.lie = lambda name, response: (
        GetChangesResponse(changes=(first,), head=Head(1, first.hash))
        if name == "GetChanges"
        else response
    )
    with pytest.raises(Trouble, match="SHOWS ANOTHER HISTORY"):
        chains.current(desk, now=stage.now)


def test_a_network_that_fails_is_told_in_one_line(stage: Stage) -> None:
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("[Errno 111] Connection refused")

    result = stage.run_against(httpx2.MockTransport(fail), "bob", "key", TEAM, "--service", URL)
    assert result.exit_code == 1
    assert result.stderr == (
        f"recrypt: {URL}: [Errno 111] Connection refused. "
        "Check the address and the network, then try again.\n"
    )
    guessed = stage.run_against(httpx2.MockTransport(fail), "bob", "key", TEAM)
    assert guessed.exit_code == 1
    assert guessed.stderr == (
        f"recrypt: {URL}: [Errno 111] Connection refused. {TEAM} isn't known in "
        f"{stage.home('bob')}: if its service is elsewhere, name it with --service URL.\n"
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
