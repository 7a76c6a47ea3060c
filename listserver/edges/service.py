"""The service over HTTP: one route, bounded bodies, Starlette and uvicorn (spec §5, §6)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import PurePath
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from listserver.config import Endpoint, ServiceSettings
from listserver.ports import Log
from listserver.transactions import Transactions
from recrypt_core import limits, messages

PATH: Final = "/.well-known/recrypt"
PLAIN: Final = "application/json"
SIGNED: Final = "application/jose+json"

_NO_STORE: Final = {"Cache-Control": "no-store"}
_KEEP_ALIVE_SECONDS: Final = 30  # ours
_STOP_SECONDS: Final = 20  # ours: for requests in hand
_BODY_TIMEOUT: Final = timedelta(minutes=2)  # ours: 8 MiB at 560 kbit/s
_PLAIN_OCTETS: Final = 4096  # ours: Hello and GetKey need no more
_SMALL_OCTETS: Final = 64 * 2**10  # ours: a body's first octets, for which there is room always
_LARGE_OCTETS: Final = 8 * limits.REQUEST_OCTETS  # ours: what is held of all the rest at once
_REQUESTS: Final = 1000  # ours: in hand at once

_LIMITS: Final = {PLAIN: _PLAIN_OCTETS, SIGNED: limits.REQUEST_OCTETS}


class Service:
    """The HTTP service on one socket."""

    def __init__(self, transactions: Transactions, settings: ServiceSettings, log: Log) -> None:
        self._settings = settings
        config = uvicorn.Config(
            application(transactions, log),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
            ssl_certfile=_path(settings.tls_certificate),
            ssl_keyfile=_path(settings.tls_key),
            proxy_headers=False,
        )
        self._server = _Server(config)

    async def run(self, listening: socket.socket) -> None:
        """Serve on a socket from `open_socket` until `stop`."""
        await self._server.serve(sockets=[listening])

    def stop(self) -> None:
        """Take no more connections, and end when requests in hand are answered."""
        self._server.should_exit = True


def application(
    transactions: Transactions, log: Log, *, body_timeout: timedelta = _BODY_TIMEOUT
) -> Starlette:
    """Make the application: one route, with and without a trailing slash (spec §5)."""
    room = _Room(body_timeout)

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _LIMITS:
            return _refuse(415, f"send {PLAIN}, or {SIGNED} if it is signed")
        try:
            async with room.body(request, _LIMITS[kind]) as body:
                name, response = await transactions.answer(body, signed=kind == SIGNED)
                content = await asyncio.to_thread(messages.write_response, name, response)
        except _Refused as problem:
            return _refuse(problem.status, str(problem))
        except TimeoutError:
            return _refuse(408, "too slow: send it again")
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as problem:  # noqa: BLE001 - a fault of ours; none of its words get out
            log.event("service-fault", error=type(problem).__name__)
            return _refuse(503, "trouble here: try again later")
        return Response(content, response.status, _NO_STORE, PLAIN)

    methods = ["POST"]
    return Starlette(
        routes=[
            Route(PATH, endpoint, methods=methods),
            Route(f"{PATH}/", endpoint, methods=methods),
        ],
        exception_handlers={404: _elsewhere, 405: _elsewhere},
    )


def open_socket(endpoint: Endpoint) -> socket.socket:
    """Bind and listen; connections wait until `Service.run` takes them.

    Raises:
        OSError: if the port is in use or can't be had.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    listening = socket.create_server((endpoint.host, endpoint.port), family=family)
    # What is accepted inherits it. Else each answer on a kept connection waits for the client's
    # delayed ACK, as uvicorn writes head and body apart.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class _Refused(Exception):
    """A request that isn't read to its end, with the status and the words for it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Room:
    """What is held of all requests at once."""

    def __init__(self, timeout: timedelta) -> None:
        self._timeout = timeout
        self._requests = 0
        self._octets = 0

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Read a body of `most` octets at most, and hold it until the block is left."""
        if self._requests >= _REQUESTS:
            raise _Refused(503, "too many requests at once: try again later")
        self._requests += 1
        parts, octets, large = [], 0, 0
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                async for part in request.stream():
                    octets += len(part)
                    if octets > most:
                        raise _Refused(413, f"at most {most} octets: send it in several")
                    more = max(0, octets - _SMALL_OCTETS) - large
                    if self._octets + more > _LARGE_OCTETS:
                        raise _Refused(503, "too many large requests at once: try again later")
                    self._octets += more
                    large += more
                    parts.append(part)
            yield b"".join(parts)
        finally:
            self._requests -= 1
            self._octets -= large


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `app` has the only ones."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _elsewhere(_request: Request, problem: Exception) -> Response:
    """Answer what is for another path, or no POST, in the service's own form."""
    status = problem.status_code if isinstance(problem, HTTPException) else 404
    return _refuse(status, f"requests are POSTed to {PATH}")


def _refuse(status: int, words: str) -> Response:
    refusal = messages.Response(status=status, status_description=f"Refused: {words}.")
    return Response(messages.write_response(messages.ANY, refusal), status, _NO_STORE, PLAIN)


def _path(path: PurePath | None) -> str | None:
    return None if path is None else str(path)
