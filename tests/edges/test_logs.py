"""The log: one line for each event, as text or JSON, of the level that is asked for."""

import io
import json
from datetime import timedelta

from listserver.config import LogFormat, LogLevel, LogSettings
from listserver.edges.clock import SystemClock
from listserver.edges.logs import EventLog
from tests.fakes import FixedClock


def written(form: LogFormat, level: LogLevel = LogLevel.INFO) -> list[str]:
    """Note two events, of which one is an error."""
    stream, clock = io.StringIO(), FixedClock()
    log = EventLog(LogSettings(level, form), clock, stream)
    log.event("post", code=250)
    clock.advance(timedelta(seconds=1))
    log.event("relay-trouble", error="StoreTrouble")
    return stream.getvalue().splitlines()


def test_an_event_is_one_line_of_text_with_time_level_and_name_first() -> None:
    assert written(LogFormat.TEXT) == [
        "time='2026-11-22T12:00:00.000+00:00' level='info' event='post' code=250",
        "time='2026-11-22T12:00:01.000+00:00' level='error' event='relay-trouble'"
        " error='StoreTrouble'",
    ]


def test_an_event_is_one_object_of_json() -> None:
    first, second = map(json.loads, written(LogFormat.JSON))
    assert first == {
        "time": "2026-11-22T12:00:00.000+00:00",
        "level": "info",
        "event": "post",
        "code": 250,
    }
    assert (second["level"], second["error"]) == ("error", "StoreTrouble")


def test_a_line_end_in_a_figure_does_not_make_a_line() -> None:
    for form in LogFormat:
        stream = io.StringIO()
        log = EventLog(LogSettings(LogLevel.INFO, form), FixedClock(), stream)
        log.event("post", kind="x\r\ny\0z")
        assert stream.getvalue().count("\n") == 1
        assert "\r" not in stream.getvalue()


def test_a_log_of_errors_has_nothing_else() -> None:
    (only,) = written(LogFormat.TEXT, LogLevel.ERROR)
    assert "relay-trouble" in only


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
