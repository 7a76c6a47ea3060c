"""The service over HTTP, on Starlette and uvicorn: one route, bounded bodies (spec §5, §6).

A second route gives the operator's figures, to who may see them.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import PurePath
from typing import Final, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from listserver.config import MetricsFor, ServiceSettings
from listserver.edges.heads import BoundedHeads
from listserver.ports import Log
from listserver.sections import Endpoint
from listserver.transactions import Transactions
from recrypt_core import limits, messages

PATH: Final = "/.well-known/recrypt"
METRICS_PATH: Final = "/metrics"
PLAIN: Final = "application/json"
SIGNED: Final = "application/jose+json"

_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"  # the text format of Prometheus
_NO_STORE: Final = {"Cache-Control": "no-store"}
_KEEP_ALIVE_SECONDS: Final = 30  # ours
_STOP_SECONDS: Final = 20  # ours: for requests in hand
_BODY_TIMEOUT: Final = timedelta(minutes=2)  # ours: 8 MiB at 560 kbit/s
_PLAIN_OCTETS: Final = 4096  # ours: Hello and GetKey need no more
_SMALL_OCTETS: Final = 64 * 2**10  # ours: a body's first octets, for which there is room always
_LARGE_OCTETS: Final = 8 * limits.REQUEST_OCTETS  # ours: what is held of all the rest at once
_REQUESTS: Final = 1000  # ours: in hand at once

_LONG: Final = (
    messages.GetKeyResponse,
    messages.GetGroupResponse,
    messages.GetChangesResponse,
    messages.GetEntryResponse,
    messages.GetAuditResponse,
    messages.GetJoinRequestsResponse,
)
"""The responses that may take more than a millisecond to write: pages, and what others state."""

_LIMITS: Final = {PLAIN: _PLAIN_OCTETS, SIGNED: limits.REQUEST_OCTETS}

_PROXY_FIELDS: Final = ("forwarded", "via", "x-forwarded-", "x-real-ip")  # how they begin

Figures: TypeAlias = Callable[[], Awaitable[bytes]]
"""Gives the figures in the text format of Prometheus."""


class Service:
    """The HTTP service on one socket; `figures` are for whom the settings let see them."""

    def __init__(
        self,
        transactions: Transactions,
        settings: ServiceSettings,
        log: Log,
        *,
        figures: Figures | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings = settings
        metrics = None if figures is None else MetricsPage(figures, settings.metrics)
        config = uvicorn.Config(
            application(transactions, log, metrics=metrics, has_room=has_room),
            log_config=None,
            access_log=False,
            server_header=False,
            http=BoundedHeads,
            ws="none",
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


class MetricsPage:
    """The operator's figures; for whom they are not for, there is nothing at that path.

    On this machine means that the peer is on loopback, and that no proxy has had a hand in the
    request: behind one on this machine the whole world comes from loopback.
    """

    def __init__(self, figures: Figures, readers: MetricsFor) -> None:
        self._figures = figures
        self._readers = readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        if request.method != "GET" or not self._may_read(request):
            raise HTTPException(404)
        response = Response(await self._figures(), 200, _NO_STORE, _EXPOSITION)
        await response(scope, receive, send)

    def _may_read(self, request: Request) -> bool:
        if self._readers is not MetricsFor.LOOPBACK:
            return self._readers is MetricsFor.ALL
        proxied = any(name.startswith(_PROXY_FIELDS) for name in request.headers)
        return not proxied and request.client is not None and _is_loopback(request.client.host)


def application(
    transactions: Transactions,
    log: Log,
    *,
    body_timeout: timedelta = _BODY_TIMEOUT,
    metrics: MetricsPage | None = None,
    has_room: Callable[[], bool] = lambda: True,
) -> Starlette:
    """Make the application: one route, with and without a trailing slash (spec §5)."""
    room = _Room(body_timeout)

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _LIMITS:
            return _refuse(415, f"send {PLAIN}, or {SIGNED} if it is signed")
        try:
            async with room.body(request, _LIMITS[kind]) as body:
                name, response = await transactions.answer(
                    body, signed=kind == SIGNED, has_room=has_room()
                )
                content = await _written(name, response)
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

    routes = [Route(path, endpoint, methods=["POST"]) for path in (PATH, f"{PATH}/")]
    if metrics is not None:
        routes.append(Route(METRICS_PATH, metrics))
    made = Starlette(routes=routes, exception_handlers={404: _elsewhere, 405: _elsewhere})
    made.router.redirect_slashes = False  # it would tell everybody which paths there are
    return made


async def _written(name: str, response: messages.Response) -> bytes:
    """Write a response: here if it is a short one, as a thread would take longer."""
    if isinstance(response, _LONG):
        return await asyncio.to_thread(messages.write_response, name, response)
    return messages.write_response(name, response)


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


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _path(path: PurePath | None) -> str | None:
    return None if path is None else str(path)
