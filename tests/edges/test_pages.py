"""Pages for people: what they show, what a click does, and what they keep to themselves."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx2
import pytest
import pytest_asyncio

from listserver.catalogue import Texts
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.edges.templates import Templates
from listserver.limits import PAGE_BODY_OCTETS
from listserver.model import House, MemberId, PostId, StoredList
from listserver.store import StoreTrouble
from listserver.tokens import DeliveryToken, LeaveToken, StayToken, write_token
from recrypt_core.documents import RecryptionGroup
from recrypt_core.errors import Malformed
from recrypt_core.messages import UpdateGroup
from tests.builders import NOW, TEAM, URL, closed_key, new_group, new_person
from tests.fakes import Bench, administrator, open_bench
from tests.lists import new_list_of, new_team
from tests.returned import ALICE, BOB, CAROL, Trio, member_row, new_trio, post, sent_to, words_of
from tests.sites import client_of, new_site

FORM: Final = {"List-Unsubscribe": "One-Click"}
ODD: Final = (
    "a" * 26, "A" * 26, "1", "x" * 3000, "%00", "%ff%fe", "..%2f", "%2e%2e", "%0d%0aSet-Cookie:x",
    "<script>", "'; --", "{{ 7*7 }}",
)  # fmt: skip
SECURITY: Final = (
    "content-security-policy", "referrer-policy", "x-content-type-options", "x-robots-tag",
)  # fmt: skip
STAY: Final = re.compile(r"https://lists\.example(/stay/[a-z2-7]{26})")


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture
async def web(bench: Bench) -> AsyncIterator[httpx2.AsyncClient]:
    """Browse it; redirects would be seen."""
    async with client_of(new_site(bench)) as opened:
        yield opened


async def new_posted_trio(bench: Bench) -> Trio:
    """Give a list whose members have had a copy."""
    trio = await new_trio(bench)
    await post(bench, trio.team)
    return trio


async def leave_path(bench: Bench, address: str) -> str:
    """Give the path that the first copy to somebody has."""
    member = MemberId(await member_row(bench, address))
    return f"/u/{write_token(bench.vault, LeaveToken(PostId(1), member))}"


async def state_of_members(bench: Bench) -> list[tuple[bytes | int | str | None, ...]]:
    """Give where members stand."""
    return await bench.rows("SELECT id, leaving, paused, leaving_since FROM members ORDER BY id")


@pytest.mark.asyncio
async def test_the_start_page_says_what_this_is_and_names_no_list(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    await new_team(bench)
    page = await web.get("/")
    assert page.status_code == 200
    assert "lists.example" in page.text
    assert "recrypt profile create" in page.text
    assert "team" not in page.text


@pytest.mark.asyncio
async def test_the_start_page_has_links_to_lists_that_the_operator_names(bench: Bench) -> None:
    await new_team(bench)
    async with client_of(new_site(bench, front=["team", "gone"])) as web:
        page = (await web.get("/")).text
    assert '<a href="l/team">team@lists.example</a>' in page
    assert "gone" not in page


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", ["team", "TEAM", "team@lists.example", "Team@Lists.Example", "team%40lists.example"]
)
async def test_a_lists_page_has_its_fingerprint_key_and_addresses(
    bench: Bench, web: httpx2.AsyncClient, name: str
) -> None:
    team = await new_team(bench)
    page = await web.get(f"/l/{name}")
    assert page.status_code == 200
    group = team.group
    for shown in (group.master.udf, team.key.public.udf, "2027-05-21 12:00 UTC"):
        assert shown in page.text
    assert f'aria-label="QR code of the fingerprint {group.master.udf}"' in page.text
    for role in ("", "-request", "-subscribe", "-key", "-owner"):
        assert f"mailto:team{role}@lists.example" in page.text
    command = f"recrypt join team@lists.example \\\n  --fingerprint {group.master.udf}\n"
    assert command.strip() in page.text
    assert "recrypt seal --to team@lists.example" in page.text
    assert page.headers["cache-control"] == "public, max-age=300"


@pytest.mark.asyncio
async def test_lists_of_one_name_at_two_domains_have_pages_of_their_own(bench: Bench) -> None:
    await new_team(bench)
    group = new_group("team@news.example")
    await new_list_of(bench, group, new_person("dave@example.org"))
    async with client_of(new_site(bench, front=["team", "team@news.example"])) as web:
        start, first = (await web.get("/")).text, (await web.get("/l/team")).text
        second = (await web.get("/l/team@news.example")).text
    assert '<a href="l/team">team@lists.example</a>' in start
    assert '<a href="l/team@news.example">team@news.example</a>' in start
    assert group.master.udf in second
    assert "mailto:team-owner@news.example" in second
    assert f"recrypt join team@news.example \\\n  --service {URL} \\\n" in second
    assert "team@lists.example" not in second
    assert "news.example" not in first


@pytest.mark.asyncio
async def test_a_lists_page_is_the_same_whoever_is_on_it(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    trio = await new_trio(bench)
    before = await web.get("/l/team")
    await post(bench, trio.team)
    await bench.leaving.ask((await leave_path(bench, BOB)).removeprefix("/u/"))
    after = await web.get("/l/team")
    assert (before.content, before.headers) == (after.content, after.headers)
    assert not any(each in after.text for each in (ALICE, BOB, CAROL))


@pytest.mark.asyncio
async def test_a_key_whose_time_is_over_is_told(bench: Bench, web: httpx2.AsyncClient) -> None:
    await new_team(bench)
    assert "It is over" not in (await web.get("/l/team")).text
    bench.clock.advance(timedelta(days=181))
    assert "It is over" in (await web.get("/l/team")).text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name",
    ["gone", "team@elsewhere.example", "team-owner", "team@", "@lists.example", "x" * 400, *ODD],
)
async def test_what_is_no_list_is_404_in_the_same_words(
    bench: Bench, web: httpx2.AsyncClient, name: str
) -> None:
    await new_team(bench)
    unknown = await web.get("/l/other")
    page = await web.get(f"/l/{name}")
    assert (page.status_code, page.content) == (404, unknown.content)
    assert page.headers == unknown.headers


@pytest.mark.asyncio
async def test_a_closed_list_looks_like_one_that_never_was(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    alice, group = new_person(ALICE), new_group()
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    assert (await web.get("/l/team")).status_code == 200
    signed = closed_key(history.state, group.master).signed
    stated = RecryptionGroup(group_name=group.name, current_encryption_key=signed)
    closing = history.sign(UpdateGroup(recryption_group=stated), alice.online)
    assert (await bench.send(closing)).status == 201
    page, unknown = await web.get("/l/team"), await web.get("/l/gone")
    assert (page.status_code, page.content) == (404, unknown.content)
    assert page.headers == unknown.headers


@pytest.mark.asyncio
async def test_a_stopped_list_is_shown_as_ever(bench: Bench, web: httpx2.AsyncClient) -> None:
    await new_team(bench)
    before = await web.get("/l/team")
    with open_upkeep(bench.file, bench.vault) as upkeep:
        assert upkeep.suspend(TEAM, NOW)
    assert (await web.get("/l/team")).content == before.content


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_a_link_changes_nothing(
    bench: Bench, web: httpx2.AsyncClient, method: str
) -> None:
    await new_posted_trio(bench)
    path = await leave_path(bench, BOB)
    before = await state_of_members(bench)
    headers = {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"}
    page = await web.request(method, path, headers=headers)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert await state_of_members(bench) == before
    stay = path.replace("/u/", "/stay/")
    assert (await web.request(method, stay, headers=headers)).status_code == 200
    assert await state_of_members(bench) == before


@pytest.mark.asyncio
async def test_a_links_page_asks_by_a_form_with_one_button(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    await new_posted_trio(bench)
    page = (await web.get(await leave_path(bench, BOB))).text
    assert "Leave team@lists.example?" in page
    assert '<form method="post">' in page
    assert '<input type="hidden" name="List-Unsubscribe" value="One-Click">' in page
    assert page.count("<button") == 1
    assert not any(each in page for each in (ALICE, BOB, CAROL))


@pytest.mark.asyncio
async def test_one_click_without_a_browser_ends_the_mail_and_the_letters_link_undoes_it(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    trio = await new_posted_trio(bench)
    page = await web.post(await leave_path(bench, BOB), data=FORM)
    assert page.status_code == 200
    assert "After 7 days it is final" in page.text
    await bench.keep_house()
    found = STAY.search(words_of(sent_to(bench, BOB)[-1], trio.bob))
    assert found is not None
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, CAROL}
    assert "Stay on team@lists.example?" in (await web.get(found[1])).text
    assert "You stay on the list" in (await web.post(found[1])).text
    bench.courier.sent.clear()
    await post(bench, trio.team, 3)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, BOB, CAROL}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "form",
    [
        {"data": FORM},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"List-Unsubscribe=One-Click"},
        {"content": b""},
        {"content": b"\xff" * PAGE_BODY_OCTETS},
    ],
)
async def test_it_works_with_either_kind_of_form_or_none(
    bench: Bench, web: httpx2.AsyncClient, form: dict[str, object]
) -> None:
    trio = await new_posted_trio(bench)
    page = await web.request("POST", await leave_path(bench, BOB), **form)  # type: ignore[arg-type]
    assert page.status_code == 200
    bench.courier.sent.clear()
    await post(bench, trio.team, 2)
    assert {each.recipient for each in bench.courier.sent} == {ALICE, CAROL}


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ["/u/", "/stay/"])
async def test_the_answer_is_the_same_for_every_token(
    bench: Bench, web: httpx2.AsyncClient, place: str
) -> None:
    await new_posted_trio(bench)
    bob = MemberId(await member_row(bench, BOB))
    ours = (
        LeaveToken(PostId(1), bob),
        LeaveToken(PostId(1), bob),  # a second time
        LeaveToken(PostId(1), MemberId(999)),
        StayToken(NOW, bob),
        DeliveryToken(PostId(1), bob),
    )
    tokens = [*(write_token(bench.vault, each) for each in ours), *ODD]
    pages = [await web.post(f"{place}{token}", data=FORM) for token in tokens]
    served = [page for page in pages if page.status_code != 404]
    assert len(served) >= len(tokens) - 2, "only %2f and %2e%2e make other paths"
    assert {(page.status_code, page.content) for page in served} == {(200, pages[0].content)}
    assert len({str(page.headers) for page in served}) == 1


@pytest.mark.asyncio
async def test_a_link_that_is_not_ours_looks_no_further_than_a_question(
    web: httpx2.AsyncClient,
) -> None:
    page = await web.get("/u/nothing")
    assert page.status_code == 200
    assert "Leave the list?" in page.text


@pytest.mark.asyncio
async def test_a_body_is_bounded_and_too_much_does_nothing(
    bench: Bench, web: httpx2.AsyncClient
) -> None:
    await new_posted_trio(bench)
    before = await state_of_members(bench)
    page = await web.post(await leave_path(bench, BOB), content=b"x" * (PAGE_BODY_OCTETS + 1))
    assert page.status_code == 413
    assert await state_of_members(bench) == before


PATHS: Final = ("/", "/l/team", "/l/gone", "/u/x", "/stay/x", "/nowhere", "/a/b/c", "/u/", "/l/x/y")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"])
async def test_every_answer_is_a_page_that_loads_nothing_and_sets_nothing(
    bench: Bench, web: httpx2.AsyncClient, path: str, method: str
) -> None:
    await new_team(bench)
    page = await web.request(method, path)
    assert page.status_code in (200, 404, 405)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    assert all(name in page.headers for name in SECURITY)
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not {"set-cookie", "location", "server", "etag"} & set(page.headers)
    assert not re.search(r"<script|\bon\w+=|\bsrc=|@import|url\(|<link rel=\"(?!icon)", page.text)
    assert page.headers["cache-control"] == ("public, max-age=300" if shows(page) else "no-store")
    if page.status_code == 405:
        assert "GET" in page.headers["allow"]


def shows(page: httpx2.Response) -> bool:
    """Tell whether it shows what may be kept for a while: the service, a list."""
    return page.status_code == 200 and page.url.path in ("/", "/l/team")


@pytest.mark.asyncio
async def test_beside_the_services_own_path_programs_are_answered_as_ever(
    web: httpx2.AsyncClient,
) -> None:
    for method, path in (("GET", "/.well-known/recrypt"), ("POST", "/.well-known/other")):
        answer = await web.request(method, path)
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.asyncio
async def test_no_token_and_no_name_is_logged(bench: Bench, web: httpx2.AsyncClient) -> None:
    await new_posted_trio(bench)
    path = await leave_path(bench, BOB)
    for method in ("GET", "POST"):
        await web.request(method, path)
        await web.request(method, "/l/team")
    noted = [event for event in bench.log.events if event[0] == "page"]
    kinds = {str(counts["kind"]) for _, counts in noted}
    assert kinds == {"leave", "list"}
    assert path.removeprefix("/u/") not in str(bench.log.events)
    assert "team" not in str(noted)


class Troubled:
    """A Leaving whose store is in trouble."""

    async def of_token(self, token: str) -> StoredList | None:
        """Fail."""
        raise StoreTrouble(f"the disk failed at {token}")

    async def ask(self, token: str) -> None:
        """Fail."""
        raise StoreTrouble(f"the disk failed at {token}")

    async def undo(self, token: str) -> None:
        """Fail."""
        raise StoreTrouble(f"the disk failed at {token}")


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", ["/u/", "/stay/"])
async def test_trouble_is_told_and_what_it_was_is_not(
    bench: Bench, method: str, place: str
) -> None:
    async with client_of(new_site(bench, leaving=Troubled())) as web:
        page = await web.request(method, f"{place}secret")
    assert page.status_code == 503
    assert "try again later" in page.text
    assert "secret" not in page.text + str(bench.log.events)
    assert "disk" not in page.text
    assert bench.log.events[0] == ("page-fault", {"error": "StoreTrouble"})


@pytest.mark.asyncio
async def test_what_an_operators_folder_has_is_taken_first(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "left.html").write_text(
        '{% extends "layout.html" %}{% block content %}Bye{% endblock %}'
    )
    (folder / "style.css").write_text("h1 { color: teal }")
    async with client_of(new_site(bench, templates=folder)) as web:
        left, start = await web.post("/u/x"), await web.get("/")
        (folder / "left.html").unlink()  # they are read once
        assert (await web.post("/u/x")).content == left.content
    assert "Bye" in left.text
    assert "<style>h1 { color: teal }</style>" in start.text
    assert "Confidential mailing lists" in start.text
    ours = Templates().style_source
    assert ours not in start.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("left.html", "{% if %}", r"left\.html, line 1: "),
        ("problem.html", "{{ missing }}", "problem.html: 'missing' is undefined"),
        ("style.css", "</style><script>", "<"),
        ("list.html", b"\xff", "can't be read"),
    ],
)
def test_a_template_that_is_no_good_is_refused_at_the_start(
    tmp_path: Path, name: str, text: str | bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Malformed, match=words):
        Templates(tmp_path).render("problem", Texts(), heading="", advice="")


def test_a_folder_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="there is no folder"):
        Templates(tmp_path / "nowhere")


def test_a_service_that_is_not_at_its_domain_is_named_in_the_commands() -> None:
    house = House("lists.example", "https://mail.example/lists", 2**20)
    start = Templates().render("start", Texts(), house=house, days=7, lists=[])
    line = "recrypt join NAME@lists.example \\\n  --service https://mail.example/lists \\\n"
    assert f"{line}  --fingerprint FINGERPRINT" in start
