"""`listserver`, which kills itself at a named point of its code: run as a program of its own.

    python named_points.py POINT N serve --config FILE

It wraps the function at the point from outside, so that the product has no switch for it, and
passes N - 1 times. Kill -9, so nothing is tidied up.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sized
from typing import Final

from listserver import replies
from listserver.cli import main
from listserver.delivering import Delivering
from listserver.edges.sessions import SmtpSession
from listserver.edges.sqlite import SqliteTables
from listserver.edges.wire import Wire
from listserver.forwarding import Forwarding
from listserver.mailing import Mailing
from listserver.posting import Posting

# What a point asks of a call: its arguments, and its result or None before it.
Condition = Callable[[tuple[object, ...], object], bool]


class Point:
    """A place in the code, of which the Nth passing is the last."""

    def __init__(self, number: int) -> None:
        """Count from one."""
        self._left = number

    def passed(self) -> None:
        """End everything, the Nth time."""
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: type, name: str, meant: Condition) -> None:
        """Stand where a method begins."""
        method = getattr(owner, name)

        async def wrapped(*arguments: object, **named: object) -> object:
            if meant(arguments, None):
                self.passed()
            return await method(*arguments, **named)

        _replace(owner, name, wrapped)

    def at_start(self, owner: type, name: str) -> None:
        """Stand where a method that tries some is first asked, once for each of them."""
        method = getattr(owner, name)

        async def wrapped(queue: object, frame: object, some: Sized) -> AsyncIterator[object]:
            for _ in range(len(some)):
                self.passed()
            async for each in method(queue, frame, some):
                yield each

        _replace(owner, name, wrapped)

    def at_each(self, owner: type, name: str) -> None:
        """Stand where it gives one."""
        method = getattr(owner, name)

        async def wrapped(*arguments: object) -> AsyncIterator[object]:
            async for each in method(*arguments):
                self.passed()
                yield each

        _replace(owner, name, wrapped)

    def after(self, owner: type, name: str, meant: Condition) -> None:
        """Stand where a method has returned."""
        method = getattr(owner, name)

        async def wrapped(*arguments: object, **named: object) -> object:
            result = await method(*arguments, **named)
            if meant(arguments, result):
                self.passed()
            return result

        _replace(owner, name, wrapped)


def always(_arguments: tuple[object, ...], _result: object) -> bool:
    """Mean every call."""
    return True


def accepts(arguments: tuple[object, ...], result: object) -> bool:
    """Mean a 250 to a post: what was decided, or what was said."""
    return replies.ACCEPTED in (result, *arguments)


def claims(_arguments: tuple[object, ...], result: object) -> bool:
    """Mean a claim that has taken something."""
    return result is not None


class DotSent:
    """Means the wait for the reply to the final dot."""

    def __init__(self) -> None:
        """See what is sent."""
        self._sent = set[object]()
        say = Wire.say

        def seen(wire: Wire, octets: Iterable[bytes | memoryview]) -> None:
            said = list(octets)
            say(wire, said)
            (self._sent.add if b".\r\n" in said else self._sent.discard)(wire)

        _replace(Wire, "say", seen)

    def __call__(self, arguments: tuple[object, ...], _result: object) -> bool:
        """Tell whether the dot was in what was written last, with another mail behind it or not."""
        return arguments[0] in self._sent


def _replace(owner: type, name: str, function: Callable[..., object]) -> None:
    setattr(owner, name, function)


POINTS: Final[dict[str, Callable[[Point], None]]] = {
    "enqueued": lambda point: point.after(SqliteTables, "enqueue", always),
    "committed": lambda point: point.after(Posting, "receive", accepts),
    "answered": lambda point: point.after(SmtpSession, "say", accepts),
    "claimed": lambda point: point.after(Delivering, "claim", claims),
    "begun": lambda point: point.at_start(Delivering, "attempt"),
    "dot-sent": lambda point: point.before(Wire, "reply", DotSent()),
    "replied": lambda point: point.at_each(Delivering, "attempt"),
    "to-record": lambda point: point.before(Delivering, "record", always),
    "recording": lambda point: point.after(SqliteTables, "record", always),
    "recorded": lambda point: point.after(Delivering, "record", always),
}
# The same of letters, which the operator's mail is one kind of.
LETTER_POINTS: Final[dict[str, Callable[[Point], None]]] = {
    "letter-enqueued": lambda point: point.after(SqliteTables, "enqueue_letter", always),
    "letter-committed": lambda point: point.after(Forwarding, "receive", accepts),
    "letter-answered": lambda point: point.after(SmtpSession, "say", accepts),
    "letter-claimed": lambda point: point.after(Mailing, "claim", claims),
    "letter-begun": lambda point: point.at_start(Mailing, "attempt"),
    "letter-dot-sent": lambda point: point.before(Wire, "reply", DotSent()),
    "letter-replied": lambda point: point.at_each(Mailing, "attempt"),
    "letter-to-record": lambda point: point.before(Mailing, "record", always),
    "letter-recording": lambda point: point.after(SqliteTables, "record_letters", always),
    "letter-recorded": lambda point: point.after(Mailing, "record", always),
}

if __name__ == "__main__":
    (POINTS | LETTER_POINTS)[sys.argv[1]](Point(int(sys.argv[2])))
    sys.argv[:] = ["listserver", *sys.argv[3:]]
    main()
