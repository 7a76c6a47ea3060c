"""A look over an operator's installation: whether the server runs, and the world finds it."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

from listserver.config import Config
from listserver.edges.checkup import Finding, certificate_left, ok, wrong
from listserver.edges.service import METRICS_PATH, PATH, PLAIN
from listserver.sections import Endpoint
from recrypt_core.errors import RecryptError
from recrypt_core.messages import Hello, HelloResponse, read_response, write_message

_PATIENCE_SECONDS: Final = 15  # ours: for one step of a dialogue
_ANSWER_OCTETS: Final = 2**20  # ours: more than a Hello or the figures have
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where such a one is met
_GREETING: Final = b"220 "


class NoAnswer(Exception):
    """The server doesn't answer as it should; the words say what and where."""


def look_at_service(config: Config, now: datetime) -> Iterator[Finding]:
    """Ask the server on this machine, then at its public address, as a client would."""
    here = None
    try:
        here = _hello(_connection_here(config), PATH)
        yield ok("server", f"it runs, at {config.service.listen}")
        yield from _listeners(config)
    except NoAnswer as problem:
        yield wrong(
            "server", f"{problem} at [service] listen {config.service.listen}: `listserver serve`"
        )
    yield from _public(config, here, now)


def fetch_figures(config: Config) -> str:
    """Get what a running server's /metrics says.

    Raises:
        NoAnswer: if none runs, or it doesn't tell us.
    """
    status, body = _ask(_connection_here(config), METRICS_PATH)
    if status != http.client.OK:
        raise NoAnswer(f"/metrics isn't for us ({status})")
    return body.decode("utf-8", "replace")


def _public(config: Config, here: HelloResponse | None, now: datetime) -> Iterator[Finding]:
    url = urlsplit(config.public_url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_PATIENCE_SECONDS)
    try:
        there = _hello(connection, f"{url.path}{PATH}")
    except NoAnswer as problem:
        yield wrong(
            "public_url", f"{problem} at {config.public_url}: look at DNS, firewall and proxy"
        )
        return
    if here is not None and there != here:
        yield wrong(
            "public_url", f"another server answers at {config.public_url}: look at DNS and proxy"
        )
    else:
        yield ok("public_url", f"{config.public_url} answers")
    if url.scheme == "https":
        yield _public_certificate(url.hostname or "", url.port or 443, now)


def _public_certificate(host: str, port: int, now: datetime) -> Finding:
    check = "public certificate"
    tls = ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), _PATIENCE_SECONDS) as plain,
            tls.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert() or {}
    except OSError as problem:
        return wrong(check, f"it isn't good ({_why(problem)}): renew it")
    end = ssl.cert_time_to_seconds(str(shown.get("notAfter")))
    return certificate_left(check, datetime.fromtimestamp(end, UTC), now)


def _listeners(config: Config) -> Iterator[Finding]:
    """Listen for the greeting of SMTP and LMTP; a port that is any free one isn't known."""
    for name, at in (("listen", config.smtp.listen), ("lmtp", config.smtp.lmtp)):
        if at is None or not at.port:
            continue
        try:
            with socket.create_connection(_address(at), _PATIENCE_SECONDS) as connection:
                greeting = connection.recv(len(_GREETING))
                connection.sendall(b"QUIT\r\n")
        except OSError as problem:
            yield wrong("server", f"no answer at [smtp] {name} {at} ({_why(problem)})")
            continue
        if greeting == _GREETING:
            yield ok("server", f"it greets at [smtp] {name} {at}")
        else:
            yield wrong("server", f"something else answers at [smtp] {name} {at}: look at ports")


def _connection_here(config: Config) -> http.client.HTTPConnection:
    """Connect to the server on this machine, whose certificate names another host.

    Raises:
        NoAnswer: if the settings don't tell where it is, or its certificate can't be read.
    """
    host, port = _address(config.service.listen)
    if not port:
        raise NoAnswer("any free port is meant")
    certificate = config.service.tls_certificate
    if certificate is None:
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
    try:
        tls = _trusting(certificate)
    except OSError as problem:
        raise NoAnswer(f"{certificate} can't be read ({_why(problem)})") from problem
    return http.client.HTTPSConnection(host, port, timeout=_PATIENCE_SECONDS, context=tls)


def _trusting(certificate: PurePath) -> ssl.SSLContext:
    """Trust this certificate alone, whoever it names."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(certificate)
    tls.check_hostname = False
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return tls


def _address(at: Endpoint) -> tuple[str, int]:
    return _EVERYWHERE.get(at.host, at.host), at.port


def _hello(connection: http.client.HTTPConnection, path: str) -> HelloResponse:
    status, body = _ask(connection, path, write_message(Hello()))
    try:
        answer = read_response(body, "Hello", HelloResponse, limit=_ANSWER_OCTETS)
    except RecryptError:
        raise NoAnswer(f"something else answers ({status})") from None
    if not isinstance(answer, HelloResponse):
        raise NoAnswer(f"a refusal comes ({answer.status})")
    return answer


def _ask(
    connection: http.client.HTTPConnection, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Send one request, a POST if it has a body; give status and body of the answer."""
    try:
        with closing(connection):
            fields = {} if body is None else {"Content-Type": PLAIN}
            connection.request("GET" if body is None else "POST", path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read(_ANSWER_OCTETS)
    except (OSError, http.client.HTTPException) as problem:
        raise NoAnswer(f"nobody answers ({_why(problem)})") from problem


def _why(problem: Exception) -> str:
    """Tell what went wrong, without a peer's words."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return problem.verify_message
    return getattr(problem, "strerror", None) or type(problem).__name__
