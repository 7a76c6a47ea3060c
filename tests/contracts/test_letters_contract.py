"""What every Store does with the kinds of letters: whose turn it is, room, what is held."""

from datetime import timedelta

import pytest

from listserver import limits
from listserver.model import Faulted, Letter, LetterKind, LetterRecord
from listserver.outcomes import Delivered, GaveUp, Outcome, Phase
from listserver.store import QueueFull, Work
from tests.builders import NOW

OPERATOR, NOTICE, JOIN, *_ = LetterKind
REFUSED = GaveUp(Phase.CONTENT, 554, "5.7.1 spam")
LOST = GaveUp(Phase.CONNECT, None, "TimeoutError")
ROOM = "listserver.edges.sqlite_letters"


async def put(work: Work, kind: LetterKind, octets: bytes = b"x") -> None:
    await work.enqueue_letter(Letter("m@example.org", "", octets, kind=kind), NOW)


async def turns(work: Work, limit: int) -> list[LetterKind]:
    """Claim some, and tell of what kind they are."""
    claims = await work.claim_letters(NOW, limit)
    return [(await work.read_letter(each)).kind for each in claims]


@pytest.mark.asyncio
async def test_the_operators_mail_goes_first_and_no_kind_waits_for_anothers_end(work: Work) -> None:
    for kind in (JOIN, NOTICE, OPERATOR):
        for _ in range(5):
            await put(work, kind)
    assert await turns(work, 5) == [OPERATOR, NOTICE, JOIN, OPERATOR, OPERATOR]
    assert await turns(work, 1) == [OPERATOR]
    assert await turns(work, 6) == [OPERATOR, NOTICE, JOIN, NOTICE, NOTICE, NOTICE]


@pytest.mark.asyncio
@pytest.mark.parametrize("full", LetterKind)
async def test_a_kind_that_has_no_room_takes_none_from_another(
    work: Work, full: LetterKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{ROOM}.LETTERS", 3)
    for _ in range(3):
        await put(work, full)
    for kind in LetterKind:
        if kind is not full:
            await put(work, kind)
    with pytest.raises(QueueFull):
        await put(work, full)


@pytest.mark.asyncio
async def test_room_is_counted_in_octets_too(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{ROOM}.LETTERS_OCTETS", 100)
    await put(work, OPERATOR, b"x" * 60)
    with pytest.raises(QueueFull):
        await put(work, OPERATOR, b"x" * 41)
    await put(work, OPERATOR, b"x" * 40)
    await put(work, JOIN, b"x" * 100)
    assert limits.LETTERS_OCTETS > 100 * limits.LETTER_OCTETS


@pytest.mark.asyncio
@pytest.mark.parametrize("end", [REFUSED, LOST, Delivered()])
@pytest.mark.parametrize("kind", LetterKind)
async def test_what_is_given_up_of_the_operators_mail_alone_is_held(
    work: Work, kind: LetterKind, end: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{ROOM}.LETTERS", 1)
    await put(work, kind)
    (claim,) = await work.claim_letters(NOW, 9)
    await work.record_letters([LetterRecord(claim.id, end)], NOW)
    assert await work.next_letter_due(NOW) is None
    await put(work, kind)  # what is held takes no room from what waits
    if kind is OPERATOR and isinstance(end, GaveUp):
        await work.read_letter(claim)
    else:
        (other,) = await work.claim_letters(NOW, 9)
        assert other.id == claim.id  # the number is free again: it was erased


@pytest.mark.asyncio
@pytest.mark.parametrize("dies", [False, True])
async def test_what_fails_here_three_times_is_held_or_erased_too(work: Work, dies: bool) -> None:
    await put(work, NOTICE)
    await put(work, OPERATOR)
    operators, notice = await work.claim_letters(NOW, 9)
    for hour in range(limits.FAULTS):
        now = NOW + timedelta(hours=hour)
        claims = await work.claim_letters(now, 9) if hour else (operators, notice)
        assert [each.id for each in claims] == [operators.id, notice.id]
        if dies:
            await work.release_letters(now)
        else:
            await work.record_letters([LetterRecord(x.id, Faulted(now)) for x in claims], now)
    assert await work.next_letter_due(NOW + timedelta(days=1)) is None
    assert (await work.read_letter(operators)).kind is OPERATOR
    with pytest.raises(LookupError):
        await work.read_letter(notice)


@pytest.mark.asyncio
@pytest.mark.parametrize(("number", "octets"), [(2, 10**6), (9, 25)])
async def test_what_is_given_up_where_no_more_can_be_held_is_erased(
    work: Work, number: int, octets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{ROOM}.HELD_LETTERS", number)
    monkeypatch.setattr(f"{ROOM}.HELD_OCTETS", octets)
    for _ in range(4):
        await put(work, OPERATOR, b"x" * 10)
    claims = await work.claim_letters(NOW, 9)
    await work.record_letters([LetterRecord(each.id, REFUSED) for each in claims], NOW)
    await put(work, OPERATOR)
    (next_,) = await work.claim_letters(NOW, 9)
    assert next_.id == 3  # two are held
