"""The service over HTTP: one route, bounded bodies, Starlette and uvicorn (spec §5, §6)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from listserver.config import Endpoint, ServiceSettings
from listserver.ports import Log
from listserver.transactions import ANY, Transactions
from recrypt_core import limits, messages

PATH: Final = "/.well-known/recrypt"
PLAIN: Final = "application/json"
SIGNED: Final = "application/jose+json"

_NO_STORE: Final = {"Cache-Control": "no-store"}
_KEEP_ALIVE_SECONDS: Final = 30  # ours
_CONNECTIONS: Final = 1000  # ours: beyond them 503
_STOP_SECONDS: Final = 20  # ours: for requests in hand


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
            limit_concurrency=_CONNECTIONS,
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


def application(transactions: Transactions, log: Log) -> Starlette:
    """Make the application: one route, with and without a trailing slash (spec §5)."""

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (PLAIN, SIGNED):
            return _refuse(415, f"send {PLAIN}, or {SIGNED} if it is signed")
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _refuse(413, f"at most {limits.REQUEST_OCTETS} octets: send it in several")
        try:
            name, response = await transactions.answer(body, signed=kind == SIGNED)
        except Exception as problem:  # noqa: BLE001 - a fault of ours; none of its words get out
            log.event("service-fault", error=type(problem).__name__)
            return _refuse(503, "trouble here: try again later")
        return Response(
            messages.write_response(name, response),
            status_code=response.status,
            media_type=PLAIN,
            headers=_NO_STORE,
        )

    methods = ["POST"]
    return Starlette(
        routes=[
            Route(PATH, endpoint, methods=methods),
            Route(f"{PATH}/", endpoint, methods=methods),
        ]
    )


def open_socket(endpoint: Endpoint) -> socket.socket:
    """Bind and listen; connections wait until `Service.run` takes them.

    Raises:
        OSError: if the port is in use or can't be had.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    return socket.create_server((endpoint.host, endpoint.port), family=family)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `app` has the only ones."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _body(request: Request) -> bytes | None:
    """Read a body; None if it is over the limit, of which no more is kept."""
    parts, octets = [], 0
    async for part in request.stream():
        octets += len(part)
        if octets > limits.REQUEST_OCTETS:
            return None
        parts.append(part)
    return b"".join(parts)


def _refuse(status: int, words: str) -> Response:
    refusal = messages.Response(status=status, status_description=f"Refused: {words}.")
    return Response(
        messages.write_response(ANY, refusal),
        status_code=status,
        media_type=PLAIN,
        headers=_NO_STORE,
    )


def _path(path: PurePath | None) -> str | None:
    return None if path is None else str(path)
