"""A look over an operator's installation, the part over the network: relay host and DNS.

What others answer is not quoted: of it only codes and counts are shown.
"""

import smtplib
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from listserver.config import Config, RelaySettings, Security
from listserver.edges.checkup import Finding, advice, ok, wrong
from listserver.sections import is_loopback

Lookup: TypeAlias = Callable[[str, str], list[str] | None]
"""Gives a name's records of a type; none if there are none, None if nobody answers."""

_PATIENCE_SECONDS: Final = 15  # ours: for one step of a dialogue
_DNS_SECONDS: Final = 5  # ours: for one question
_DONE: Final = 250
_NULL_MX: Final = "0 ."  # RFC 7505: takes no mail


def look_at_relay(config: Config) -> Finding:
    """Greet the relay host, protect the connection and log in as mail going out does."""
    steps = _Steps(config.relay, config.domain)
    where = f"{config.relay.host}:{config.relay.port}"
    try:
        with steps.connected() as smtp:
            steps.open(smtp)
            features = smtp.esmtp_features
    except (OSError, UnicodeDecodeError) as problem:  # smtplib's own are OSErrors
        return wrong("relay", f"{where}: {steps.step}: {_why(problem)}: look at [relay]")
    here = is_loopback(config.relay.host)
    size, most = features.get("size", ""), config.smtp.max_post_octets
    if size.isdecimal() and 0 < int(size) < most:
        return wrong(
            "relay",
            f"{where} takes {int(size)} octets at most, less than [smtp] max_post_octets {most}:"
            " raise the one or lower the other",
        )
    if config.relay.security is Security.NONE and "starttls" in features and not here:
        return advice("relay", f'{where} offers STARTTLS: set [relay] security = "starttls"')
    return ok("relay", f"{where} greets us; that it hands us the lists' mail can't be seen here")


def look_up(config: Config, lookup: Lookup) -> Iterator[Finding]:
    """Look for what the DNS says of the lists' domains and of the service's host."""
    for domain in config.domains:
        yield _mx(domain, lookup)
        yield _spf(domain, lookup)
        yield _dmarc(domain, lookup)
    for domain in config.more_domains:
        yield _srv(domain, lookup)
    host = urlsplit(config.public_url).hostname or ""
    if host != "localhost" and not _is_ip(host):
        found = _addresses(host, lookup)
        yield (
            ok("dns", f"{host} has {len(found)} addresses")
            if found
            else wrong("dns", f"{host} of public_url has no address: give it A or AAAA records")
        )


def ask_dns(name: str, kind: str) -> list[str] | None:
    """Ask this machine's resolver: a `Lookup`."""
    # Loaded here, as no other command needs it.
    import dns.exception
    import dns.resolver

    try:
        answer = dns.resolver.resolve(f"{name}.", kind, lifetime=_DNS_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException:
        return None
    return [each.to_text() for each in answer]


def _mx(domain: str, lookup: Lookup) -> Finding:
    found = lookup(domain, "MX")
    if found is None:
        return advice("dns", f"no answer about {domain}: look at this machine's resolver")
    if _NULL_MX in found:
        return wrong("dns", f"{domain} says that it takes no mail (MX 0 .): give it a right MX")
    if found:
        return ok("dns", f"{domain} has {len(found)} MX")
    if _addresses(domain, lookup):
        return advice("dns", f"{domain} has no MX, so mail goes to its address: give it an MX")
    return wrong("dns", f"{domain} has no MX and no address, so no mail comes: give it an MX")


def _spf(domain: str, lookup: Lookup) -> Finding:
    if _has_text(domain, "v=spf1", lookup):  # RFC 7208 §3
        return ok("dns", f"{domain} has an SPF record")
    return advice(
        "dns", f"{domain} has no SPF record: other hosts trust mail from it more if it has"
    )


def _dmarc(domain: str, lookup: Lookup) -> Finding:
    if _has_text(f"_dmarc.{domain}", "v=dmarc1", lookup):  # RFC 7489 §6.1
        return ok("dns", f"{domain} has a DMARC record")
    return advice(
        "dns",
        f"{domain} has no DMARC record of its own, which large mail hosts ask for: give"
        f" _dmarc.{domain} the text v=DMARC1; p=none",
    )


def _srv(domain: str, lookup: Lookup) -> Finding:
    """Look for how clients find the service of lists that aren't at its own domain (spec §11)."""
    name = f"_recrypt._tcp.{domain}"
    if lookup(name, "SRV"):
        return ok("dns", f"{domain} has an SRV record for the service")
    return advice(
        "dns", f"{name} has no SRV record: with one, clients find public_url without --service"
    )


def _has_text(name: str, start: str, lookup: Lookup) -> bool:
    """Look for a TXT record that begins so; such records are shown in quotes."""
    return any(text.strip('"').lower().startswith(start) for text in lookup(name, "TXT") or ())


def _addresses(host: str, lookup: Lookup) -> list[str]:
    return [*(lookup(host, "A") or ()), *(lookup(host, "AAAA") or ())]


class _Steps:
    """The opening of a dialogue with the relay host, and the step that it has come to."""

    def __init__(self, settings: RelaySettings, domain: str) -> None:
        self.step = "connecting"
        self._settings = settings
        self._domain = domain

    def connected(self) -> smtplib.SMTP:
        settings, tls = self._settings, ssl.create_default_context()
        if settings.security is Security.TLS:
            return smtplib.SMTP_SSL(
                settings.host,
                settings.port,
                local_hostname=self._domain,
                timeout=_PATIENCE_SECONDS,
                context=tls,
            )
        return smtplib.SMTP(
            settings.host,
            settings.port,
            local_hostname=self._domain,
            timeout=_PATIENCE_SECONDS,
        )

    def open(self, smtp: smtplib.SMTP) -> None:
        """Say EHLO, begin TLS and log in, as far as it is set."""
        self.step = "EHLO"
        code, _ = smtp.ehlo()
        if code != _DONE:
            raise smtplib.SMTPHeloError(code, b"")
        if self._settings.security is Security.STARTTLS:
            self.step = "STARTTLS"
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo()
        if self._settings.username is not None and self._settings.password_file is not None:
            self.step = "password_file"
            password = Path(self._settings.password_file).read_text("utf-8").rstrip("\r\n")
            self.step = "login"
            smtp.login(self._settings.username, password)


def _why(problem: Exception) -> str:
    """Tell what went wrong, without a peer's words."""
    match problem:
        case smtplib.SMTPResponseException():
            return f"the answer was {problem.smtp_code}"
        case smtplib.SMTPNotSupportedError():
            return "it isn't offered"
        case ssl.SSLCertVerificationError():
            return f"its certificate isn't good ({problem.verify_message})"
        case OSError() if problem.strerror:
            return problem.strerror
    return type(problem).__name__


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
