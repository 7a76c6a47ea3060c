"""The pages in Debian's chromium: in each light and width, by keyboard, without scripts."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright

from listserver.config import ServiceSettings
from listserver.edges.pages import Pages
from listserver.edges.service import Beside, Service, open_socket
from listserver.edges.templates import Templates
from listserver.model import MemberId, PostId
from listserver.sections import Endpoint
from listserver.showing import Showing
from listserver.tokens import LeaveToken, write_token
from tests.fakes import Bench, open_bench
from tests.returned import ALICE, BOB, CAROL, Trio, member_row, new_trio, post
from tests.sites import HOUSE

CHROMIUM: Final = shutil.which("chromium")
PATHS: Final = ("/", "/l/team", "/l/gone", "/u/token", "/stay/token")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium isn't installed"),
]

Scheme = Literal["light", "dark"]

CONTRASTS: Final = """() => {
  const parts = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 0, 0];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    if (!walker.currentNode.data.trim()) continue;
    const element = walker.currentNode.parentElement;
    if (!element.checkVisibility()) continue;
    const [a, b] = [parts(getComputedStyle(element).color), behind(element)].map(light);
    found.push((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return found;
}"""
"""The contrast of each piece of text with what is behind it, as WCAG 2.1 §1.4.3 counts."""


@dataclass
class Site:
    """A server with a list, and the browser that looks at it."""

    bench: Bench
    trio: Trio
    url: str
    browser: Browser
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    async def page(
        self,
        path: str,
        *,
        width: int = 1280,
        scheme: Scheme = "light",
        scripts: bool = True,
        to: str | None = None,
    ) -> Page:
        """Open a page in a window of its own, and note what it asks for and complains of."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        page = await context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda problem: self.said.append(str(problem)))
        if to is not None:
            await page.route(f"{to}/**", self._as_a_proxy(to))
        await page.goto(f"{to or self.url}{path}")
        return page

    def _as_a_proxy(self, to: str) -> Callable[[Route], Awaitable[None]]:
        async def handle(route: Route) -> None:
            url = route.request.url.replace(to, self.url, 1)
            await route.fulfill(response=await route.fetch(url=url))

        return handle

    async def leave_path(self) -> str:
        """Give the link in Bob's copy."""
        member = MemberId(await member_row(self.bench, BOB))
        return f"/u/{write_token(self.bench.vault, LeaveToken(PostId(1), member))}"

    async def reached(self, number: int) -> set[str]:
        """Post, and tell whom it reaches."""
        self.bench.courier.sent.clear()
        await post(self.bench, self.trio.team, number)
        return {each.recipient for each in self.bench.courier.sent}


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[str]:
    """Run the service on a socket, and give its address."""
    here = Endpoint("127.0.0.1", 0)
    bound = open_socket(here)
    showing = Showing(HOUSE, bench.store, bench.clock, front=["team"])
    pages = Pages(HOUSE, showing, bench.leaving, templates=Templates(), log=bench.log)
    settings = ServiceSettings(here, None, None)
    service = Service(bench.transactions, settings, bench.log, beside=Beside(pages=pages))
    task = asyncio.create_task(service.run(bound))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        service.stop()
        await asyncio.wait_for(task, 30)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a server with a list whose members have had a copy, and a browser."""
    async with open_bench(tmp_path) as bench, async_playwright() as playwright:
        trio = await new_trio(bench)
        await post(bench, trio.team)
        async with serving(bench) as url:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM)
            try:
                yield Site(bench, trio, url, browser)
            finally:
                await browser.close()


@pytest.mark.asyncio
async def test_nothing_is_asked_for_elsewhere_and_nothing_complained_of(site: Site) -> None:
    for path in PATHS:
        page = await site.page(path)
        assert await page.evaluate("document.scripts.length") == 0
        assert await page.evaluate("document.styleSheets.length") == 1
        assert not await page.context.cookies()
    assert {url for url in site.asked if not url.startswith("data:")} == {
        f"{site.url}{path}" for path in PATHS
    }
    # A browser says so itself where a page isn't found.
    assert [each for each in site.said if "404" not in each] == []
    assert len(site.said) <= 1


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_in_the_light_and_in_the_dark(site: Site, scheme: Scheme) -> None:
    papers = set()
    for path in PATHS:
        page = await site.page(path, scheme=scheme)
        contrasts = await page.evaluate(CONTRASTS)
        assert len(contrasts) >= 3
        assert min(contrasts) >= 4.5
        papers.add(
            await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        )
    assert papers == {"rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 25, 30)"}


@pytest.mark.asyncio
@pytest.mark.parametrize("width", [320, 640, 1280])  # 640 is 1280 at 200 %
async def test_nothing_is_wider_than_the_window(site: Site, width: int) -> None:
    for path in PATHS:
        page = await site.page(path, width=width)
        root = "document.documentElement"
        assert await page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), path


@pytest.mark.asyncio
async def test_pages_have_a_language_one_heading_and_names_for_what_is_on_them(site: Site) -> None:
    for path in PATHS:
        page = await site.page(path)
        assert await page.evaluate("document.documentElement.lang") == "en"
        assert await page.title()
        assert await page.get_by_role("heading", level=1).count() == 1
        assert await page.get_by_role("main").count() == 1
    shown = await site.page("/l/team")
    udf = site.trio.team.group.master.udf
    code = shown.get_by_role("img", name=f"QR code of the fingerprint {udf}")
    box = await code.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 120  # pixels: 4 a module and a little more


@pytest.mark.asyncio
async def test_leaving_works_by_keyboard_without_scripts_and_can_be_undone(site: Site) -> None:
    path = await site.leave_path()
    page = await site.page(path, scripts=False)
    assert await site.reached(2) == {ALICE, BOB, CAROL}
    button = page.get_by_role("button", name="Leave the list")
    await page.keyboard.press("Tab")
    assert await button.evaluate("each => each === document.activeElement")
    outline = await button.evaluate("each => getComputedStyle(each).outlineWidth")
    assert outline == "3px"
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="You are leaving the list").wait_for()
    assert page.url == f"{site.url}{path}"
    assert await site.reached(3) == {ALICE, CAROL}


@pytest.mark.asyncio
async def test_behind_a_proxy_that_puts_a_path_before_ours_links_and_forms_work(
    site: Site,
) -> None:
    to = "https://example.org/mail"
    page = await site.page("/", to=to)
    await page.get_by_role("link", name="team@lists.example").click()
    await page.get_by_role("heading", name="team@lists.example").wait_for()
    assert page.url == f"{to}/l/team"
    await page.get_by_role("link", name="Mailing lists of lists.example").click()
    await page.get_by_role("heading", name="Confidential mailing lists").wait_for()
    assert page.url == f"{to}/"
    leaving = await site.page(await site.leave_path(), to=to)
    await leaving.get_by_role("button").click()
    await leaving.get_by_role("heading", name="You are leaving the list").wait_for()
    assert await site.reached(2) == {ALICE, CAROL}


@pytest.mark.asyncio
async def test_on_paper_it_is_black_on_white_and_has_no_button(site: Site) -> None:
    page = await site.page("/u/token", scheme="dark")
    await page.emulate_media(media="print")
    assert not await page.get_by_role("button").count()
    assert set(await page.evaluate(CONTRASTS)) == {21}
