"""Outcomes: what an answer means, and when to try again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import limits
from listserver.outcomes import (
    Accepted,
    Answer,
    Broken,
    Delivered,
    GaveUp,
    Outcome,
    Phase,
    Refused,
    Schedule,
    TryLater,
    outcome_of,
)

FIRST = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
EARLY = [Phase.CONNECT, Phase.HELLO, Phase.TLS, Phase.AUTH]
LATE = [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT]


def judge(answer: Answer, *, attempts: int = 1, after: timedelta = timedelta(0)) -> Outcome:
    return outcome_of(answer, Schedule(), attempts=attempts, first=FIRST, now=FIRST + after)


def test_what_was_accepted_is_delivered() -> None:
    assert judge(Accepted(250, "OK")) == Delivered()


@pytest.mark.parametrize("phase", LATE)
def test_5yz_to_the_mail_is_final(phase: Phase) -> None:
    assert judge(Refused(phase, 550, "No such user")) == GaveUp(phase, 550, "No such user")


@pytest.mark.parametrize("phase", EARLY)
def test_5yz_before_the_mail_is_our_relays_trouble(phase: Phase) -> None:
    assert isinstance(judge(Refused(phase, 554, "Go away")), TryLater)


def test_a_relay_that_wants_a_login_is_our_trouble_not_the_mails() -> None:
    assert isinstance(judge(Refused(Phase.MAIL, 530, "Authenticate")), TryLater)


@pytest.mark.parametrize("phase", Phase)
def test_4yz_is_tried_again(phase: Phase) -> None:
    later = judge(Refused(phase, 450, "Busy"))
    assert later == TryLater(FIRST + limits.FIRST_DELAY, ambiguous=False)


@pytest.mark.parametrize("phase", Phase)
def test_only_a_cut_after_the_final_dot_is_ambiguous(phase: Phase) -> None:
    later = judge(Broken(phase, "ConnectionResetError"))
    assert later == TryLater(FIRST + limits.FIRST_DELAY, ambiguous=phase is Phase.CONTENT)


def test_the_delay_doubles_up_to_the_longest() -> None:
    busy = Refused(Phase.RCPT, 450, "Busy")
    minutes = [5, 10, 20, 40, 80, 160, 240, 240]
    for attempts, delay in enumerate(minutes, start=1):
        expected = TryLater(FIRST + timedelta(minutes=delay), ambiguous=False)
        assert judge(busy, attempts=attempts) == expected


def test_after_five_days_it_is_given_up_with_the_last_words() -> None:
    for answer, outcome in (
        (Refused(Phase.RCPT, 450, "Busy"), GaveUp(Phase.RCPT, 450, "Busy")),
        (Broken(Phase.MAIL, "Cut"), GaveUp(Phase.MAIL, None, "Cut")),
        (Accepted(250, "OK"), Delivered()),
    ):
        assert judge(answer, attempts=limits.LEAST_ATTEMPTS, after=limits.LIFETIME) == outcome


def test_what_was_tried_a_few_times_is_not_given_up_by_a_clock_that_was_set_forward() -> None:
    ahead = timedelta(days=10)
    found = judge(Broken(Phase.CONNECT, "Cut"), attempts=1, after=ahead)
    assert found == TryLater(FIRST + ahead + limits.FIRST_DELAY, ambiguous=False)


@pytest.mark.parametrize(
    ("lifetime", "attempts"), [(timedelta(minutes=1), 1), (timedelta(hours=1), 4)]
)
def test_a_short_schedule_ends_in_its_time_with_the_attempts_that_it_has(
    lifetime: timedelta, attempts: int
) -> None:
    schedule = Schedule(lifetime=lifetime)
    assert schedule.least_attempts == attempts
    answer = Refused(Phase.RCPT, 451, "later")
    for tried, kind in ((attempts - 1, TryLater), (attempts, GaveUp)):
        found = outcome_of(answer, schedule, attempts=tried, first=FIRST, now=FIRST + lifetime)
        assert isinstance(found, kind)


@given(
    st.integers(limits.LEAST_ATTEMPTS, 10**6), st.timedeltas(timedelta(days=-9), timedelta(days=9))
)
def test_a_delivery_is_due_later_within_its_life_or_final(attempts: int, after: timedelta) -> None:
    match judge(Broken(Phase.CONNECT, "Cut"), attempts=attempts, after=after):
        case TryLater(due, _):
            assert FIRST + after < due <= FIRST + limits.LIFETIME
        case outcome:
            assert isinstance(outcome, GaveUp)
            assert after >= limits.LIFETIME
