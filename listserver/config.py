"""The settings: listserver.toml read into frozen values (spec §11). An unknown key is an error."""

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from ipaddress import ip_address
from pathlib import PurePath
from typing import TypeVar

from listserver import limits
from listserver.addresses import Address, check_domain, parse_address
from recrypt_core.errors import Malformed


class Security(Enum):
    """How the connection to the relay host is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class LogLevel(Enum):
    """Which events are logged: all, or errors alone."""

    INFO = "info"
    ERROR = "error"


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


_E = TypeVar("_E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or IP address, without brackets) and a TCP port; 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


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
    """[service]: where clients' requests come in; the certificate and its key are PEM files."""

    listen: Endpoint
    tls_certificate: PurePath | None
    tls_key: PurePath | None


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """[relay]: the host that mail goes out to; the password stands in a file of its own."""

    host: str
    port: int
    security: Security
    username: str | None
    password_file: PurePath | None
    connections: int


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """[store]: `url` has its file as an absolute path, if the configuration's folder has."""

    url: str

    @property
    def file(self) -> PurePath:
        """Give the database file."""
        return PurePath(self.url.removeprefix(_SQLITE))


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """[vault]: the file with the key that rows of the store are sealed with."""

    key_file: PurePath


@dataclass(frozen=True, slots=True)
class LogSettings:
    """[log]: how much is written, and in which form."""

    level: LogLevel
    format: LogFormat


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked; config/listserver.toml describes each of them.

    public_url: without a trailing slash; requests are signed for exactly this text (spec §5).
    """

    domain: str
    public_url: str
    operator: Address
    smtp: SmtpSettings
    service: ServiceSettings
    relay: RelaySettings
    store: StoreSettings
    vault: VaultSettings
    log: LogSettings


_SQLITE = "sqlite:///"
_PORT = re.compile(r"[0-9]{1,5}")
_PUBLIC_URL = re.compile(
    r"(?P<scheme>https?)://(\[(?P<ip6>[0-9a-f:]+)\]|(?P<name>[^\s/:?#@\[\]]+))"
    r"(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
)


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
    top = _Section(tree, PurePath(folder))
    domain = top.domain("domain")
    config = Config(
        domain=domain,
        public_url=top.public_url("public_url", f"https://{domain}"),
        operator=top.address("operator", f"postmaster@{domain}"),
        smtp=_smtp(top.section("smtp")),
        service=_service(top.section("service")),
        relay=_relay(top.section("relay")),
        store=_store(top.section("store")),
        vault=_vault(top.section("vault")),
        log=_log(top.section("log")),
    )
    top.finish()
    return config


def _smtp(section: "_Section") -> SmtpSettings:
    sizes = range(limits.POST_OCTETS_LEAST, limits.POST_OCTETS_MOST + 1)
    counts = range(1, limits.SESSIONS_MOST + 1)
    lmtp = section.text("lmtp", "127.0.0.1:8024")
    certificate, key = section.identity()
    settings = SmtpSettings(
        listen=section.endpoint("listen", "127.0.0.1:8025"),
        lmtp=section.endpoint("lmtp", "127.0.0.1:8024") if lmtp else None,
        max_post_octets=section.number("max_post_octets", limits.POST_OCTETS, sizes),
        connections=section.number("connections", limits.SESSIONS, counts),
        connections_per_client=section.number(
            "connections_per_client", limits.CLIENT_SESSIONS, counts
        ),
        tls_certificate=certificate,
        tls_key=key,
    )
    section.finish()
    return settings


def _service(section: "_Section") -> ServiceSettings:
    certificate, key = section.identity()
    settings = ServiceSettings(
        listen=section.endpoint("listen", "127.0.0.1:8080"),
        tls_certificate=certificate,
        tls_key=key,
    )
    section.finish()
    return settings


def _relay(section: "_Section") -> RelaySettings:
    settings = RelaySettings(
        host=section.host("host", "127.0.0.1"),
        port=section.number("port", 25, range(1, 2**16)),
        security=section.choice("security", Security.NONE),
        username=section.text("username", "") or None,
        password_file=section.path_or_off("password_file"),
        connections=section.number(
            "connections", limits.CONNECTIONS, range(1, limits.CONNECTIONS_MOST + 1)
        ),
    )
    if (settings.username is None) != (settings.password_file is None):
        raise section.wrong("password_file", "set exactly when username is")
    in_clear = settings.security is Security.NONE and not _is_loopback(settings.host)
    if settings.username is not None and in_clear:
        raise section.wrong("security", '"starttls" or "tls" where a password is sent')
    section.finish()
    return settings


def _store(section: "_Section") -> StoreSettings:
    settings = StoreSettings(section.sqlite_url("url", "sqlite:///store.db"))
    section.finish()
    return settings


def _vault(section: "_Section") -> VaultSettings:
    settings = VaultSettings(section.path("key_file", "vault.key"))
    section.finish()
    return settings


def _log(section: "_Section") -> LogSettings:
    settings = LogSettings(
        level=section.choice("level", LogLevel.INFO),
        format=section.choice("format", LogFormat.TEXT),
    )
    section.finish()
    return settings


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Section:
    """One table of the file; each key is known once it was asked for."""

    def __init__(self, values: dict[str, object], folder: PurePath, name: str = "") -> None:
        self._values = values
        self._folder = folder
        self._name = name
        self._known: set[str] = set()

    def wrong(self, key: str, wanted: str) -> Malformed:
        """Make the error for a key that isn't what is wanted."""
        return Malformed(f"listserver.toml: {self._full(key)} must be {wanted}.")

    def finish(self) -> None:
        """Refuse the keys that nobody asked for, and name the nearest right one."""
        for key in self._values.keys() - self._known:
            near = get_close_matches(key, sorted(self._known), n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(self._known))}."
            )
            raise Malformed(f"listserver.toml: there is no setting {self._full(key)}; {hint}")

    def section(self, name: str) -> "_Section":
        values = self._take(name, {})
        if not isinstance(values, dict):
            raise self.wrong(name, f"a section, [{name}]")
        return _Section(values, self._folder, name)

    def text(self, key: str, default: str | None) -> str:
        """Read a string; without a default it is required."""
        value = self._take(key, default)
        if value is None:
            raise Malformed(f"listserver.toml: the setting {self._full(key)} is missing.")
        if not isinstance(value, str):
            raise self.wrong(key, "text in quotes")
        return value

    def number(self, key: str, default: int, allowed: range) -> int:
        value = self._take(key, default)
        # bool is an int to isinstance, and true isn't 1 here.
        if type(value) is not int or value not in allowed:
            raise self.wrong(key, f"a whole number from {allowed[0]} to {allowed[-1]}")
        return value

    def choice(self, key: str, default: _E) -> _E:
        value = self.text(key, default.value)
        for member in type(default):
            if member.value == value:
                return member
        raise self.wrong(key, " or ".join(f'"{member.value}"' for member in type(default)))

    def domain(self, key: str) -> str:
        text = self.text(key, None)
        try:
            return check_domain(text)
        except Malformed as problem:
            raise self.wrong(key, "a domain name, such as lists.example") from problem

    def address(self, key: str, default: str) -> Address:
        text = self.text(key, default)
        try:
            return parse_address(text)
        except Malformed as problem:
            raise self.wrong(key, "an address, such as postmaster@lists.example") from problem

    def host(self, key: str, default: str) -> str:
        text = self.text(key, default)
        if not _is_host(text):
            raise self.wrong(key, "a host name or an IP address without brackets")
        return text

    def endpoint(self, key: str, default: str) -> Endpoint:
        host, colon, port = self.text(key, default).rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host == f"[{bare}]"
        fine = _is_host(bare) and bracketed == (":" in bare) and _PORT.fullmatch(port)
        if not (colon and fine and int(port) < 2**16):
            raise self.wrong(key, '"host:port", such as "127.0.0.1:8025" or "[::1]:8025"')
        return Endpoint(bare, int(port))

    def path(self, key: str, default: str) -> PurePath:
        text = self.text(key, default)
        if not text or "\0" in text:
            raise self.wrong(key, "the path of a file")
        return self._folder / text

    def path_or_off(self, key: str) -> PurePath | None:
        return self.path(key, "") if self.text(key, "") else None

    def identity(self) -> tuple[PurePath | None, PurePath | None]:
        """Read where a certificate and its key are: both or neither."""
        certificate, key = self.path_or_off("tls_certificate"), self.path_or_off("tls_key")
        if (certificate is None) != (key is None):
            raise self.wrong("tls_key", "set exactly when tls_certificate is")
        return certificate, key

    def sqlite_url(self, key: str, default: str) -> str:
        text = self.text(key, default)
        path = text.removeprefix(_SQLITE)
        if path == text or not path or "\0" in path:
            raise self.wrong(key, '"sqlite:///" and the path of a file')
        return f"{_SQLITE}{self._folder / path}"

    def public_url(self, key: str, default: str) -> str:
        text = self.text(key, default)
        found = _PUBLIC_URL.fullmatch(text)
        if not found or not _is_host(host := found["ip6"] or found["name"]):
            raise self.wrong(key, "an https address without a slash at its end")
        # spec §6: public_url is https except on loopback.
        if found["scheme"] == "http" and not _is_loopback(host):
            raise self.wrong(key, "https, unless it is on loopback")
        return text

    def _take(self, key: str, default: object) -> object:
        self._known.add(key)
        return self._values.get(key, default)

    def _full(self, key: str) -> str:
        return f"[{self._name}] {key}" if self._name else key


def _is_host(text: str) -> bool:
    try:
        ip_address(text) if ":" in text else check_domain(text)
    except (ValueError, Malformed):
        return False
    return True
