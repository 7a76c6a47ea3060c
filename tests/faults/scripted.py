"""A next mail host that does at one verb what it is told to, in place of its reply."""

import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import PATIENCE
from tests.faults.house import until
from tests.faults.ledger import name_of

# CONNECT is in place of the greeting, CONTENT in the midst of the content, "." after its end,
# AFTER when the mail was taken and answered with 250.
VERBS: Final = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", ".", "AFTER")
REPLIES: Final = {"CONNECT": b"220 mx.example.org ESMTP", "DATA": b"354 go on"}
CONTENT_END: Final = b"\r\n.\r\n"

# Does something to a connection; False if the session ends with it.
Act = Callable[[socket.socket], bool]


class ScriptedHost(MailHost):
    """Takes all mail, but for what `verb` and `act` do."""

    def __init__(self) -> None:
        """Have a port."""
        super().__init__(name_of)
        self.verb = ""
        self.act: Act = reset
        self.takes = False
        self.acts = 0
        self._counting = threading.Lock()

    def play(self, verb: str, act: Act, *, takes: bool = False) -> None:
        """Do this at this verb from now on. takes: whether, at ".", the mail is taken before it."""
        self.verb, self.act, self.takes, self.acts = verb, act, takes, 0

    def behave(self) -> None:
        """Do nothing but take mail from now on."""
        self.verb = ""

    def wait_for_acts(self, number: int = 1) -> None:
        """Wait until it has been done so often since `play`."""
        assert until(lambda: self.acts >= number), f"{self.acts} at {self.verb}"

    def _serve(self, connection: socket.socket) -> None:
        """Hold one session; how it ends is the act's to say, so it is closed here."""
        try:
            with connection.makefile("rb", buffering=0) as stream:
                self._hold(connection, stream)
        finally:
            connection.close()

    def _hold(self, connection: socket.socket, stream: socket.SocketIO) -> None:
        if not self._meet("CONNECT", connection):
            return
        paths = {"MAIL": "", "RCPT": ""}
        while line := _line_of(stream):
            words = line.decode("ascii").strip()
            verb = words[:4].upper()
            if verb in paths:
                paths[verb] = words.partition("<")[2].partition(">")[0]
            if not self._meet(verb, connection) or verb == "QUIT":
                return
            if verb == "DATA" and not self._content(connection, stream, paths):
                return

    def _content(
        self, connection: socket.socket, stream: socket.SocketIO, paths: dict[str, str]
    ) -> bool:
        """Read a mail, and take it unless something is to be done after its dot."""
        content = bytearray(b"\r\n")
        while not content.endswith(CONTENT_END):
            if self.verb == "CONTENT" and not self._do(connection):
                return False
            if not (more := stream.read(2**16)):
                return False
            content += more
        mail = (paths["MAIL"], paths["RCPT"], content[2:-3])
        if self.verb == ".":
            if self.takes:
                self._take(*mail)
            return self._do(connection)
        self._take(*mail)
        connection.sendall(b"250 ok\r\n")
        return self.verb != "AFTER" or self._do(connection)

    def _meet(self, verb: str, connection: socket.socket) -> bool:
        """Answer a command as one should, or do what is to be done."""
        if verb == self.verb:
            return self._do(connection)
        connection.sendall(REPLIES.get(verb, b"250 ok") + b"\r\n")
        return True

    def _do(self, connection: socket.socket) -> bool:
        act = self.act
        with self._counting:
            self.acts += 1
        return act(connection)


def _line_of(stream: socket.SocketIO) -> bytes:
    """Read a line and nothing after it: the octets after DATA are the content's."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (octet := stream.read(1)):
            return b""
        line += octet
    return bytes(line)


def reset(connection: socket.socket) -> bool:
    """End the connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def say(octets: bytes) -> Act:
    """Say this, and go on."""

    def saying(connection: socket.socket) -> bool:
        connection.sendall(octets)
        return True

    return saying


class Gate:
    """Lets nobody pass until it is opened: an act of reading nothing, and of a late reply."""

    def __init__(self, reply: bytes = b"250 ok\r\n") -> None:
        """Stand closed. reply: what is said when it opens."""
        self._reply = reply
        self._open = threading.Event()
        self.open = self._open.set

    def __call__(self, connection: socket.socket) -> bool:
        """Wait; then say the reply that was due."""
        assert self._open.wait(10 * PATIENCE)
        connection.sendall(self._reply)
        return True
