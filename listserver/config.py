"""The settings: listserver.toml read into frozen values (spec §11). An unknown key is an error."""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Final

from listserver import limits
from listserver.addresses import Address
from listserver.outcomes import Schedule
from listserver.sections import SQLITE, Endpoint, Section, is_loopback
from recrypt_core.errors import Malformed
from recrypt_core.policy import Language


class Security(Enum):
    """How the connection to the relay host is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class MetricsFor(Enum):
    """Who may read the service's /metrics: this machine, nobody, or everybody."""

    LOOPBACK = "loopback"
    OFF = "off"
    ALL = "all"


class LogLevel(Enum):
    """Which events are logged: all, or errors alone."""

    INFO = "info"
    ERROR = "error"


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """[smtp]: where mail comes in; max_post_octets is of the finished copy.

    tls_certificate, tls_key: PEM files; without them STARTTLS isn't offered.
    """

    listen: Endpoint
    lmtp: Endpoint | None
    max_post_octets: int
    connections: int
    connections_per_client: int
    tls_certificate: PurePath | None
    tls_key: PurePath | None


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """[service]: where clients' requests come in; the certificate and its key are PEM files.

    groups_per_profile: how many groups an authorised profile may create.
    recryptions_per_member, recryptions_per_group: how many RecryptData are answered on a day.
    audit_days: how long the log of them is kept.
    templates: a folder whose files are taken before ours, for the pages that people see.
    show_lists: names of lists that the start page has links to.
    language: of that page, and of all that is about no list.
    """

    listen: Endpoint
    tls_certificate: PurePath | None
    tls_key: PurePath | None
    metrics: MetricsFor = MetricsFor.LOOPBACK
    groups_per_profile: int = limits.GROUPS_PER_PROFILE
    recryptions_per_member: int = limits.RECRYPTIONS_PER_MEMBER
    recryptions_per_group: int = limits.RECRYPTIONS_PER_GROUP
    audit_days: int = limits.AUDIT_DAYS
    templates: PurePath | None = None
    show_lists: tuple[str, ...] = ()
    language: Language = Language.EN


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """[relay]: the host that mail goes out to; the password stands in a file of its own.

    schedule: of retry_first_minutes, retry_longest_minutes and give_up_days.
    workers: processes that carry copies; none, where the server does it itself.
    """

    host: str
    port: int
    security: Security
    username: str | None
    password_file: PurePath | None
    connections: int
    schedule: Schedule = Schedule()  # noqa: RUF009 - it doesn't change
    workers: int = 0


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """[store]: `url` has its file as an absolute path, if the configuration's folder has.

    reserve_mib: of the disk, kept for the queue: no mail is taken while less is free; 0 is off.
    """

    url: str
    reserve_mib: int

    @property
    def file(self) -> PurePath:
        """Give the database file."""
        return PurePath(self.url.removeprefix(SQLITE))


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """[vault]: the file with the key that rows of the store are sealed with."""

    key_file: PurePath


@dataclass(frozen=True, slots=True)
class BounceSettings:
    """[bounces]: at how many points a member is probed, and how long a point takes to decay."""

    threshold: int
    window_days: int


@dataclass(frozen=True, slots=True)
class LogSettings:
    """[log]: how much is written, and in which form."""

    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True)
class WordsSettings:
    """[words]: a folder with texts for lists of the operator's, in place of the built-in ones."""

    folder: PurePath | None


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked; config/listserver.toml describes each of them.

    domain: the server's own, which it greets with; more_domains: others that there are lists at.
    public_url: without a trailing slash; requests are signed for exactly this text (spec §5).
    """

    domain: str
    more_domains: tuple[str, ...]
    public_url: str
    operator: Address
    smtp: SmtpSettings
    service: ServiceSettings
    relay: RelaySettings
    store: StoreSettings
    vault: VaultSettings
    bounces: BounceSettings
    log: LogSettings
    words: WordsSettings

    @property
    def domains(self) -> tuple[str, ...]:
        """Give all domains of lists, the server's own first."""
        return (self.domain, *self.more_domains)


_MINUTE: Final = timedelta(minutes=1)


def parse_config(text: str, folder: str | PurePath) -> Config:
    """Read listserver.toml.

    folder: where the file stands; relative paths in it are relative to there.

    Raises:
        Malformed: with the key and what it should be.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise Malformed(f"listserver.toml: not TOML: {problem}") from problem
    top = Section(tree, PurePath(folder))
    domain = top.domain("domain")
    config = Config(
        domain=domain,
        more_domains=top.domains("more_domains", but=domain),
        public_url=top.public_url("public_url", f"https://{domain}"),
        operator=top.address("operator", f"postmaster@{domain}"),
        smtp=_smtp(top.section("smtp")),
        service=_service(top.section("service")),
        relay=_relay(top.section("relay")),
        store=_store(top.section("store")),
        vault=_vault(top.section("vault")),
        bounces=_bounces(top.section("bounces")),
        log=_log(top.section("log")),
        words=_words(top.section("words")),
    )
    top.finish()
    return config


def _smtp(section: Section) -> SmtpSettings:
    sizes = range(limits.POST_OCTETS_LEAST, limits.POST_OCTETS_MOST + 1)
    counts = range(1, limits.SESSIONS_MOST + 1)
    lmtp = section.text("lmtp", "127.0.0.1:8024")
    certificate, key = section.identity()
    settings = SmtpSettings(
        listen=section.endpoint("listen", "127.0.0.1:8025"),
        lmtp=section.endpoint("lmtp", lmtp) if lmtp else None,
        max_post_octets=section.number("max_post_octets", limits.POST_OCTETS, sizes),
        connections=section.number("connections", limits.SESSIONS, counts),
        connections_per_client=section.number(
            "connections_per_client", limits.CLIENT_SESSIONS, counts
        ),
        tls_certificate=certificate,
        tls_key=key,
    )
    if settings.lmtp is not None and settings.lmtp.port == 25:  # RFC 2033 §5
        raise section.wrong("lmtp", "on another port than SMTP's 25")
    section.finish()
    return settings


def _service(section: Section) -> ServiceSettings:
    certificate, key = section.identity()
    recryptions = range(limits.RECRYPTIONS_MOST + 1)
    settings = ServiceSettings(
        listen=section.endpoint("listen", "127.0.0.1:8080"),
        tls_certificate=certificate,
        tls_key=key,
        metrics=section.choice("metrics", MetricsFor.LOOPBACK),
        groups_per_profile=section.number(
            "groups_per_profile",
            limits.GROUPS_PER_PROFILE,
            range(limits.GROUPS_PER_PROFILE_MOST + 1),
        ),
        recryptions_per_member=section.number(
            "recryptions_per_member", limits.RECRYPTIONS_PER_MEMBER, recryptions
        ),
        recryptions_per_group=section.number(
            "recryptions_per_group", limits.RECRYPTIONS_PER_GROUP, recryptions
        ),
        audit_days=section.number(
            "audit_days", limits.AUDIT_DAYS, range(1, limits.AUDIT_DAYS_MOST + 1)
        ),
        templates=section.path_or_off("templates"),
        show_lists=section.list_names("show_lists"),
        language=section.choice("language", Language.EN),
    )
    section.finish()
    return settings


def _relay(section: Section) -> RelaySettings:
    settings = RelaySettings(
        host=section.host("host", "127.0.0.1"),
        port=section.number("port", 25, range(1, 2**16)),
        security=section.choice("security", Security.NONE),
        username=section.text("username", "") or None,
        password_file=section.path_or_off("password_file"),
        connections=section.number(
            "connections", limits.CONNECTIONS, range(1, limits.CONNECTIONS_MOST + 1)
        ),
        schedule=_schedule(section),
        workers=section.number("workers", limits.WORKERS, range(limits.WORKERS_MOST + 1)),
    )
    if (settings.username is None) != (settings.password_file is None):
        raise section.wrong("password_file", "set exactly when username is")
    in_clear = settings.security is Security.NONE and not is_loopback(settings.host)
    if settings.username is not None and in_clear:
        raise section.wrong("security", '"starttls" or "tls" where a password is sent')
    section.finish()
    return settings


def _schedule(section: Section) -> Schedule:
    longest = limits.LONGEST_DELAY // _MINUTE
    first = section.number(
        "retry_first_minutes", limits.FIRST_DELAY // _MINUTE, range(1, longest + 1)
    )
    minutes = section.number("retry_longest_minutes", longest, range(1, longest + 1))
    days = section.number("give_up_days", limits.LIFETIME.days, range(1, 31))
    return Schedule(first * _MINUTE, minutes * _MINUTE, timedelta(days=days))


def _store(section: Section) -> StoreSettings:
    settings = StoreSettings(
        url=section.sqlite_url("url", "sqlite:///store.db"),
        reserve_mib=section.number(
            "reserve_mib", limits.RESERVE_MIB, range(limits.RESERVE_MIB_MOST + 1)
        ),
    )
    section.finish()
    return settings


def _vault(section: Section) -> VaultSettings:
    settings = VaultSettings(section.path("key_file", "vault.key"))
    section.finish()
    return settings


def _bounces(section: Section) -> BounceSettings:
    settings = BounceSettings(
        threshold=section.number("threshold", limits.BOUNCE_POINTS, range(1, 101)),
        window_days=section.number("window_days", limits.BOUNCE_DAYS, range(1, 366)),
    )
    section.finish()
    return settings


def _log(section: Section) -> LogSettings:
    settings = LogSettings(
        level=section.choice("level", LogLevel.INFO),
        format=section.choice("format", LogFormat.TEXT),
    )
    section.finish()
    return settings


def _words(section: Section) -> WordsSettings:
    settings = WordsSettings(section.path_or_off("folder"))
    section.finish()
    return settings
