"""Pages for people, without scripts: the service, a list, leaving it and staying after all.

A GET or HEAD changes nothing, whatever fetches links ahead of people. Who posts to a page with a
token hears the same whatever the token is (spec §7). Links are relative, and styles stand in the
page, so that all is well behind a proxy that puts a path before ours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from listserver.addresses import Role
from listserver.catalogue import Texts
from listserver.edges.bodies import NotRead, Room
from listserver.edges.templates import Templates, qr_code
from listserver.limits import LEAVE_PATIENCE, PAGE_BODY_OCTETS, PAGE_BODY_TIMEOUT
from listserver.links import LEAVE_PAGE, LIST_PAGE, STAY_PAGE
from listserver.model import House, StoredList
from listserver.ports import Log
from listserver.showing import Showing, Shown

_HTML: Final = "text/html; charset=utf-8"
_NOT_KEPT: Final = "no-store"
_A_WHILE: Final = "public, max-age=300"  # ours: what a list's page says of its key stays so short

_SHOWN: Final = {
    "post": Role.POST,
    "request": Role.REQUEST,
    "subscribe": Role.SUBSCRIBE,
    "key": Role.KEY,
    "owner": Role.OWNER,
}

_PROBLEMS: Final = (404, 405, 408, 413, 503)

Make: TypeAlias = Callable[[Request], Awaitable[Response]]


class Leaves(Protocol):
    """What leaving is asked for: `listserver.leaving.Leaving`."""

    async def of_token(self, token: str) -> StoredList | None:
        """Find the list that a token is of; None if it isn't ours."""
        ...

    async def ask(self, token: str) -> None:
        """Send a member nothing more; it is written how that is undone."""
        ...

    async def undo(self, token: str) -> None:
        """Send mail again to who was to leave."""
        ...


class Pages:
    """Answers what people's browsers ask, and mail programs for a click on "Unsubscribe"."""

    def __init__(
        self, house: House, showing: Showing, leaving: Leaves, *, templates: Templates, log: Log
    ) -> None:
        """Show them of a house.

        Raises:
            Malformed: a template asks for a word that isn't there.
        """
        self._house = house
        self._showing = showing
        self._leaving = leaving
        self._templates = templates
        self._log = log
        self._room = Room(PAGE_BODY_TIMEOUT)
        # Made once, so that these can be shown whatever goes wrong.
        texts = Texts(house.language)
        self._problems = {
            status: self._rendered(
                "problem",
                texts,
                heading=texts.say(f"page-{status}"),
                advice=texts.say(f"page-{status}-advice"),
            )
            for status in _PROBLEMS
        }

    def routes(self) -> list[Route]:
        """Give the routes, for the service's application."""
        with_button = ["GET", "POST"]
        leave = self._endpoint("leave", self._leave)
        stay = self._endpoint("stay", self._stay)
        return [
            Route("/", self._endpoint("start", self._start)),
            Route(f"{LIST_PAGE}{{name}}", self._endpoint("list", self._list)),
            Route(f"{LEAVE_PAGE}{{token}}", leave, methods=with_button),
            Route(f"{STAY_PAGE}{{token}}", stay, methods=with_button),
        ]

    async def elsewhere(self, _request: Request, problem: Exception) -> Response:
        """Answer what no page is at, or what isn't done with one."""
        if isinstance(problem, HTTPException) and problem.status_code in self._problems:
            return self._problem(problem.status_code, problem.headers)
        return self._problem(404)

    def _endpoint(self, kind: str, make: Make) -> Make:
        """Bound a page, and note that it was asked for: its kind alone, as paths hold tokens."""

        async def endpoint(request: Request) -> Response:
            response = await self._made(request, make)
            self._log.event("page", kind=kind, status=response.status_code)
            return response

        return endpoint

    async def _made(self, request: Request, make: Make) -> Response:
        try:
            # What is in it isn't looked at: the token is all that counts, and RFC 8058 §3.2 lets
            # a body come as either kind of form.
            async with self._room.body(request, PAGE_BODY_OCTETS):
                return await make(request)
        except NotRead as problem:
            return self._problem(problem.status)
        except TimeoutError:
            return self._problem(408)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as problem:  # noqa: BLE001 - a fault of ours; none of its words get out
            self._log.event("page-fault", error=type(problem).__name__)
            return self._problem(503)

    async def _start(self, _request: Request) -> Response:
        texts = Texts(self._house.language)
        return self._page("start", texts, keep=_A_WHILE, lists=await self._showing.front())

    async def _list(self, request: Request) -> Response:
        shown = await self._showing.list(request.path_params["name"])
        if shown is None:
            return self._problem(404)
        return await asyncio.to_thread(self._list_page, shown)  # a QR code takes milliseconds

    def _list_page(self, shown: Shown) -> Response:
        roles = {name: shown.address(role) for name, role in _SHOWN.items()}
        code = qr_code(shown.fingerprint)
        words = {"list": shown, "address": roles, "code": code}
        return self._page("list", shown.texts, keep=_A_WHILE, **words)

    async def _leave(self, request: Request) -> Response:
        return await self._by_token(request, self._leaving.ask, asks="leave", done="left")

    async def _stay(self, request: Request) -> Response:
        return await self._by_token(request, self._leaving.undo, asks="stay", done="stayed")

    async def _by_token(
        self, request: Request, act: Callable[[str], Awaitable[None]], *, asks: str, done: str
    ) -> Response:
        """Ask whether it is to be done; for who posts here, do it."""
        token = request.path_params["token"]
        found = await self._leaving.of_token(token)
        texts = self._showing.texts(found)
        if request.method != "POST":
            return self._page(asks, texts, address=None if found is None else found.state.name)
        await act(token)
        return self._page(done, texts)

    def _problem(self, status: int, headers: Mapping[str, str] | None = None) -> Response:
        response = self._response(self._problems[status], status)
        response.headers.update(headers or {})
        return response

    def _page(self, name: str, texts: Texts, *, keep: str = _NOT_KEPT, **words: object) -> Response:
        return self._response(self._rendered(name, texts, **words), keep=keep)

    def _rendered(self, name: str, texts: Texts, **words: object) -> str:
        days = LEAVE_PATIENCE.days
        return self._templates.render(name, texts, house=self._house, days=days, **words)

    def _response(self, text: str, status: int = 200, *, keep: str = _NOT_KEPT) -> Response:
        headers = {
            "Cache-Control": keep,
            "Content-Security-Policy": _policy(self._templates.style_source),
            "Referrer-Policy": "no-referrer",  # a token may stand in our address
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
        }
        return Response(text, status, headers, _HTML)


def _policy(style: str) -> str:
    """Allow the page its style, its own forms and an icon of nothing, and no more."""
    return (
        f"default-src 'none'; style-src {style}; img-src data:; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    )
