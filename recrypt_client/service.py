"""Calls to a group's service over HTTP (spec §5, §6). What comes back is not believed here."""

import ipaddress
import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeVar

from recrypt_client.errors import Passing, ServiceRefused, Trouble, about
from recrypt_core import limits
from recrypt_core.messages import Request, Response, read_response, write_message

# httpx2 is loaded when a service is called: not every command does, and it takes a while.
if TYPE_CHECKING:
    import httpx2

R = TypeVar("R", bound=Response)
Transport: TypeAlias = "httpx2.BaseTransport"

ANSWER_OCTETS: Final = 8 * limits.REQUEST_OCTETS  # a page of changes, each at most a request
TIMEOUT_SECONDS: Final = 60  # of one step; a service checks 1,000 entries in a few

_PATH: Final = "/.well-known/recrypt"
_DONE: Final = 201
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[!-~]*)?",
    re.ASCII,
)
_HINTS: Final[Mapping[int, str]] = {
    400: "Use the same version of recrypt as the service",
    401: "Check this machine's clock, the service's address, and that this is the right --home",
    403: "Ask the group's administrator, or the service's operator, for the right to do it",
    404: "Check the name of the group and of the service",
    409: "See where the group stands with recrypt members, then try again",
    413: "Send it in smaller pieces",
    429: "Try again later",
    503: "Try again later",
}


class Service:
    """A service at the address that it is configured with, which requests to it name."""

    def __init__(self, url: str, transport: "Transport | None" = None) -> None:
        import httpx2

        self.url = _checked(url)
        self._client = httpx2.Client(transport=transport, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, request: Request, kind: type[R]) -> R:
        """Ask what anyone may ask.

        Raises:
            ServiceRefused: if the service says no.
            Trouble: if it can't be reached, or its answer can't be read.
        """
        octets = self._post(write_message(request), "application/json")
        return self._read(octets, request.transaction, kind)

    def send(self, body: bytes, transaction: str, kind: type[R]) -> R:
        """Send a signed request.

        Raises:
            ServiceRefused: if the service says no.
            Trouble: if it can't be reached, or its answer can't be read.
        """
        return self._read(self._post(body, "application/jose+json"), transaction, kind)

    def _post(self, body: bytes, media_type: str) -> bytes:
        import httpx2

        headers = {"Content-Type": media_type}
        try:
            with self._client.stream(
                "POST", self.url + _PATH, content=body, headers=headers
            ) as answer:
                return self._bounded(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as problem:
            raise Passing(
                f"{self.url}: {str(problem) or type(problem).__name__}",
                "Check the address and the network, then try again",
            ) from problem

    def _bounded(self, answer: "httpx2.Response") -> bytes:
        octets = bytearray()
        for piece in answer.iter_bytes():
            octets += piece
            if len(octets) > ANSWER_OCTETS:
                raise Trouble(f"{self.url}: an answer of over {ANSWER_OCTETS} octets", _ODD)
        return bytes(octets)

    def _read(self, octets: bytes, transaction: str, kind: type[R]) -> R:
        """Read an answer; the Status in the payload counts, not HTTP's (spec §6)."""
        with about(f"{self.url}, which may be no recrypt service"):
            answer = read_response(octets, transaction, kind, limit=ANSWER_OCTETS)
        if isinstance(answer, kind) and answer.status == _DONE:
            return answer
        words = answer.status_description.rstrip(". ")
        raise ServiceRefused(
            answer.status,
            f"{self.url} refused {transaction}: {answer.status} {words}",
            _HINTS.get(answer.status, _ODD),
        )


_ODD: Final = "Is it the address of a recrypt service? Ask its operator"


def _checked(url: str) -> str:
    """Give an address without its trailing slash; https, but on loopback (spec §6)."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise Trouble(f"{url!r} is no address of a service", "Write it as https://lists.example")
    if found["scheme"] == "http" and not _is_loopback(found["host"].strip("[]")):
        raise Trouble(f"{url} isn't safe on a network", "Use https:// for all but this machine")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
