"""Commands in one home come one after the other; one that would wait too long says so."""

import io
import stat
from contextlib import ExitStack

from tests.client.stage import TEAM, URL, Stage


def test_a_command_in_a_home_that_is_in_use_says_so(stage: Stage) -> None:
    stage.team()
    with stage.keys("alice").alone():
        words = stage.fails("alice", "members", TEAM)
    assert "another recrypt is at work here" in words
    assert stage.does("alice", "members", TEAM)


def test_a_command_that_waited_goes_on_when_the_other_has_ended(stage: Stage) -> None:
    stage.team()
    with ExitStack() as other:
        other.enter_context(stage.keys("alice").alone())
        stage.pause = other.close
        assert stage.does("alice", "members", TEAM)


def test_other_homes_and_what_only_looks_need_not_wait(stage: Stage) -> None:
    stage.team()
    with stage.keys("alice").alone():
        assert stage.does("alice", "profile", "show")
        assert stage.does("bob", "key", TEAM, "--service", URL)


def test_nobody_holds_the_home_while_reading_a_pipe(stage: Stage) -> None:
    """Else `recrypt decrypt ... | recrypt encrypt -` in one home would wait for itself."""
    stage.team()
    home = stage.keys("alice")

    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            with home.alone(lambda: None):
                return super().read(size)

    commands = (
        ("encrypt", "-", "--to", TEAM),
        ("seal", "--to", TEAM),
        ("read",),
        ("decrypt", "-"),
        ("add", TEAM, "-"),
    )
    for command in commands:
        assert "at work here" not in stage.run("alice", *command, stdin=Pipe(b"x")).stderr


def test_the_lock_is_a_file_of_the_owner_that_stays(stage: Stage) -> None:
    stage.team()
    file = stage.home("alice") / "lock"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == b""
