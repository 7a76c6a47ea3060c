"""The service over HTTP, on Starlette and uvicorn: one route, bounded bodies (spec §5, §6).

Beside it are the operator's figures, for who may see them, and pages for people.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
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
from listserver.edges.bodies import BODY_TIMEOUT, NotRead, Room
from listserver.edges.heads import BoundedHeads
from listserver.edges.pages import Pages
from listserver.ports import Log
from listserver.sections import Endpoint, is_loopback
from listserver.transactions import Transactions
from recrypt_core import limits, messages

PATH: Final = "/.well-known/recrypt"
METRICS_PATH: Final = "/metrics"
PLAIN: Final = "application/json"
SIGNED: Final = "application/jose+json"

_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"  # the text format of Prometheus
_PROGRAMS: Final = "/.well-known/"  # what begins so isn't for people (RFC 8615)
_NO_STORE: Final = {"Cache-Control": "no-store"}
_KEEP_ALIVE_SECONDS: Final = 30  # ours
_STOP_SECONDS: Final = 20  # ours: for requests in hand
_PLAIN_OCTETS: Final = 4096  # ours: Hello and GetKey need no more

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
        return not proxied and request.client is not None and is_loopback(request.client.host)


@dataclass(frozen=True, slots=True)
class Beside:
    """What the application has beside its one route."""

    metrics: MetricsPage | None = None
    pages: Pages | None = None

    def routes(self) -> list[Route]:
        """Give the routes to it."""
        metrics = [] if self.metrics is None else [Route(METRICS_PATH, self.metrics)]
        return metrics if self.pages is None else [*metrics, *self.pages.routes()]

    async def elsewhere(self, request: Request, problem: Exception) -> Response:
        """Answer what is for no path of ours, or isn't done there.

        In the service's own form beside its path, and with a page anywhere else.
        """
        if self.pages is not None and not request.url.path.startswith(_PROGRAMS):
            return await self.pages.elsewhere(request, problem)
        return _elsewhere(problem)


_NOTHING_BESIDE: Final = Beside()


class Service:
    """The HTTP service on one socket."""

    def __init__(
        self,
        transactions: Transactions,
        settings: ServiceSettings,
        log: Log,
        *,
        beside: Beside = _NOTHING_BESIDE,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        config = uvicorn.Config(
            application(transactions, log, beside=beside, has_room=has_room),
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


def application(
    transactions: Transactions,
    log: Log,
    *,
    body_timeout: timedelta = BODY_TIMEOUT,
    beside: Beside = _NOTHING_BESIDE,
    has_room: Callable[[], bool] = lambda: True,
) -> Starlette:
    """Make the application: one route, with and without a trailing slash (spec §5)."""
    room = Room(body_timeout)

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
        except NotRead as problem:
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
    routes += beside.routes()
    handlers = {404: beside.elsewhere, 405: beside.elsewhere}
    made = Starlette(routes=routes, exception_handlers=handlers)
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


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `app` has the only ones."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _elsewhere(problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 404
    return _refuse(status, f"requests are POSTed to {PATH}")


def _refuse(status: int, words: str) -> Response:
    refusal = messages.Response(status=status, status_description=f"Refused: {words}.")
    return Response(messages.write_response(messages.ANY, refusal), status, _NO_STORE, PLAIN)


def _path(path: PurePath | None) -> str | None:
    return None if path is None else str(path)
