"""The service and its pages on a server under test: `from tests.sites import ...`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx2
from starlette.applications import Starlette

from listserver.edges.pages import Leaves, Pages
from listserver.edges.service import Beside, application
from listserver.edges.templates import Templates
from listserver.model import House
from listserver.showing import Showing
from tests.builders import URL
from tests.fakes import SECOND_DOMAIN, Bench

HOUSE: Final = House("lists.example", URL, 2**20, more_domains=(SECOND_DOMAIN,))


def new_site(
    bench: Bench,
    *,
    front: Sequence[str] = (),
    templates: Path | None = None,
    leaving: Leaves | None = None,
) -> Starlette:
    """Make the service's whole application."""
    showing = Showing(HOUSE, bench.store, bench.clock, front=front)
    leaves = leaving or bench.leaving
    pages = Pages(HOUSE, showing, leaves, templates=Templates(templates), log=bench.log)
    return application(bench.transactions, bench.log, beside=Beside(pages=pages))


def client_of(site: Starlette) -> httpx2.AsyncClient:
    """Call an application without a socket; redirects would be seen."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(site), base_url=URL)
