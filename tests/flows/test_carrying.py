"""Copies on a courier: what is kept in memory between them, and what comes too late."""

import asyncio
from datetime import timedelta

import pytest

from listserver import carrying as carrying_room
from listserver.carrying import Carried, Carrying, Copy, NotBegun
from listserver.copies import Frame, make_frame
from listserver.limits import TAKEN_TO_WIDEN
from listserver.outcomes import Answer, Broken, Phase, Refused
from listserver.ports import Outgoing
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import new_membership, new_person
from tests.fakes import TAKEN, ScriptedCourier
from tests.mails import sealed
from tests.stored import half_of, stored_post

NAMES = ("alice", "bob", "carol")
LOST = Broken(Phase.CONNECT, "ConnectionRefusedError")


@pytest.fixture(name="post")
def _post() -> tuple[Frame, list[Copy]]:
    """Make a post to three."""
    key = PrivateKey.generate(Curve.X25519)
    halves = [half_of(new_membership(new_person(f"{name}@example.org"), key)) for name in NAMES]
    envelope = sealed(key.public)
    frame = make_frame(stored_post(envelope, *halves), envelope.ciphertext)
    return frame, [Copy(half, "team-bounces@lists.example", b"") for half in halves]


async def carried(carrying: Carrying, frame: Frame, copies: list[Copy]) -> dict[int, Carried]:
    """Carry; give what came of each."""
    return {at: each async for found in carrying.carry(frame, copies) for at, each in found}


@pytest.mark.asyncio
async def test_what_waited_too_long_for_a_connection_is_not_begun(
    post: tuple[Frame, list[Copy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_room, "HALF_AGE", timedelta(0))
    frame, copies = post
    courier = ScriptedCourier()
    found = await carried(Carrying(courier, 1), frame, copies)
    assert all(isinstance(each, NotBegun) for each in found.values())
    assert courier.sent == []


class Choosy(ScriptedCourier):
    """Takes so many mails at one time, and parts with who connects beside them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.under_way = 0
        self.parted = 0

    async def deliver(self, mail: Outgoing) -> Answer:
        """Take it, if there are few."""
        if self.under_way >= self.most:
            self.parted += 1
            await asyncio.sleep(0)
            return Refused(Phase.CONNECT, 421, "too many connections")
        self.under_way += 1
        await asyncio.sleep(0)
        self.under_way -= 1
        return await super().deliver(mail)


@pytest.mark.asyncio
async def test_a_host_that_takes_fewer_connections_gets_fewer_and_slowly_more_again(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, (copy, *_) = post
    courier = Choosy(2)
    carrying = Carrying(courier, 5)
    left = 200
    while left:
        found = await carried(carrying, frame, [copy] * min(left, 10))
        left -= sum(each == TAKEN for each in found.values())
        assert all(each == TAKEN or isinstance(each, NotBegun) for each in found.values())
    assert carrying.width in (2, 3)
    assert 3 <= courier.parted <= 3 + 200 // TAKEN_TO_WIDEN
    courier.most = 5
    for _ in range(3 * TAKEN_TO_WIDEN):
        await carried(carrying, frame, [copy])
    assert carrying.width == 5


@pytest.mark.asyncio
async def test_a_host_that_takes_no_connection_at_all_is_told_as_such(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, copies = post
    found = await carried(Carrying(Choosy(0), 3), frame, copies)
    told = [each for each in found.values() if not isinstance(each, NotBegun)]
    assert told == [Refused(Phase.CONNECT, 421, "too many connections")]


@pytest.mark.asyncio
async def test_what_waits_while_the_host_is_found_lost_is_not_begun(
    post: tuple[Frame, list[Copy]],
) -> None:
    frame, copies = post
    courier = ScriptedCourier({"alice@example.org": [LOST]})
    carrying = Carrying(courier, 1)
    found = await carried(carrying, frame, copies)
    assert found[0] == LOST
    assert all(isinstance(found[at], NotBegun) for at in (1, 2))
    assert len(courier.sent) == 1
    assert set((await carried(carrying, frame, copies)).values()) == {TAKEN}


@pytest.mark.asyncio
async def test_who_is_no_longer_waited_for_is_cancelled(post: tuple[Frame, list[Copy]]) -> None:
    class Silent(ScriptedCourier):
        """Never answers."""

        ended = 0

        async def deliver(self, mail: Outgoing) -> Answer:
            """Wait for ever."""
            try:
                await asyncio.Event().wait()
            finally:
                self.ended += 1
            return await super().deliver(mail)

    frame, copies = post
    courier = Silent()
    waiting = asyncio.create_task(carried(Carrying(courier, 2), frame, copies))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert courier.ended == 2
