"""Lists that are stopped or closed, as an operator sees them: no alarm, and still no names."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from listserver.edges.sqlite_figures import open_figures
from listserver.edges.sqlite_upkeep import open_upkeep
from listserver.outcomes import Phase, Refused
from recrypt_core.documents import RecryptionGroup
from recrypt_core.messages import UpdateGroup
from tests.builders import NOW, TEAM, closed_key, new_group, new_person
from tests.fakes import Bench, administrator, open_bench
from tests.mails import mail, sealed

HOUR = timedelta(hours=1)
ALICE = "alice@example.org"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a server."""
    async with open_bench(tmp_path) as opened:
        yield opened


def suspend(bench: Bench) -> None:
    with open_upkeep(bench.file, bench.vault) as store:
        assert store.suspend(TEAM, bench.clock.now())


@pytest.mark.asyncio
async def test_what_waits_for_a_stopped_list_is_not_overdue(bench: Bench) -> None:
    group, alice = new_group(), new_person(ALICE)
    await bench.create(group, administrator(alice, group), authorised=alice)
    bench.courier.script(ALICE, Refused(Phase.RCPT, 451, "later"))
    await bench.post(mail(sealed(group.key.public).mmx(), message_id="<1@x.example>"))
    await bench.relay_all()
    await bench.post(mail(sealed(group.key.public).mmx(), message_id="<2@x.example>"))
    bench.clock.advance(HOUR)
    with open_figures(bench.file) as store:
        assert store.queue(bench.clock.now()).oldest == HOUR
    suspend(bench)
    with open_figures(bench.file) as store:
        queue = store.queue(bench.clock.now())
        (shown,) = store.lists(bench.vault)
    assert (queue.oldest, queue.lists_stopped, queue.waiting) == (timedelta(0), 1, 2)
    assert (shown.stopped, shown.closed) == (NOW + HOUR, False)


@pytest.mark.asyncio
async def test_a_closed_list_is_shown_so(bench: Bench) -> None:
    group, alice = new_group(), new_person(ALICE)
    history = await bench.create(group, administrator(alice, group), authorised=alice)
    signed = closed_key(history.state, group.master).signed
    stated = RecryptionGroup(group_name=TEAM, current_encryption_key=signed)
    change = history.sign(UpdateGroup(recryption_group=stated), alice.online)
    await bench.change(change, history=history)
    with open_figures(bench.file) as store:
        (shown,) = store.lists(bench.vault)
    assert (shown.address, shown.stopped, shown.closed) == (TEAM, None, True)
