"""kill -9 in the midst of `recrypt rekey`: the same command goes on, and nobody loses anything."""

import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest

from recrypt_client import sharing
from recrypt_client.cli import main
from recrypt_client.commands.frame import Outside
from recrypt_core import limits
from recrypt_core.chain import GroupState
from tests.client.honest_service import HonestService
from tests.client.stage import TEAM, Stage

PEOPLE = ("alice", "bob", "carol")
WRITES = os.O_WRONLY | os.O_RDWR
KILLED = -signal.SIGKILL


@dataclass
class Door:
    """The honest service on a port of loopback, and who is killed at its n-th request."""

    server: HTTPServer
    stage: Stage
    victim: int = 0
    left: int = 0
    is_done: bool = False

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request, unless its sender is to die before it is done or before it hears."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.left -= 1
        if self.left == 0 and not self.is_done:
            os.kill(self.victim, signal.SIGKILL)
            return
        headers = {"Content-Type": request.headers["Content-Type"]}
        asked = httpx2.Request("POST", self.stage.service.url + request.path, content=body)
        asked.headers.update(headers)
        answer = self.stage.service.transport.handle_request(asked)
        if self.left == 0:
            os.kill(self.victim, signal.SIGKILL)
            return
        octets = answer.read()
        request.send_response(answer.status_code)
        request.send_header("Content-Length", str(len(octets)))
        request.end_headers()
        request.wfile.write(octets)

    def rekey(self, *, at_request: int = 0, is_done: bool = False, at_step: int = 0) -> bool:
        """Run the command in a process of its own; tell whether it was killed."""
        self.left, self.is_done = at_request, is_done
        ends, signs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ends)
            run(self.stage, at_step)
        os.close(signs)
        self.victim = child
        while True:
            ready, _, _ = select.select([self.server.fileno(), ends], [], [])
            if ready == [ends]:
                break
            self.server.handle_request()
        os.close(ends)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, KILLED)
        return status == KILLED


def run(stage: Stage, at_step: int) -> None:
    """Give the command, and die before its n-th step on a file of the home."""
    home, left = str(stage.home("alice")), [at_step]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        is_step = is_write or event in {"os.rename", "os.remove"}
        if is_step and str(arguments[0]).startswith(home):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        main(["rekey", TEAM, "--home", home], obj=Outside(now=lambda: stage.now))
    except SystemExit as end:
        os._exit(0 if end.code in (0, None) else 1)
    except BaseException:  # noqa: BLE001 - the parent asserts on it
        os._exit(1)
    os._exit(0)


@dataclass
class Before:
    """All that there is before a rekey, to begin again with."""

    stage: Stage
    folder: Path
    state: GroupState | None = None
    changes: int = 0
    halves: set[object] = field(default_factory=set)

    def keep(self) -> None:
        """Keep it."""
        service = self.stage.service
        self.state, self.changes, self.halves = (
            service.state,
            len(service.changes),
            {*service.halves},
        )
        shutil.copytree(self.stage.home("alice"), self.folder)

    def bring_back(self) -> None:
        """Bring it back."""
        service = self.stage.service
        service.state, service.changes = self.state, service.changes[: self.changes]
        service.halves = {udf: each for udf, each in service.halves.items() if udf in self.halves}
        shutil.rmtree(self.stage.home("alice"))
        shutil.copytree(self.folder, self.stage.home("alice"))


@pytest.fixture
def door(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Let Alice make the team at a service with a port, whose changes hold one member each."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.answer(self)

        def log_message(self, *_words: object) -> None:
            """Tell nobody."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        stage.service = HonestService(url)
        made = Door(server, stage)
        stage.person("alice")
        stage.does("alice", "create", TEAM, "--service", url)
        stage.does("alice", "add", TEAM, *(str(stage.person(name)) for name in PEOPLE[1:]))
        monkeypatch.setattr(limits, "REQUEST_ENTRIES", 2)
        yield made


def assert_good(stage: Stage) -> None:
    """Check that the group has one new key, that all can read it, and that no key is lost."""
    state = stage.service.state
    assert state is not None
    assert state.key.document.generation == 2
    assert state.lacking(state.key.udf) == 0
    home = stage.keys("alice")
    assert not home.names("groups/*.rekey")
    for udf in (state.key.udf, state.past_keys[0].udf):
        assert home.agreement_key(udf) is not None
        assert sharing.open_keys(state, home.device_keys()).has(udf)
    assert stage.run("alice", "verify", TEAM).exit_code == 0
    post = stage.sealed()
    for name in PEOPLE[1:]:
        assert b"At one?" in stage.does(name, "read", stdin=stage.copy(post, name))


def kills(door: Door, kill: Callable[[int], bool]) -> int:
    """Kill the command later and later, until it comes to its end; tell how often it was."""
    stage = door.stage
    before = Before(stage, stage.folder / "before")
    before.keep()
    count = 0
    while kill(count + 1):
        count += 1
        is_over = stage.service.state is not before.state and not _under_way(stage)
        if not is_over:  # else only the words were missing, and the command would make a third key
            result = stage.run("alice", "rekey", TEAM)
            assert result.exit_code == 0, (count, result.output)
        assert_good(stage)
        before.bring_back()
    assert_good(stage)
    return count


def _under_way(stage: Stage) -> bool:
    state = stage.service.state
    return (
        state is None
        or state.key.document.generation == 1
        or bool(stage.keys("alice").names("groups/*.rekey"))
    )


@pytest.mark.parametrize("is_done", [False, True], ids=["unsent", "unheard"])
def test_killed_at_any_request_it_goes_on(door: Door, is_done: bool) -> None:
    """History, newer profiles, three pages of entries and the switch, each with a look after."""
    count = kills(door, lambda number: door.rekey(at_request=number, is_done=is_done))
    assert count >= 8


def test_killed_at_any_write_of_its_own_it_goes_on(door: Door) -> None:
    """The next key, the rekey's own file, and the pin after each change."""
    assert kills(door, lambda number: door.rekey(at_step=number)) >= 14
