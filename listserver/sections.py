"""One table of listserver.toml: reads each key once, and knows which were asked for."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from ipaddress import ip_address
from pathlib import PurePath
from typing import Final, TypeVar

from listserver.addresses import Address, check_domain, check_list_name, parse_address
from listserver.limits import SHOWN_LISTS
from recrypt_core.errors import Malformed

_E = TypeVar("_E", bound=Enum)

SQLITE: Final = "sqlite:///"
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PUBLIC_URL: Final = re.compile(
    r"(?P<scheme>https?)://(\[(?P<ip6>[0-9a-f:]+)\]|(?P<name>[^\s/:?#@\[\]]+))"
    r"(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (name or IP address, without brackets) and a TCP port; 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Section:
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

    def section(self, name: str) -> "Section":
        """Take a section; `finish` is to be called on it too."""
        values = self._take(name, {})
        if not isinstance(values, dict):
            raise self.wrong(name, f"a section, [{name}]")
        return Section(values, self._folder, name)

    def text(self, key: str, default: str | None) -> str:
        """Read a string; without a default it is required."""
        value = self._take(key, default)
        if value is None:
            raise Malformed(f"listserver.toml: the setting {self._full(key)} is missing.")
        if not isinstance(value, str):
            raise self.wrong(key, "text in quotes")
        return value

    def number(self, key: str, default: int, allowed: range) -> int:
        """Read a whole number in a range."""
        value = self._take(key, default)
        # bool is an int to isinstance, and true isn't 1 here.
        if type(value) is not int or value not in allowed:
            raise self.wrong(key, f"a whole number from {allowed[0]} to {allowed[-1]}")
        return value

    def choice(self, key: str, default: _E) -> _E:
        """Read one of the values of an Enum."""
        value = self.text(key, default.value)
        for member in type(default):
            if member.value == value:
                return member
        raise self.wrong(key, " or ".join(f'"{member.value}"' for member in type(default)))

    def domain(self, key: str) -> str:
        """Read a domain name; it is required."""
        text = self.text(key, None)
        try:
            return check_domain(text)
        except Malformed as problem:
            raise self.wrong(key, "a domain name, such as lists.example") from problem

    def domains(self, key: str, *, but: str) -> tuple[str, ...]:
        """Read names of domains, each once, and none that is `but`; none unless said."""
        wanted = f'names of domains but {but}, each once, such as ["news.example"]'
        names = self._texts(key, wanted)
        try:
            read = tuple(map(check_domain, names))
        except Malformed as problem:
            raise self.wrong(key, wanted) from problem
        if len({but, *read}) <= len(read):
            raise self.wrong(key, wanted)
        return read

    def address(self, key: str, default: str) -> Address:
        """Read an address."""
        text = self.text(key, default)
        try:
            return parse_address(text)
        except Malformed as problem:
            raise self.wrong(key, "an address, such as postmaster@lists.example") from problem

    def host(self, key: str, default: str) -> str:
        """Read a host name, or an IP address without brackets."""
        text = self.text(key, default)
        if not _is_host(text):
            raise self.wrong(key, "a host name or an IP address without brackets")
        return text

    def endpoint(self, key: str, default: str) -> Endpoint:
        """Read a host and a port."""
        host, colon, port = self.text(key, default).rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host == f"[{bare}]"
        fine = _is_host(bare) and bracketed == (":" in bare) and _PORT.fullmatch(port)
        if not (colon and fine and int(port) < 2**16):
            raise self.wrong(key, '"host:port", such as "127.0.0.1:8025" or "[::1]:8025"')
        return Endpoint(bare, int(port))

    def path(self, key: str, default: str) -> PurePath:
        """Read a file's path, relative to the configuration's folder."""
        text = self.text(key, default)
        if not text or "\0" in text:
            raise self.wrong(key, "the path of a file")
        return self._folder / text

    def path_or_off(self, key: str) -> PurePath | None:
        """Read a file's path; empty is none."""
        return self.path(key, "") if self.text(key, "") else None

    def identity(self) -> tuple[PurePath | None, PurePath | None]:
        """Read where a certificate and its key are: both or neither."""
        certificate, key = self.path_or_off("tls_certificate"), self.path_or_off("tls_key")
        if (certificate is None) != (key is None):
            raise self.wrong("tls_key", "set exactly when tls_certificate is")
        return certificate, key

    def list_names(self, key: str) -> tuple[str, ...]:
        """Read names of lists, or their addresses; none unless said."""
        wanted = f'names of lists, at most {SHOWN_LISTS}, such as ["team", "news@news.example"]'
        names = self._texts(key, wanted)
        if len(names) > SHOWN_LISTS:
            raise self.wrong(key, wanted)
        for each in names:
            name, at, domain = each.partition("@")
            try:
                check_list_name(name)
                check_domain(domain if at else "lists.example")
            except Malformed as problem:
                raise self.wrong(key, wanted) from problem
        return names

    def sqlite_url(self, key: str, default: str) -> str:
        """Read the store's URL."""
        text = self.text(key, default)
        path = text.removeprefix(SQLITE)
        if path == text or not path or "\0" in path:
            raise self.wrong(key, '"sqlite:///" and the path of a file')
        return f"{SQLITE}{self._folder / path}"

    def public_url(self, key: str, default: str) -> str:
        """Read an address that clients are configured with: https, except on loopback."""
        text = self.text(key, default)
        found = _PUBLIC_URL.fullmatch(text)
        if not found or not _is_host(host := found["ip6"] or found["name"]):
            raise self.wrong(key, "an https address without a slash at its end")
        # spec §6: public_url is https except on loopback.
        if found["scheme"] == "http" and not is_loopback(host):
            raise self.wrong(key, "https, unless it is on loopback")
        return text

    def _texts(self, key: str, wanted: str) -> tuple[str, ...]:
        values = self._take(key, [])
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise self.wrong(key, wanted)
        return tuple(values)

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


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
