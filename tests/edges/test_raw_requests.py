"""Requests as octets on a socket: where one ends is never in doubt, so none hides in another.

A proxy before the service may read two lengths of a body differently than the service does; what
follows the shorter one would then be a request of its own, in another's name.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from listserver.config import ServiceSettings
from listserver.edges import heads
from listserver.edges.service import PATH, Service, open_socket
from listserver.sections import Endpoint
from tests.fakes import Bench, open_bench

HELLO: Final = '{"Hello":{}}'
LENGTH: Final = f"Content-Length: {len(HELLO)}"
CHUNKED: Final = "Transfer-Encoding: chunked"
CHUNKS: Final = f"c\r\n{HELLO}\r\n0\r\n\r\n"


def request(*fields: str, body: str, line: str = f"POST {PATH} HTTP/1.1") -> str:
    head = [line, "Host: lists.example", "Content-Type: application/json", *fields]
    return "\r\n".join([*head, "", body])


HIDDEN: Final = request(LENGTH, body=HELLO)  # what would be answered if it got through

TWO_LENGTHS: Final = {
    "a length and chunks": request(LENGTH, CHUNKED, body=CHUNKS + HIDDEN),
    "chunks and a length": request(CHUNKED, "Content-Length: 4", body=CHUNKS + HIDDEN),
    "no chunks, but a length": request("Content-Length: 6", CHUNKED, body="0\r\n\r\n" + HIDDEN),
    "two lengths": request(LENGTH, "Content-Length: 0", body=HELLO + HIDDEN),
    "a length twice": request(LENGTH, LENGTH, body=HELLO + HIDDEN),
    "a list of lengths": request(f"{LENGTH}, {len(HELLO)}", body=HELLO + HIDDEN),
    "a length in a trailer": request(CHUNKED, body=f"c\r\n{HELLO}\r\n0\r\n{LENGTH}\r\n\r\n"),
    "a length behind a bare CR": request("X: y\rContent-Length: 0", LENGTH, body=HELLO),
}
LENGTHS: Final = ("+12", "-1", "0x0c", "1 2", "12 a", "", "9" * 40, "1e1", "12;")
ENCODINGS: Final = (
    "xchunked", "identity", "chunked, identity", "chunked, chunked", "chunked;q=1",
    "chunked\r\nTransfer-Encoding: identity", "\r\n chunked", '"chunked"', "\x0bchunked",
)  # fmt: skip
CHUNK_TRICKS: Final = {
    "a size with 0x": f"0xc\r\n{HELLO}\r\n0\r\n\r\n",
    "a size with +": f"+c\r\n{HELLO}\r\n0\r\n\r\n",
    "a size below zero": f"-1\r\n{HELLO}\r\n0\r\n\r\n",
    "a size of 80 bits": f"{'f' * 20}\r\n{HELLO}\r\n0\r\n\r\n",
    "a size and a space": f"c \r\n{HELLO}\r\n0\r\n\r\n",
    "a size too small": f"b\r\n{HELLO}\r\n0\r\n\r\n",
    "a size too large": f"d\r\n{HELLO}\r\n0\r\n\r\n",
    "no size": f"\r\n{HELLO}\r\n0\r\n\r\n",
    "bare line feeds": f"c\n{HELLO}\n0\n\n",
    "a line feed in an extension": f"c;a\nb\r\n{HELLO}\r\n0\r\n\r\n",
    "a trailer that is none": f"c\r\n{HELLO}\r\n0\r\nX\r\n\r\n",
}
HEADS: Final = {
    "bare line feeds": HIDDEN.replace("\r\n", "\n"),
    "a NUL": request("X: a\0b", LENGTH, body=HELLO),
    "a field without a colon": request("X", LENGTH, body=HELLO),
    "a space before the colon": request("Transfer-Encoding : chunked", body=CHUNKS + HIDDEN),
    "a space in a name": request("X Y: z", LENGTH, body=HELLO),
    "a folded line": request(" X: z", LENGTH, body=HELLO),
    "a version that isn't": request(LENGTH, body=HELLO, line=f"POST {PATH} HTTP/1.2"),
    "another protocol": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS where there is none": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a tunnel": request(line="CONNECT lists.example:80 HTTP/1.1", body=""),
}
REFUSED: Final = {
    "two lengths": TWO_LENGTHS,
    "no length": {
        each: request(f"Content-Length: {each}", body=HELLO + HIDDEN) for each in LENGTHS
    },
    "encodings": {
        each: request(f"Transfer-Encoding: {each}", body=CHUNKS + HIDDEN) for each in ENCODINGS
    },
    "chunks": {name: request(CHUNKED, body=body + HIDDEN) for name, body in CHUNK_TRICKS.items()},
    "heads": HEADS,
}
TAKEN: Final = {
    "a length": HIDDEN,
    "chunks": request(CHUNKED, body=CHUNKS),
    "chunks with an extension": request(CHUNKED, body=CHUNKS.replace("c\r", "c;a=b\r")),
    "chunks of one octet": request(
        CHUNKED, body="".join(f"1\r\n{each}\r\n" for each in HELLO) + "0\r\n\r\n"
    ),
}


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture
async def port(bench: Bench) -> AsyncIterator[int]:
    """Serve on a real socket, and stop."""
    here = Endpoint("127.0.0.1", 0)
    bound = open_socket(here)
    service = Service(bench.transactions, ServiceSettings(here, None, None), bench.log)
    task = asyncio.create_task(service.run(bound))
    yield int(bound.getsockname()[1])
    service.stop()
    await asyncio.wait_for(task, 5)


async def exchange(port: int, text: str, *, end: bytes = b"") -> bytes:
    """Send octets, and read to the end of the connection or of an answer that ends so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode("latin-1"))
    try:
        async with asyncio.timeout(10):
            return await (reader.readuntil(end) if end else reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


def transactions(bench: Bench) -> int:
    return sum(name == "transaction" for name, _ in bench.log.events)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", REFUSED)
async def test_what_has_no_clear_end_is_refused_and_the_connection_with_it(
    bench: Bench, port: int, kind: str
) -> None:
    for name, text in REFUSED[kind].items():
        answer = await exchange(port, text)
        assert answer.startswith(b"HTTP/1.1 400 "), name
        assert answer.count(b"HTTP/1.1") == 1, name
        assert not transactions(bench), name


@pytest.mark.asyncio
async def test_what_has_one_is_answered_and_the_next_on_the_connection_too(
    bench: Bench, port: int
) -> None:
    last = request("Connection: close", LENGTH, body=HELLO)
    for name, text in TAKEN.items():
        before = transactions(bench)
        answer = await exchange(port, text + last)
        assert answer.count(b"HTTP/1.1 201 ") == answer.count(b"HTTP/1.1 ") == 2, name
        assert transactions(bench) == before + 2, name


@pytest.mark.asyncio
async def test_what_comes_behind_a_body_that_was_refused_unread_is_none_of_its_octets(
    bench: Bench, port: int
) -> None:
    large = HIDDEN.ljust(10_000)
    last = request("Connection: close", LENGTH, body=HELLO)
    refused = request(f"Content-Length: {len(large)}", body=large)
    answer = await exchange(port, refused + last)
    assert answer.count(b"HTTP/1.1 413 ") == 1
    assert answer.count(b"HTTP/1.1 201 ") == transactions(bench) <= 1


@pytest.mark.asyncio
async def test_a_body_in_pieces_is_put_together_and_others_are_served_meanwhile(
    bench: Bench, port: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in HIDDEN:
        writer.write(each.encode())
        await writer.drain()
        if each == "{":
            await exchange(port, HIDDEN, end=b"}}}")
    answer = await reader.readuntil(b"}}}")
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert transactions(bench) == 3
    writer.close()
    await writer.wait_closed()


async def cut_off(port: int, octets: bytes) -> bool:
    """Send octets and nothing more; tell whether the connection ended without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(octets)
        async with asyncio.timeout(10):
            return await reader.read() == b""
    except ConnectionError:
        return True
    finally:
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("field", [b"X-Long: " + b"x" * 2**18, b"X-Many: x\r\n" * 2**15])
async def test_a_head_without_end_is_cut_off(port: int, field: bytes) -> None:
    assert await cut_off(port, f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode() + field)


@pytest.mark.asyncio
@pytest.mark.parametrize("octets", [b"", b"POST ", f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()])
async def test_who_sends_no_whole_head_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, port: int, octets: bytes
) -> None:
    monkeypatch.setattr(heads, "HEAD_TIMEOUT", timedelta(milliseconds=50))
    assert await cut_off(port, octets)


@pytest.mark.asyncio
async def test_a_request_whose_body_comes_late_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(heads, "HEAD_TIMEOUT", timedelta(milliseconds=50))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n".encode())
    await asyncio.sleep(0.1)
    writer.write(b"{}")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
