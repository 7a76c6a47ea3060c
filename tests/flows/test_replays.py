"""A signed read that is sent again, though the clock jumps between (spec §5)."""

from datetime import timedelta

import pytest

from recrypt_core.messages import GetGroup, write_message
from recrypt_core.signing import Jws, sign_request
from tests.builders import TEAM, URL
from tests.fakes import Bench
from tests.lists import Team, new_team, said

REPLAYED = (401, "Not authentic: the nonce was used before: sign anew.")


def reading(bench: Bench, team: Team) -> Jws:
    """Sign a read, at the time that it is."""
    message = write_message(GetGroup(group_id=TEAM))
    return sign_request(message, team.alice.online, url=URL, now=bench.clock.now())


@pytest.mark.asyncio
@pytest.mark.parametrize("days", [1, 29])
async def test_a_read_is_not_taken_again_after_the_clock_jumped_ahead_and_back(
    bench: Bench, days: int
) -> None:
    team, jump = await new_team(bench), timedelta(days=days)
    read = reading(bench, team)
    assert said(await bench.send(read))[0] == 201
    bench.clock.advance(jump)
    assert said(await bench.send(reading(bench, team)))[0] == 201  # old nonces are erased now
    bench.clock.advance(-jump)
    assert said(await bench.send(read)) == REPLAYED
    assert said(await bench.send(reading(bench, team)))[0] == 201


@pytest.mark.asyncio
async def test_a_nonce_is_not_remembered_for_ever(bench: Bench) -> None:
    team = await new_team(bench)
    assert said(await bench.send(reading(bench, team)))[0] == 201
    kept = await bench.count("nonces")
    bench.clock.advance(timedelta(days=32))
    assert said(await bench.send(reading(bench, team)))[0] == 201
    assert await bench.count("nonces") < kept
