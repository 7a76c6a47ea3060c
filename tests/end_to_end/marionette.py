"""Thunderbird without a window, which is asked and told things by Mozilla's remote protocol."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import Program


@contextmanager
def thunderbird(profile: Path, port: int) -> Iterator["Marionette"]:
    """Run Thunderbird with a profile whose settings name the port, until the block ends."""
    program = Program(
        "env", f"HOME={profile}", "thunderbird", "--headless", "--no-remote",
        "--marionette", "--remote-allow-system-access", "--profile", profile,
    )  # fmt: skip
    try:
        program.wait_for(rf"Listening on port {port}")
        with Marionette(port) as marionette:
            yield marionette
    finally:
        program.stop()


class Marionette:
    """The few words of Mozilla's remote protocol that a test needs."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection((LOCALHOST, port), timeout=60)
        self._stream = self._connection.makefile("rb")
        self._read()
        self._ask("WebDriver:NewSession", {})
        self._ask("Marionette:SetContext", {"value": "chrome"})

    def __enter__(self) -> "Marionette":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._connection.close()

    def script(self, text: str, *arguments: str) -> object:
        """Run a script in Thunderbird itself; give what it calls its last argument with."""
        stated = {"script": text, "args": list(arguments), "newSandbox": True}
        answer = self._ask("WebDriver:ExecuteAsyncScript", stated)
        return answer["value"] if isinstance(answer, dict) else answer

    def install(self, addon: Path) -> str:
        """Install an extension, without the questions that a person is asked; give its id."""
        stated = {"path": str(addon), "temporary": False}
        answer = self._ask("Addon:Install", stated)
        assert isinstance(answer, dict), answer
        return str(answer["value"])

    def _ask(self, command: str, stated: Mapping[str, object]) -> object:
        octets = json.dumps([0, 1, command, stated]).encode()
        self._connection.sendall(b"%d:%b" % (len(octets), octets))
        _, _, problem, answer = self._read()
        assert problem is None, problem
        return answer

    def _read(self) -> list[object]:
        count = b""
        while (octet := self._stream.read(1)) not in (b":", b""):
            count += octet
        answer = json.loads(self._stream.read(int(count)))
        return list(answer)
