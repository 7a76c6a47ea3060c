"""A look over an operator's installation, the part on this machine: each finding says what to do.

Nothing is changed by it. What is asked over the network is in `checkup_network`.
"""

import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path, PurePath
from stat import S_IMODE
from typing import Final

from listserver.config import Config
from listserver.edges.certificates import certificates, not_after
from listserver.edges.sqlite_figures import Figures, open_figures, schema
from listserver.vault import Vault, read_key_line
from recrypt_core.errors import Malformed
from recrypt_core.limits import REQUEST_SKEW

CERTIFICATE_LEFT: Final = timedelta(days=14)  # ours: who renews in time has 30 days

_YEAR: Final = 2025  # ours: no clock is right that shows an earlier one
_NOT_SYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_OCTETS: Final = 512  # more than struct timex has on any machine


class Verdict(Enum):
    """How a thing was found."""

    OK = "ok"
    ADVICE = "advice"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it was found, and what to do next if it isn't right."""

    check: str
    verdict: Verdict
    words: str


def ok(check: str, words: str) -> Finding:
    """Find a thing right."""
    return Finding(check, Verdict.OK, words)


def advice(check: str, words: str) -> Finding:
    """Find what could be better, or can't be known."""
    return Finding(check, Verdict.ADVICE, words)


def wrong(check: str, words: str) -> Finding:
    """Find what must be mended."""
    return Finding(check, Verdict.WRONG, words)


def look_here(config: Config, now: datetime) -> Iterator[Finding]:
    """Look over the files, the store, the clock and the certificates."""
    yield from _modes(config)
    vault = _vault(config)
    if isinstance(vault, Finding):
        yield vault
    try:
        with open_figures(config.store.file) as figures:
            yield _store(config, figures, None if isinstance(vault, Finding) else vault)
            yield _clock(figures, now)
    except OSError as problem:
        yield wrong("store", str(problem))
    yield _synchronised()
    yield _disk(config)
    yield from _certificates(config, now)


def certificate_left(check: str, end: datetime, now: datetime) -> Finding:
    """Judge how long a certificate is good."""
    days = (end - now).days
    if end <= now:
        return wrong(check, f"it ended on {end:%Y-%m-%d}: renew it")
    if end - now < CERTIFICATE_LEFT:
        return advice(check, f"it ends in {days} days: see why it wasn't renewed")
    return ok(check, f"good for {days} days")


def _modes(config: Config) -> Iterator[Finding]:
    """Find files that others may read. A group may share a certificate's key, and no other."""
    store = config.store.file
    private = [config.vault.key_file, config.relay.password_file]
    private += [store.with_name(f"{store.name}{end}") for end in ("", "-wal", "-shm")]
    modes = {file: _mode(file) & 0o077 for file in private if file}
    modes |= {x: _mode(x) & 0o007 for x in (config.smtp.tls_key, config.service.tls_key) if x}
    exposed = [file for file, bits in modes.items() if bits]
    for file in exposed:
        yield wrong("files", f"others than its owner may use {file}: chmod 600 {file}")
    if not exposed:
        yield ok("files", "keys, passwords and the store are their owner's alone")


def _mode(file: PurePath) -> int:
    """Give a file's mode; what isn't there is nobody's."""
    try:
        return S_IMODE(Path(file).stat().st_mode)
    except OSError:
        return 0


def _vault(config: Config) -> Vault | Finding:
    file = Path(config.vault.key_file)
    try:
        return read_key_line(file.read_bytes())
    except OSError as problem:
        why = problem.strerror
    except Malformed as problem:
        why = str(problem)
    return wrong("vault key", f"{file} can't be read ({why}): restore it from where it was kept")


def _store(config: Config, figures: Figures, vault: Vault | None) -> Finding:
    file = config.store.file
    if figures.version() > schema():
        return wrong("store", f"{file} is of a later version of this program: run that one")
    if figures.version() < schema():
        return advice("store", f"{file} is of an earlier version: the next start changes that")
    if not figures.is_whole():
        return wrong("store", f"{file} is damaged: restore the latest back-up of it")
    if vault is None:
        return advice("store", f"{file} is whole; whether its rows open can't be seen without key")
    if not figures.is_of(vault):
        return wrong(
            "store",
            f"{file} was made with another vault key than {config.vault.key_file}:"
            " look at [vault] key_file, or restore the key from where it was kept",
        )
    return ok("store", f"{file} is whole, and the vault key is its own")


def _clock(figures: Figures, now: datetime) -> Finding:
    if now.year < _YEAR:
        return wrong("clock", f"it says {now:%Y-%m-%d}, which is past: set it right")
    if (newest := figures.newest()) > now + REQUEST_SKEW:
        return wrong(
            "clock", f"a post was taken at {newest:%Y-%m-%d %H:%M}, which is to come: set it right"
        )
    return ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, which goes with the store")


def _synchronised() -> Finding:
    """Ask the kernel, whom any NTP program tells. Nothing is set, so anybody may ask."""
    # Loaded here: it may make memory that is written and run, which a server's unit forbids.
    import ctypes

    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS))
    except AttributeError:  # not Linux
        answer = -1
    if answer == _NOT_SYNCHRONISED:
        return advice("ntp", "no program keeps the clock right: run one, such as chrony")
    if answer < 0:
        return advice("ntp", "whether the clock is kept right isn't known: see that NTP runs")
    return ok("ntp", "the clock is kept right")


def _disk(config: Config) -> Finding:
    folder, reserve = config.store.file.parent, config.store.reserve_mib
    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError as problem:
        return wrong("disk", f"{folder} can't be looked at: {problem.strerror}")
    if free < reserve:
        return wrong("disk", f"{free} MiB are free, under [store] reserve_mib {reserve}: make room")
    if free < 2 * reserve:
        return advice("disk", f"{free} MiB are free; under {reserve} no mail is taken: make room")
    return ok("disk", f"{free} MiB are free")


def _certificates(config: Config, now: datetime) -> Iterator[Finding]:
    keys = {"smtp": config.smtp.tls_key, "service": config.service.tls_key}
    for section, file in certificates(config).items():
        check = f"{section} certificate"
        try:
            # With a password, if only an empty one, nothing is asked for at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                str(file), str(keys[section]), password=""
            )
            yield certificate_left(check, not_after(file), now)
        except OSError as problem:
            why = problem.strerror or problem
            yield wrong(check, f"{file} and its key can't be used ({why}): look at the files")
