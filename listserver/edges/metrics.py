"""Figures for operators, in the form of Prometheus: they count everything and name nobody.

No label has an address, a list's name, or anything about one member (spec §7): labels are words of
our own code, codes and statuses. What is counted costs one addition when it happens; the store and
the disk are looked at when the figures are asked for, and not more often than every few seconds.
"""

import asyncio
import re
import shutil
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from listserver.edges.certificates import not_after
from listserver.edges.door import Door
from listserver.edges.sqlite_figures import QueueFigures, Undecided, open_figures
from listserver.ports import Clock, Log

Labels: TypeAlias = tuple[str, ...]

_LOOK_SECONDS: Final = 5.0  # ours: between looks at the store
_LOOK_SHARE: Final = 20  # ours: a look that takes long is followed by a pause so many times longer
_COMMIT_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}|\d{1,3}", re.ASCII)

# Events with figures of their own: the event's words become labels.
_KINDS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "post": (
        "listserver_posts",
        "Posts that were decided upon, by the code of the SMTP reply; 250 is accepted.",
        ("code",),
    ),
    "post-refused": (
        "listserver_posts_unreadable",
        "Mails to lists that were refused before they were decided upon, by reason.",
        ("reason",),
    ),
    "bounce": (
        "listserver_bounces",
        "Reports that mail couldn't be delivered, by weight, and whether they counted.",
        ("weight", "counted"),
    ),
    "transaction": (
        "listserver_service_requests",
        "Requests to the service, by transaction and status of the answer.",
        ("kind", "status"),
    ),
}
_OUTCOMES: Final = ("delivered", "later", "in_doubt", "given_up", "faulted", "withdrawn")


@dataclass(frozen=True, slots=True)
class Places:
    """What is looked at when the figures are asked for; certificates by their listener."""

    store: PurePath
    certificates: Mapping[str, PurePath]
    door: Door


class Metrics:
    """A `Log` of listserver.ports that counts what it passes on."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._events: Counter[Labels] = Counter()
        self._errors: Counter[Labels] = Counter()
        self._kinds: dict[str, Counter[Labels]] = {name: Counter() for name in _KINDS}
        self._outcomes: Counter[Labels] = Counter({("copies", name): 0 for name in _OUTCOMES})
        self._commits = [0] * (len(_COMMIT_BOUNDS) + 1)
        self._commit_seconds = 0.0

    # --- what is counted as it happens

    def event(self, name: str, **counts: int | str) -> None:
        """Count an event, and pass it on."""
        self._events[(name,)] += 1
        if "error" in counts:
            self._errors[name, str(counts["error"])] += 1
        if name == "relayed":
            self._count_outcomes(counts)
        elif name in self._kinds:
            labels = _KINDS[name][2]
            self._kinds[name][tuple(str(counts.get(label, "")) for label in labels)] += 1
        self._log.event(name, **counts)

    def committed(self, seconds: float) -> None:
        """Count a commit of the store, and how long it took."""
        self._commits[bisect_left(_COMMIT_BOUNDS, seconds)] += 1
        self._commit_seconds += seconds

    def _count_outcomes(self, counts: Mapping[str, int | str]) -> None:
        what = str(counts.get("what", "copies"))
        for outcome in _OUTCOMES:
            self._outcomes[what, outcome] += int(counts.get(outcome, 0))
        # Those in doubt are tried later too, and counted once.
        self._outcomes[what, "later"] -= int(counts.get("in_doubt", 0))

    # --- what is read

    def collect(self) -> Iterator[Metric]:
        """Give what was counted."""
        yield _counter("listserver_events", "Events by name.", self._events, "event")
        yield _counter(
            "listserver_errors",
            "Events that are errors, by the class of the exception; StoreTrouble is the store's.",
            self._errors,
            "event",
            "error",
        )
        for name, (metric, words, labels) in _KINDS.items():
            yield _counter(metric, words, self._kinds[name], *labels)
        yield _counter(
            "listserver_deliveries",
            "Attempts to deliver copies of posts, and letters of the server's own, by outcome;"
            " in_doubt was cut off after the final dot.",
            self._outcomes,
            "what",
            "outcome",
        )
        bounds = [*map(str, map(float, _COMMIT_BOUNDS)), "+Inf"]
        yield HistogramMetricFamily(
            "listserver_store_commit_seconds",
            "Commits of the store, by the time until they were on the disk.",
            buckets=list(zip(bounds, accumulate(self._commits), strict=True)),
            sum_value=self._commit_seconds,
        )


class Page:
    """The figures as one text: what was counted, and what is looked at when they are asked for."""

    def __init__(self, metrics: Metrics, places: Places, clock: Clock) -> None:
        self._places = places
        self._clock = clock
        self._turn = asyncio.Lock()
        self._seen: tuple[Metric, ...] = ()
        self._next_look = 0.0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collected(metrics.collect))
        self._registry.register(_Collected(lambda: _sessions(places.door)))
        self._registry.register(_Collected(lambda: iter(self._seen)))
        ProcessCollector(registry=self._registry)

    async def text(self) -> bytes:
        """Write all figures in the text format of Prometheus."""
        async with self._turn:
            begun = time.monotonic()
            if begun >= self._next_look:
                self._seen = await asyncio.to_thread(_look, self._places, self._clock.now())
                ended = time.monotonic()
                self._next_look = ended + max(_LOOK_SECONDS, _LOOK_SHARE * (ended - begun))
        return generate_latest(self._registry)


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """What prometheus_client asks for figures."""

    source: Callable[[], Iterator[Metric]]

    def collect(self) -> Iterator[Metric]:
        """Give them."""
        return self.source()


def _sessions(door: Door) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "listserver_smtp_sessions", "SMTP and LMTP sessions that are open.", len(door.guests)
    )
    yield CounterMetricFamily(
        "listserver_smtp_sessions_begun", "SMTP and LMTP sessions so far.", door.let_in
    )
    yield CounterMetricFamily(
        "listserver_smtp_sessions_refused",
        "Connections for mail that were refused as there were too many.",
        door.turned_away,
    )


def _look(places: Places, now: datetime) -> tuple[Metric, ...]:
    """Look at the queue, the disk and the certificates; what can't be read is left out."""
    found: list[Metric] = []
    store = Path(places.store)
    readable = GaugeMetricFamily(
        "listserver_store_readable", "1, or 0 if the queue's figures couldn't be read."
    )
    try:
        with open_figures(store) as figures:
            found += _queue(figures.queue(now))
            found += _undecided(figures.undecided(now))
    except OSError:
        found.clear()
    readable.add_metric((), 1 if found else 0)
    with suppress(OSError):
        found.append(
            GaugeMetricFamily(
                "listserver_store_free_bytes",
                "Free room on the store's file system, for who isn't root.",
                shutil.disk_usage(store.parent).free,
            )
        )
    sizes = GaugeMetricFamily(
        "listserver_store_bytes",
        "Size of the store, and of its write-ahead log.",
        labels=("file",),
    )
    for name, file in (("store", store), ("log", store.with_name(f"{store.name}-wal"))):
        with suppress(OSError):
            sizes.add_metric((name,), file.stat().st_size)
    ends = GaugeMetricFamily(
        "listserver_certificate_expiry_timestamp_seconds",
        "When a certificate ends, by the section of the settings that names it.",
        labels=("section",),
    )
    for section, certificate in places.certificates.items():
        with suppress(OSError):
            ends.add_metric((section,), not_after(certificate).timestamp())
    return (readable, *found, sizes, ends)


def _queue(queue: QueueFigures) -> Iterator[Metric]:
    posts = {"open": queue.posts_open, "held": queue.posts_held, "kept": queue.posts_kept}
    words = "Posts with copies to deliver, stopped, and on the disk with their text."
    yield _gauge("listserver_posts_stored", words, posts)
    letters = {"waiting": queue.letters, "held": queue.letters_held}
    words = "Mails of the server's own, and the operator's, that wait; the operator's, given up."
    yield _gauge("listserver_queue_letters", words, letters)
    deliveries = {
        "waiting": queue.waiting,
        "under_way": queue.under_way,
        "put_off": queue.put_off,
        "given_up": queue.given_up,
        "held": queue.held,
    }
    words = "Copies that are to be delivered, were given up or are held."
    yield _gauge("listserver_queue_deliveries", words, deliveries)
    yield GaugeMetricFamily(
        "listserver_lists_stopped", "Lists that the operator has stopped.", queue.lists_stopped
    )
    yield GaugeMetricFamily(
        "listserver_queue_oldest_due_seconds",
        "How long the copy has waited that has been due for longest; not those of stopped lists.",
        queue.oldest.total_seconds(),
    )


def _undecided(found: Mapping[str, Undecided]) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "listserver_undecided",
        "Held posts, and requests to join, that wait for administrators, of all lists together.",
        labels=("what",),
    )
    oldest = GaugeMetricFamily(
        "listserver_undecided_oldest_seconds",
        "How long the first of them has waited; 0 if none does.",
        labels=("what",),
    )
    for what, each in found.items():
        count.add_metric((what,), each.count)
        oldest.add_metric((what,), each.oldest.total_seconds())
    yield from (count, oldest)


def _gauge(name: str, words: str, states: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=("state",))
    for state, count in states.items():
        family.add_metric((state,), count)
    return family


def _counter(name: str, words: str, counts: Mapping[Labels, int], *labels: str) -> Metric:
    """Make a family; what isn't a word of ours, which can't be, would become `other`."""
    family = CounterMetricFamily(name, words, labels=labels)
    safe: Counter[Labels] = Counter()
    for values, count in counts.items():
        safe[tuple(x if _WORD.fullmatch(x) else "other" for x in values)] += count
    for values, count in safe.items():
        family.add_metric(values, count)
    return family
