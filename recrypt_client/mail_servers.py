"""A person's own mail server: where it is, who one is there, and that nobody listens on the way."""

import ipaddress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recrypt_client.errors import Trouble

if TYPE_CHECKING:
    import ssl

PASSWORD_OCTETS: Final = 1024  # ours


class Security(Enum):
    """How a connection is kept from others (RFC 8314 §3)."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server, and the name of one's account there; empty if none is asked for."""

    host: str
    port: int
    user: str
    security: Security

    def __str__(self) -> str:
        """Name it for a person."""
        return f"{self.host}:{self.port}"

    def check(self) -> None:
        """Refuse to send a password in clear to another machine.

        Raises:
            Trouble: if it would be.
        """
        if self.security is Security.NONE and not is_loopback(self.host):
            raise Trouble(
                f"{self.host}: without TLS your password and mail could be read on the way",
                "Use --security tls or starttls; none is for a server on this machine alone",
            )

    def tls(self) -> "ssl.SSLContext | None":
        """Give what verifies the server's certificate and name; None where it has none."""
        import ssl  # loaded where it is used, as other commands need none

        return None if self.security is Security.NONE else ssl.create_default_context()


def is_loopback(host: str) -> bool:
    """Tell whether a name or an address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_password(name: str) -> str:
    """Read the password in a file that its owner alone can read: its one line.

    Raises:
        Trouble: if it can't be read, others can read it too, or it holds none.
    """
    path = Path(name)
    try:
        mode, octets = path.stat().st_mode, path.read_bytes()
    except OSError as problem:
        raise Trouble(f"{name}: {problem.strerror}", "Check the name of the file") from problem
    if mode & 0o077:
        raise Trouble(f"{name}: others can read it", f"Make it yours alone: chmod 600 {name}")
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not line or len(line) > PASSWORD_OCTETS or any(each in line for each in b"\r\n\0"):
        raise Trouble(f"{name}: it holds no password", "Write the password on its first line alone")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise Trouble(f"{name}: it isn't UTF-8", "Write the password in UTF-8") from None
