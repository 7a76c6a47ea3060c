"""The log: event names and counts, as text or JSON. No address ever (spec §7)."""

import logging
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

from listserver.config import LogFormat, LogLevel, LogSettings
from listserver.ports import Clock
from recrypt_core.encoding import write_json


class EventLog:
    """Writes one line for each event: a `Log` of listserver.ports."""

    def __init__(self, settings: LogSettings, clock: Clock, stream: TextIO) -> None:
        self._clock = clock
        self._quiet = settings.level is LogLevel.ERROR
        as_text = settings.format is LogFormat.TEXT
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[
                self._stamped,
                structlog.processors.KeyValueRenderer(key_order=["time", "level", "event"])
                if as_text
                else structlog.processors.JSONRenderer(_written),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        ).bind()

    def event(self, name: str, **counts: int | str) -> None:
        """Note one event, if it is of the level that is asked for.

        A log that can't be written, on a full disk or a closed pipe, stops no mail.
        """
        with suppress(OSError, ValueError):
            if "error" in counts:
                self._logger.error(name, level="error", **counts)
            elif not self._quiet:
                self._logger.info(name, level="info", **counts)

    def _stamped(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        event["time"] = self._clock.now().isoformat(timespec="milliseconds")
        return event


def _written(event: Mapping[str, Any], **_settings: object) -> str:
    return write_json({name: event[name] for name in sorted(event)}).decode()
