"""Ctrl-C amid a long command, on a real terminal: the same command goes on from there."""

import json
import os
import pty
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.groups import make_profiles
from tests.end_to_end.programs import BIN, DOMAIN, PATIENCE, ListServer, Person, new_person

TEAM = f"team@{DOMAIN}"
MANY = 1400
A_CHANGE = 1000  # members in the first change


class AtTerminal:
    """A command whose terminal is ours; what it shows is read all the time, and kept."""

    def __init__(self, person: Person, *words: str | Path) -> None:
        self._ours, its = pty.openpty()
        self.process = subprocess.Popen(
            # A session whose terminal this is, as a shell has it: Ctrl-C there becomes SIGINT.
            ["/usr/bin/setsid", "--ctty", "--wait", BIN / "recrypt", *words],
            stdin=its,
            stdout=its,
            stderr=its,
            env={**os.environ, "RECRYPT_HOME": str(person.folder / "home"), "TERM": "xterm"},
        )
        os.close(its)
        self.shown = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def press_ctrl_c(self) -> None:
        """Do as a person does who has waited long enough."""
        os.write(self._ours, b"\x03")

    def wait(self) -> int:
        """Wait until it has ended; give its exit status."""
        self._reader.join(PATIENCE)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        with suppress(OSError):  # Linux, when nobody has the other end any more
            while octets := os.read(self._ours, 2**16):
                self.shown += octets.decode("utf-8", "replace")


def test_who_was_added_before_ctrl_c_stays_and_the_same_command_adds_the_others(
    server: ListServer, tmp_path: Path
) -> None:
    alice = new_person(tmp_path, "alice@example.org")
    server.authorize(alice.profile)
    server.start()
    alice.recrypt("create", TEAM, "--service", server.url)
    profiles = make_profiles(tmp_path / "profiles", MANY)
    with closing(AtTerminal(alice, "add", TEAM, *profiles)) as adding:
        server.program.wait_for("kind='AddMember' status=201")
        adding.press_ctrl_c()
        assert adding.wait() == 1
    assert adding.shown.rstrip().endswith("give the same command again to go on.")
    assert "Traceback" not in adding.shown
    members = json.loads(alice.recrypt("members", TEAM, "--json"))["Members"]
    assert len(members) == 1 + A_CHANGE
    with closing(AtTerminal(alice, "add", TEAM, *profiles)) as adding:
        assert adding.wait() == 0
    assert adding.shown.count(f"added to {TEAM}") == MANY - A_CHANGE
    assert adding.shown.count("was so already") == A_CHANGE
    checks = json.loads(alice.recrypt("verify", TEAM, "--json"))["Checks"]
    assert {each["Result"] for each in checks} == {"ok"}
