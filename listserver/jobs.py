"""What passes between the server and its workers: posts and jobs there, answers back.

Both ends are of one program and one machine, so this is no format of the spec's.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from listserver.carrying import Carried, NotBegun
from listserver.copies import Frame
from listserver.model import Half, StoredPost
from listserver.outcomes import Broken, Phase, Refused
from recrypt_core.agreement import Split
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.udf import Udf

_LENGTH_OCTETS: Final = 4  # before each bundle of messages


class _Message(msgspec.Struct, array_like=True, gc=False):
    """One message; it prints as its kind alone, as there are secrets and addresses in some."""

    def __repr__(self) -> str:
        return type(self).__name__


class Begin(_Message, tag=0):
    """To a worker, first: how the relay host is spoken with, as in [relay]."""

    host: str
    port: int
    security: str
    username: str | None
    password: str
    connections: int
    domain: str


class Post(_Message, tag=1):
    """To a worker: what copies of a post have in common, but for its body, which follows."""

    number: int
    curve: str
    x: bytes
    y: bytes
    line: bytes
    line_octets: int
    head: bytes
    tail: bytes


class Piece(_Message, tag=2):
    """To a worker: the next part of a post's body."""

    post: int
    octets: bytes


class Entry(_Message, tag=3):
    """To a worker: a half, which copies are made with from now on."""

    number: int
    address: str
    group_key: str
    member_key: str
    split: Split
    curve: Curve
    r: bytes
    decryption_key: bytes


class Forget(_Message, tag=4):
    """To a worker: no more copies of a post, or with a half; numbers are of either."""

    number: int


class Job(_Message, tag=5):
    """To a worker: make one copy and carry it."""

    number: int
    post: int
    half: int
    return_path: str
    fields: bytes


class Taken(_Message, tag=6):
    """Of a worker: jobs whose copies the relay host has taken; its words are of no use."""

    numbers: list[int]


class Answered(_Message, tag=7):
    """Of a worker: what came of another job."""

    number: int
    kind: str
    phase: str = ""
    code: int = 0
    text: str = ""


Order: TypeAlias = Begin | Post | Piece | Entry | Forget | Job


M = TypeVar("M", bound=_Message)


class WorkerFault(Exception):
    """A worker's own program failed at a copy; the words are the kind of its exception."""


class Bundles(Generic[M]):
    """Finds bundles of messages in what a socket gives, whatever pieces it comes in."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[list[M]]") -> None:
        self._decoder = decoder
        self._heard = bytearray()

    def read(self, octets: bytes | memoryview) -> Iterator[M]:
        """Give the messages of all bundles that are whole now."""
        heard = self._heard
        heard += octets
        start = 0
        while len(heard) - start >= _LENGTH_OCTETS:
            begin = start + _LENGTH_OCTETS
            end = begin + int.from_bytes(heard[start:begin], "big")
            if len(heard) < end:
                break
            yield from self._decoder.decode(bytes(heard[begin:end]))
            start = end
        del heard[:start]


def orders() -> Bundles[Order]:
    """Read what a worker is asked for."""
    return Bundles(msgspec.msgpack.Decoder(list[Order]))


def answers() -> Bundles[Taken | Answered]:
    """Read what workers answer."""
    return Bundles(msgspec.msgpack.Decoder(list[Taken | Answered]))


def bundle(messages: Sequence[Order | Taken | Answered]) -> bytes:
    """Write messages that go out together."""
    octets = msgspec.msgpack.encode(messages)
    return len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets


def post_of(number: int, frame: Frame) -> Post:
    """Write what copies have in common."""
    post = frame.post
    epk = (post.epk.curve.value, post.epk.x, post.epk.y)
    return Post(number, *epk, post.line, post.line_octets, frame.head, frame.tail)


def frame_of(post: Post, body: Sequence[bytes]) -> Frame:
    """Read what copies have in common; what of the post isn't in them is blank."""
    epk = PublicKey(Curve(post.curve), post.x, post.y)
    stored = StoredPost(
        header=b"",
        line=post.line,
        line_octets=post.line_octets,
        group_key=Udf(""),
        epk=epk,
        notice=False,
        list_address="",
        accepted=datetime.fromtimestamp(0, UTC),
    )
    return Frame(stored, post.head, tuple(body), post.tail)


def entry_of(number: int, half: Half) -> Entry:
    """Write a half."""
    return Entry(
        number,
        half.address,
        half.group_key,
        half.member_key,
        half.split,
        half.recryption.curve,
        half.recryption.to_secret_bytes(),
        half.decryption_key,
    )


def half_of(entry: Entry) -> Half:
    """Read a half."""
    return Half(
        entry.address,
        Udf(entry.group_key),
        Udf(entry.member_key),
        entry.split,
        PrivateKey(entry.curve, entry.r),
        entry.decryption_key,
    )


def answered(number: int, carried: Refused | Broken | Exception) -> Answered:
    """Write what came of a job; of an exception its kind alone."""
    match carried:
        case Refused(phase, code, text):
            return Answered(number, "refused", phase.name, code, text)
        case Broken(phase, what):
            return Answered(number, "broken", phase.name, text=what)
        case NotBegun():
            return Answered(number, "not begun")
        case _:
            return Answered(number, "fault", text=type(carried).__name__)


def carried_of(answer: Answered) -> Carried:
    """Read what came of a job."""
    match answer.kind:
        case "refused":
            return Refused(Phase[answer.phase], answer.code, answer.text)
        case "broken":
            return Broken(Phase[answer.phase], answer.text)
        case "not begun":
            return NotBegun()
        case _:
            return WorkerFault(answer.text)
