"""What stands around the programs on loopback: the next mail host, taps on the wire."""

import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.end_to_end.programs import PATIENCE

LOCALHOST: Final = "127.0.0.1"
READ_OCTETS: Final = 2**20


@dataclass(frozen=True)
class Mail:
    """One mail, as the next host got it."""

    sender: str
    recipient: str
    octets: int
    content: bytes


def is_open(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0


class Listener(socketserver.ThreadingTCPServer):
    """Has a port at once, and refuses every connection; from `start` on it serves them."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        super().__init__((LOCALHOST, 0), socketserver.BaseRequestHandler, bind_and_activate=False)
        self.server_bind()
        self.port = int(self.server_address[1])
        self._serve = serve
        self._connections: set[socket.socket] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and serve each connection in a thread of its own."""
        self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """End all connections."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.hang_up()
        self.server_close()

    def hang_up(self) -> None:
        """End the connections that there are."""
        for connection in tuple(self._connections):
            hang_up(connection)

    def finish_request(self, request: object, client_address: object) -> None:
        """Serve one connection."""
        assert isinstance(request, socket.socket), client_address
        self._connections.add(request)
        try:
            self._serve(request)
        except OSError:
            return  # the other side was killed
        finally:
            self._connections.discard(request)


class MailHost:
    """The host that the list server hands its mail to: takes everything, and keeps it."""

    def __init__(self, keep: Callable[[bytes], bytes] = bytes) -> None:
        """Have a port; `keep` makes of each content, in order, what is kept of it."""
        self._keep = keep
        self._mails: list[Mail] = []
        self._refused: dict[str, str] = {}
        self._changed = threading.Condition()
        self._called, self._greets = threading.Event(), threading.Event()
        self._greets.set()
        self._listener = Listener(self._serve)
        self.port = self._listener.port
        self.start = self._listener.start

    def stop(self) -> None:
        """End all connections."""
        self._greets.set()
        self._listener.stop()

    def hang_up(self) -> None:
        """End the connections that there are, and take others."""
        self._listener.hang_up()

    def refuse(self, recipient: str, reply: str) -> None:
        """Answer RCPT for somebody so; "" takes mail again."""
        self._refused[recipient] = reply

    def fall_silent(self) -> None:
        """Take connections, but say nothing on them until `speak`."""
        self._greets.clear()

    def speak(self) -> None:
        """Greet whoever waits."""
        self._greets.set()

    def wait_for_call(self) -> None:
        """Wait for the first connection."""
        assert self._called.wait(PATIENCE)

    @property
    def mails(self) -> list[Mail]:
        """All mail so far."""
        with self._changed:
            return list(self._mails)

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[Mail]:
        """Wait until so many mails are there."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._mails) >= count, seconds)
            assert len(self._mails) >= count, f"{len(self._mails)} mails of {count}"
        return self.mails

    def copies(self) -> dict[str, bytes]:
        """Give what each recipient has got, who must have got one mail."""
        found = {mail.recipient: mail.content for mail in self.mails}
        assert len(found) == len(self.mails), "a mail came twice"
        return found

    def _serve(self, connection: socket.socket) -> None:
        self._called.set()
        self._greets.wait(PATIENCE)
        stream = connection.makefile("rb")
        sender = recipient = ""
        with stream:
            connection.sendall(b"220 mx.example.org ESMTP\r\n")
            for line in stream:
                words = line.decode("ascii").strip()
                match words[:4].upper():
                    case "MAIL":
                        sender = _path(words)
                    case "RCPT":
                        recipient = _path(words)
                    case "DATA":
                        connection.sendall(b"354 go on\r\n")
                        content = bytearray()
                        # Nothing follows the final dot before it is answered.
                        while not content.endswith(b"\r\n.\r\n"):
                            if not (more := stream.read1(READ_OCTETS)):
                                return
                            content += more
                        del content[-3:]
                        self._take(sender, recipient, content)
                    case "QUIT":
                        connection.sendall(b"221 bye\r\n")
                        return
                connection.sendall(self._reply(words))

    def _reply(self, command: str) -> bytes:
        """Answer what has nothing else to be answered."""
        is_rcpt = command[:4].upper() == "RCPT"
        refusal = self._refused.get(_path(command)) if is_rcpt else None
        return f"{refusal or '250 ok'}\r\n".encode()

    def _take(self, sender: str, recipient: str, content: bytearray) -> None:
        if b"\r\n.." in content:
            content = content.replace(b"\r\n..", b"\r\n.")
        with self._changed:
            self._mails.append(Mail(sender, recipient, len(content), self._keep(bytes(content))))
            self._changed.notify_all()


class Tap:
    """Stands between two programs, hands on what each says, and keeps every octet."""

    def __init__(self) -> None:
        self.target = 0
        self.heard = bytearray()
        self._listener = Listener(self._serve)
        self._listener.start()
        self.port, self.stop = self._listener.port, self._listener.stop
        self.url = f"http://{LOCALHOST}:{self.port}"

    def turn_to(self, target: int) -> None:
        """Hand on to another port, and end what was kept open to the last one."""
        self.target = target
        self._listener.hang_up()

    def _serve(self, caller: socket.socket) -> None:
        with socket.create_connection((LOCALHOST, self.target)) as called:
            back = threading.Thread(target=self._hand_on, args=(called, caller))
            back.start()
            self._hand_on(caller, called)
            back.join()

    def _hand_on(self, origin: socket.socket, to: socket.socket) -> None:
        try:
            while octets := origin.recv(READ_OCTETS):
                self.heard += octets
                to.sendall(octets)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            hang_up(origin)
            hang_up(to)


def hang_up(connection: socket.socket) -> None:
    """End a connection, if it stands still."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _path(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]
