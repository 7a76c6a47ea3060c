"""The figures: everything is counted, nobody is named, and only the operator sees them."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from listserver.config import MetricsFor
from listserver.edges.door import Door
from listserver.edges.metrics import Metrics, Page, Places
from listserver.edges.service import Beside, MetricsPage, application
from listserver.edges.sqlite_figures import ListFigures, open_figures
from listserver.outcomes import Phase, Refused
from recrypt_core.documents import Status
from recrypt_core.messages import Hello, write_message
from tests.builders import NOW, TEAM, URL, new_group, new_membership, new_person
from tests.doors import SETTINGS, FakeReception
from tests.fakes import Bench, FixedClock, ListLog, open_bench
from tests.lists import Team, new_list_of
from tests.mails import mail, sealed

ALICE, BOB, CAROL = (f"{name}@example.org" for name in ("alice", "bob", "carol"))
SAMPLE = re.compile(r'([a-z_]+(?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) (\S+)')


class Space:
    """A disk that has room."""

    def has_room(self) -> bool:
        """Always."""
        return True


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


def new_door(log: ListLog) -> Door:
    return Door(FakeReception(), log, SETTINGS, domains=("lists.example",), room=Space())


async def figures_of(
    metrics: Metrics, file: Path, clock: FixedClock | None = None
) -> dict[str, float]:
    """Give the figures as a program of Prometheus' reads them."""
    places = Places(file, {}, new_door(ListLog()))
    text = (await Page(metrics, places, clock or FixedClock()).text()).decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    found = [SAMPLE.fullmatch(line) for line in samples]
    assert all(found), samples
    return {each[1]: float(each[2]) for each in found if each}


async def counted(metrics: Metrics, tmp_path: Path) -> dict[str, float]:
    """Give the figures without a store."""
    return await figures_of(metrics, tmp_path / "nowhere.db")


@pytest.mark.asyncio
async def test_events_are_counted_and_passed_on(tmp_path: Path) -> None:
    log = ListLog()
    metrics = Metrics(log)
    for code in (250, 250, 550):
        metrics.event("post", code=code)
    metrics.event("post-refused", reason="IN_CLEAR")
    metrics.event("transaction", kind="AddMember", status=409)
    metrics.event("mail-discarded")
    metrics.event("bounce", weight="hard", counted=1)
    assert [name for name, _ in log.events].count("post") == 3
    assert ("transaction", {"kind": "AddMember", "status": 409}) in log.events
    found = await counted(metrics, tmp_path)
    assert found['listserver_posts_total{code="250"}'] == 2
    assert found['listserver_posts_total{code="550"}'] == 1
    assert found['listserver_posts_unreadable_total{reason="IN_CLEAR"}'] == 1
    assert found['listserver_service_requests_total{kind="AddMember",status="409"}'] == 1
    assert found['listserver_events_total{event="mail-discarded"}'] == 1
    assert found['listserver_events_total{event="post"}'] == 3
    assert found['listserver_bounces_total{counted="1",weight="hard"}'] == 1


@pytest.mark.asyncio
async def test_each_delivery_is_counted_under_one_outcome(tmp_path: Path) -> None:
    metrics = Metrics(ListLog())
    metrics.event("relayed", what="letters", delivered=9, later=0)
    metrics.event(
        "relayed",
        what="copies",
        delivered=5,
        later=3,
        in_doubt=1,
        given_up=1,
        faulted=0,
        withdrawn=2,
    )
    metrics.event(
        "relayed",
        what="copies",
        delivered=2,
        later=0,
        in_doubt=0,
        given_up=0,
        faulted=1,
        withdrawn=0,
    )
    found = await counted(metrics, tmp_path)
    each = {
        name: found[f'listserver_deliveries_total{{outcome="{name}",what="copies"}}']
        for name in ("delivered", "later", "in_doubt", "given_up", "faulted", "withdrawn")
    }
    assert each == {
        "delivered": 7, "later": 2, "in_doubt": 1, "given_up": 1, "faulted": 1, "withdrawn": 2,
    }  # fmt: skip
    assert found['listserver_deliveries_total{outcome="delivered",what="letters"}'] == 9


@pytest.mark.asyncio
async def test_errors_are_counted_by_their_class(tmp_path: Path) -> None:
    metrics = Metrics(ListLog())
    metrics.event("reception-trouble", error="StoreTrouble")
    found = await counted(metrics, tmp_path)
    assert found['listserver_errors_total{error="StoreTrouble",event="reception-trouble"}'] == 1


@pytest.mark.asyncio
async def test_commits_are_a_histogram_in_seconds(tmp_path: Path) -> None:
    metrics = Metrics(ListLog())
    for seconds in (0.001, 0.004, 60):
        metrics.committed(seconds)
    found = await counted(metrics, tmp_path)
    name = "listserver_store_commit_seconds"
    buckets = [value for key, value in found.items() if key.startswith(f"{name}_bucket")]
    assert buckets == sorted(buckets)
    assert found[f'{name}_bucket{{le="0.001"}}'] == 1
    assert found[f'{name}_bucket{{le="0.005"}}'] == 2
    assert found[f'{name}_bucket{{le="10.0"}}'] == 2
    assert found[f'{name}_bucket{{le="+Inf"}}'] == found[f"{name}_count"] == 3
    assert found[f"{name}_sum"] == pytest.approx(60.005)


@pytest.mark.asyncio
@pytest.mark.parametrize("words", [BOB, TEAM, "two words", "x" * 41, 'quo"te', "line\nend", ""])
async def test_what_is_no_word_of_ours_never_becomes_a_label(words: str, tmp_path: Path) -> None:
    metrics = Metrics(ListLog())
    metrics.event("transaction", kind=words, status=400)
    metrics.event("transaction", kind="another one", status=400)
    metrics.event("odd", error=words)
    found = await counted(metrics, tmp_path)
    assert found['listserver_service_requests_total{kind="other",status="400"}'] == 2
    assert found['listserver_errors_total{error="other",event="odd"}'] == 1


@pytest.mark.asyncio
async def test_the_process_and_the_sessions_are_told(tmp_path: Path) -> None:
    found = await counted(Metrics(ListLog()), tmp_path)
    assert found["process_start_time_seconds"] > 0
    assert found["process_open_fds"] > 0
    for name in ("sessions", "sessions_begun_total", "sessions_refused_total"):
        assert found[f"listserver_smtp_{name}"] == 0
    assert found["listserver_store_readable"] == 0
    assert found["listserver_store_free_bytes"] > 0


async def posted(bench: Bench) -> Team:
    """Create a list of three, one of them suspended, and post to it twice."""
    group = new_group()
    bob = new_membership(new_person(BOB), group.key)
    carol = new_membership(new_person(CAROL), group.key, status=Status.SUSPENDED)
    team = await new_list_of(bench, group, new_person(ALICE), bob, carol)
    for _ in range(2):
        assert (await bench.post(mail(sealed(team.key.public).mmx()))).positive
    return team


@pytest.mark.asyncio
async def test_the_queue_is_counted_as_it_is(bench: Bench) -> None:
    metrics = Metrics(ListLog())
    await posted(bench)
    bench.clock.advance(timedelta(minutes=2))
    found = await figures_of(metrics, bench.file, bench.clock)
    assert found['listserver_posts_stored{state="open"}'] == 2
    assert found['listserver_posts_stored{state="kept"}'] == 2
    assert found['listserver_queue_deliveries{state="waiting"}'] == 4
    assert found["listserver_queue_oldest_due_seconds"] == 120
    assert found["listserver_lists_stopped"] == 0
    assert found["listserver_store_readable"] == 1
    assert found['listserver_store_bytes{file="store"}'] > 0
    never = Refused(Phase.RCPT, 550, "no")
    later = Refused(Phase.RCPT, 450, "later")
    bench.courier._scripts.update({ALICE: [never], BOB: [later, later]})
    await bench.relay_all()
    found = await figures_of(metrics, bench.file, bench.clock)
    states = {
        state: found[f'listserver_queue_deliveries{{state="{state}"}}']
        for state in ("waiting", "under_way", "put_off", "given_up", "held")
    }
    assert states == {"waiting": 0, "under_way": 0, "put_off": 2, "given_up": 1, "held": 0}
    assert found["listserver_queue_oldest_due_seconds"] == 0
    bench.clock.advance(timedelta(minutes=6))
    found = await figures_of(metrics, bench.file, bench.clock)
    assert found['listserver_queue_deliveries{state="waiting"}'] == 2
    assert found["listserver_queue_oldest_due_seconds"] == 60


@pytest.mark.asyncio
async def test_the_store_is_not_looked_at_more_often_than_every_few_seconds(bench: Bench) -> None:
    page = Page(Metrics(ListLog()), Places(bench.file, {}, new_door(ListLog())), bench.clock)
    waiting = b'listserver_queue_deliveries{state="waiting"} 0.0\n'
    assert waiting in await page.text()
    await posted(bench)
    assert all(waiting in text for text in await asyncio.gather(page.text(), page.text()))


@pytest.mark.asyncio
async def test_no_figure_names_anybody_after_real_posts_to_a_real_list(tmp_path: Path) -> None:
    log = ListLog()
    metrics = Metrics(log)
    async with open_bench(tmp_path) as bench:
        bench.posting._log = bench.transactions._log = metrics
        team = await posted(bench)
        await bench.post(b"From: bob@example.org\r\nTo: team@lists.example\r\n\r\nIn clear\r\n")
        await bench.relay_all()
        page = Page(metrics, Places(bench.file, {}, new_door(log)), bench.clock)
        text = (await page.text()).decode().lower()
        with open_figures(bench.file) as store:
            (shown,) = store.lists(bench.vault)
    assert log.events
    assert 'listserver_posts_total{code="250"} 2.0' in text
    names = ["alice", "bob", "carol", "team", "lists.example", "example.org", "@"]
    for canary in (*names, team.key.public.udf.lower()):
        assert canary not in text, canary
    assert shown == ListFigures(
        address=TEAM,
        members=3,
        receiving=2,
        mail_off=0,
        without=0,
        suspended=1,
        revoked=0,
        unreadable=0,
        posts=2,
        kept=2,
        unsent=0,
        given_up=0,
        held=0,
        seq=1,
        changed=NOW,
    )


@pytest.mark.asyncio
async def test_members_whose_mail_is_off_are_counted_apart(bench: Bench) -> None:
    await posted(bench)
    async with bench.store.begin():
        await bench.store._rows.run("UPDATE members SET off = 1 WHERE id > 1")
    with open_figures(bench.file) as store:
        (shown,) = store.lists(bench.vault)
    assert (shown.members, shown.receiving, shown.mail_off, shown.suspended) == (3, 1, 1, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE members SET paused = 1 WHERE id = 1",
        "UPDATE members SET leaving = 1 WHERE id = 1",
    ],
)
async def test_who_wants_no_mail_is_not_among_those_who_receive(
    bench: Bench, statement: str
) -> None:
    await posted(bench)
    async with bench.store.begin():
        await bench.store._rows.run(statement)
    with open_figures(bench.file) as store:
        (shown,) = store.lists(bench.vault)
    assert (shown.members, shown.receiving, shown.mail_off, shown.suspended) == (3, 1, 0, 1)


@asynccontextmanager
async def asking(
    bench: Bench, readers: MetricsFor, client: str
) -> AsyncIterator[httpx2.AsyncClient]:
    """Call the application as one who comes from an address."""

    async def figures() -> bytes:
        return b"figures 1\n"

    made = application(bench.transactions, bench.log, beside=Beside(MetricsPage(figures, readers)))
    transport = httpx2.ASGITransport(made, client=(client, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as opened:
        yield opened


@pytest.mark.asyncio
@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_on_loopback_they_are_shown(bench: Bench, client: str) -> None:
    async with asking(bench, MetricsFor.LOOPBACK, client) as world:
        answer = await world.get("/metrics")
    assert (answer.status_code, answer.content) == (200, b"figures 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.asyncio
@pytest.mark.parametrize("readers", [MetricsFor.LOOPBACK, MetricsFor.OFF])
@pytest.mark.parametrize("client", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "here", ""])
async def test_from_elsewhere_there_is_no_such_path(
    bench: Bench, readers: MetricsFor, client: str
) -> None:
    async with asking(bench, readers, client) as world:
        for method in ("GET", "HEAD", "POST", "PUT"):
            for path in ("/metrics", "/metrics/"):
                answer = await world.request(method, path)
                other = await world.request(method, "/unknown")
                assert (answer.status_code, answer.content) == (404, other.content)
                assert answer.headers == other.headers


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name",
    ["Forwarded", "Via", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Xyz", "X-Real-IP"],
)
async def test_through_a_proxy_on_this_machine_there_is_no_such_path(
    bench: Bench, name: str
) -> None:
    async with asking(bench, MetricsFor.LOOPBACK, "127.0.0.1") as world:
        answer = await world.get("/metrics", headers={name: "x"})
        assert answer.status_code == 404
        assert answer.content == (await world.get("/unknown")).content


@pytest.mark.asyncio
async def test_all_means_all_and_off_nobody(bench: Bench) -> None:
    async with asking(bench, MetricsFor.ALL, "192.0.2.1") as world:
        assert (await world.get("/metrics", headers={"Via": "x"})).status_code == 200
        assert (await world.post("/metrics")).status_code == 404
        hello = await world.post(
            "/.well-known/recrypt/",
            content=write_message(Hello()),
            headers={"Content-Type": "application/json"},
        )
        assert hello.status_code == 201
    async with asking(bench, MetricsFor.OFF, "127.0.0.1") as world:
        assert (await world.get("/metrics")).status_code == 404
