"""Measure RecryptData requests a second, beside a bare Starlette handler doing one exchange.

    python -m benchmarks.recrypting [--requests 1000] [--rounds 5] [--connections 8] [--json]

Ours is `listserver serve` with its store on a real disk (see --folder): each answer comes after
the commit of its row in the audit log was synced. The other one is Starlette on uvicorn, which
reads the same request as JSON, believes all of it, does one exchange and answers with the result.
Each is a process of its own; requests come over kept connections, one at a time on each, to one
server after the other. No two requests are the same; they are signed before the clock starts. The
ratio is the median of the rounds' ratios.
"""

import argparse
import asyncio
import json
import multiprocessing
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.acceptance import (
    Figures,
    make_folder,
    make_profile,
    processor_seconds,
    ratio_of,
    run,
    serving,
    table,
)
from benchmarks.ports import free_port
from benchmarks.sender import HOST, LIST
from recrypt_client import clock
from recrypt_client.home import Home
from recrypt_client.service import Service
from recrypt_core.documents import UserDecryptionEntry
from recrypt_core.encoding import read_b64url, read_json, write_b64url
from recrypt_core.keys import Curve, PrivateKey, PublicKey
from recrypt_core.messages import GetEntry, GetEntryResponse, RecryptData, write_message
from recrypt_core.records import MergedRecipient, RecipientHeader
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import request_body, sign_request
from recrypt_core.udf import Udf
from recrypt_core.wire import EphemeralKey

OURS: Final = "listserver"
PLAIN: Final = "starlette"
PATH: Final = "/.well-known/recrypt"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
DONE: Final = b"HTTP/1.1 201 "
QUOTAS: Final = "recryptions_per_member = 1000000\nrecryptions_per_group = 1000000\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one round."""

    requests: int
    connections: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under load: its process and its port."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Member:
    """Who asks: a member with an entry for the group's key."""

    udf: Udf
    key: SignaturePrivateKey
    entry: UserDecryptionEntry
    group_key: PublicKey
    url: str

    def bodies(self, count: int) -> list[bytes]:
        """Sign so many requests, each about another envelope."""
        return [self._body() for _ in range(count)]

    def _body(self) -> bytes:
        (recipient,) = seal(b"", [self.group_key]).recipients
        kid, epk = self.group_key.udf, recipient.epk
        header = RecipientHeader(
            alg=recipient.wrap.alg, kid=kid, epk=EphemeralKey(epk.curve, epk.x, epk.y)
        )
        message = RecryptData(
            member_udf=self.udf,
            member_key_udf=self.entry.member_key_udf,
            group_key_id=kid,
            recipient=MergedRecipient(
                header=header, encrypted_key=write_b64url(recipient.encrypted_key)
            ),
        )
        now = clock.now()
        return request_body(
            sign_request(write_message(message), self.key, url=self.url, now=now), {}
        )


@contextmanager
def list_server(folder: Path) -> Iterator[tuple[Peer, Member]]:
    """Run our server with a group, and give its first member."""
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))  # and never listens: that port refuses
        relay, port = nobody.getsockname()[1], free_port()
        config = make_folder(folder, relay, url := f"http://{HOST}:{port}")
        text = config.read_text()
        if "[service]\n" not in text:
            raise SystemExit("listserver.toml has no [service] any more: mend this benchmark")
        config.write_text(text.replace("[service]\n", f"[service]\n{QUOTAS}"))
        profile = make_profile(folder, "m@example.org")
        run("listserver", "authorize", profile, "--config", config)
        with serving(config) as peer:
            run("recrypt", "create", LIST, "--service", url, home=profile.parent)
            run("recrypt", "key", LIST, "--out", folder / "key.json", home=profile.parent)
            key = PublicKey.from_jwk(read_json((folder / "key.json").read_bytes(), limit=2**16))
            yield Peer(peer.pid, port), member_of(Home(profile.parent / "home"), url, key)


def member_of(home: Home, url: str, group_key: PublicKey) -> Member:
    """Fetch the entry of whose home this is."""
    profile = home.profile()
    key = home.signing_key(profile)
    request = GetEntry(group_id=LIST)
    signed = sign_request(write_message(request), key, url=url, now=clock.now())
    with Service(url) as service:
        found = service.send(request_body(signed, {}), request.transaction, GetEntryResponse)
    (entry,) = found.entries
    return Member(profile.identifier, key, entry, group_key, url)


def serve_plain(told: Connection) -> None:
    """Run Starlette with one handler, and tell its port."""
    half = PrivateKey.generate(Curve.X25519)

    async def endpoint(request: Request) -> JSONResponse:
        payload = json.loads(read_b64url(json.loads(await request.body())["payload"]))
        epk = payload["RecryptDataRequest"]["Recipient"]["header"]["epk"]
        partial = half.exchange(PublicKey.from_jwk(epk))
        return JSONResponse({"Status": 201, "Partial": write_b64url(partial)}, 201)

    application = Starlette(routes=[Route(PATH, endpoint, methods=["POST"])])
    listening = socket.create_server((HOST, 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    told.send(listening.getsockname()[1])
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run([listening])


@contextmanager
def plain_server() -> Iterator[Peer]:
    """Run Starlette in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=serve_plain, args=(its,), daemon=True)
    process.start()
    its.close()
    try:
        yield Peer(process.pid or 0, ours.recv())
    finally:
        process.terminate()
        process.join()


async def talk(port: int, bodies: Iterator[bytes]) -> None:
    """Send requests over one connection, each when the last one was answered."""
    reader, writer = await asyncio.open_connection(HOST, port)
    for body in bodies:
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/jose+json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(answer)
        content = await reader.readexactly(int(length[1]) if length else 0)
        if not answer.startswith(DONE):
            raise ValueError(f"refused: {content.decode('utf-8', 'replace')}")
    writer.close()
    await writer.wait_closed()


async def talk_all(port: int, bodies: Sequence[bytes], connections: int) -> None:
    """Send requests over so many connections at once."""
    left = iter(bodies)
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(talk(port, left))


def measured(peer: Peer, member: Member, load: Load) -> Figures:
    """Send one round to a server."""
    bodies = member.bodies(load.requests)
    before, begun = processor_seconds(peer.pid), time.perf_counter()
    asyncio.run(talk_all(peer.port, bodies, load.connections))
    seconds = time.perf_counter() - begun
    spent = processor_seconds(peer.pid) - before
    return Figures(load.requests / seconds, spent / load.requests * 1e6)


def compare(load: Load, rounds: int, folder: Path) -> dict[str, list[Figures]]:
    """Send rounds to the two servers in turn, after a short one to each."""
    with list_server(folder) as (ours, member), plain_server() as plain:
        for peer in (ours, plain):
            measured(peer, member, Load(load.connections, load.connections))
        pairs = [
            (measured(ours, member, load), measured(plain, member, load)) for _ in range(rounds)
        ]
        return {OURS: [pair[0] for pair in pairs], PLAIN: [pair[1] for pair in pairs]}


def main(arguments: list[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="RecryptData a second, beside bare Starlette.")
    for name, default, words in (
        ("--requests", 1000, "in a round"),
        ("--rounds", 5, "for each server"),
        ("--connections", 8, "kept ones"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{words} (default {default})")
    parser.add_argument(
        "--folder", type=Path, help="for the store (default: the system's for files)"
    )
    parser.add_argument("--json", action="store_true", help="figures for a program")
    asked = parser.parse_args(arguments)
    load = Load(asked.requests, asked.connections)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        found = compare(load, asked.rounds, Path(folder))
    if asked.json:
        rounds = {name: [asdict(each) for each in figures] for name, figures in found.items()}
        sys.stdout.write(json.dumps({"rounds": rounds, "ratio": ratio_of(found)}, indent=2) + "\n")
    else:
        sys.stdout.write(table(found, of="request") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
