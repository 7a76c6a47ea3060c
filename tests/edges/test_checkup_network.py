"""What `listserver check` says of a mail host and of the DNS: what to do, and no peer's words."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from listserver.config import parse_config
from listserver.edges.checkup import Finding, Verdict
from listserver.edges.checkup_network import look_at_relay, look_up
from tests.end_to_end.network import Listener

DOMAIN = "lists.example"
GOOD = ("250-mx.example", "250-SIZE 50000000", "250-STARTTLS", "250-AUTH PLAIN LOGIN", "250 OK")


@contextmanager
def peer(*features: str, login: str = "235 ok", first: str = "220 hello") -> Iterator[int]:
    """Run a mail host that offers this; give its port."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(f"{first}\r\n".encode())
        with connection.makefile("rb") as stream:
            for line in stream:
                verb = line.split()[0].upper()
                words = {b"EHLO": "\r\n".join(features), b"AUTH": login, b"QUIT": "221 bye"}
                connection.sendall(f"{words.get(verb, '502 no')}\r\n".encode())

    host = Listener(serve)
    host.start()
    try:
        yield host.port
    finally:
        host.stop()


def relay(tmp_path: Path, port: int, *lines: str) -> Finding:
    """Look at a mail host with these settings."""
    settings = "\n".join([f'domain = "{DOMAIN}"', "[relay]", f"port = {port}", *lines, ""])
    return look_at_relay(parse_config(settings, tmp_path))


def test_a_mail_host_that_greets_and_takes_large_mail_is_right(tmp_path: Path) -> None:
    for features in (GOOD, ("250 mx.example",), ("250-mx.example", "250 SIZE 0")):
        with peer(*features) as port:
            assert relay(tmp_path, port).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("features", "lines", "words"),
    [
        (
            ("250-mx.example", "250 SIZE 1000"),
            (),
            "takes 1000 octets at most, less than [smtp] max_post_octets",
        ),
        (("502 no",), (), "EHLO: the answer was 502"),
        (("250 OK",), ('security = "starttls"',), "STARTTLS: it isn't offered"),
        (("250 OK",), ('username = "x"', 'password_file = "no"'), "password_file: No such file"),
        (("250 OK",), ('username = "x"', 'password_file = "word"'), "login: it isn't offered"),
        (GOOD, ('username = "x"', 'password_file = "word"'), "login: the answer was 535"),
        (GOOD, ('security = "starttls"',), "STARTTLS: "),
        (GOOD, ('security = "tls"',), "connecting: "),
    ],
)
def test_what_is_wrong_with_a_mail_host_is_told_without_its_words(
    tmp_path: Path, features: tuple[str, ...], lines: tuple[str, ...], words: str
) -> None:
    (tmp_path / "word").write_text("hunter2\n")
    with peer(*features, login="535 bob@example.org unknown") as port:
        found = relay(tmp_path, port, *lines)
    assert found.verdict is Verdict.WRONG
    assert words in found.words
    assert "look at [relay]" in found.words or "lower the other" in found.words
    assert "hunter2" not in found.words
    assert "bob" not in found.words


def test_a_mail_host_that_turns_us_away_is_wrong(tmp_path: Path) -> None:
    with peer(*GOOD, first="554 go away") as port:
        assert "connecting: the answer was 554" in relay(tmp_path, port).words


def names(
    records: dict[tuple[str, str], list[str] | None], *settings: str
) -> list[tuple[Verdict, str]]:
    """Look at a DNS with these records."""
    lines = (f'domain = "{DOMAIN}"', 'public_url = "https://web.example"', *settings)
    config = parse_config("\n".join(lines), "/")
    found = look_up(config, lambda name, kind: records.get((name, kind), []))
    return [(each.verdict, each.words) for each in found]


def test_a_dns_that_is_right() -> None:
    records: dict[tuple[str, str], list[str] | None] = {
        (DOMAIN, "MX"): ["10 mx.example."],
        (DOMAIN, "TXT"): ['"other"', '"v=spf1 mx -all"'],
        (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=reject"'],
        ("web.example", "AAAA"): ["2001:db8::1"],
    }
    assert {verdict for verdict, _ in names(records)} == {Verdict.OK}


def test_each_domain_of_lists_is_looked_at() -> None:
    right: dict[tuple[str, str], list[str] | None] = {("web.example", "A"): ["192.0.2.1"]}
    for domain in (DOMAIN, "news.example"):
        right[domain, "MX"] = ["10 mx.example."]
        right[domain, "TXT"] = ['"v=spf1 mx -all"']
        right[f"_dmarc.{domain}", "TXT"] = ['"v=DMARC1; p=none"']
    more = 'more_domains = ["news.example"]'
    ((verdict, words),) = [each for each in names(right, more) if each[0] is not Verdict.OK]
    assert verdict is Verdict.ADVICE
    assert words.startswith("_recrypt._tcp.news.example has no SRV record")
    right["_recrypt._tcp.news.example", "SRV"] = ["0 0 443 web.example."]
    assert {verdict for verdict, _ in names(right, more)} == {Verdict.OK}
    right["news.example", "MX"] = ["0 ."]
    assert Verdict.WRONG in {verdict for verdict, _ in names(right, more)}


@pytest.mark.parametrize(
    ("records", "verdict", "words"),
    [
        ({}, Verdict.WRONG, "no MX and no address, so no mail comes"),
        ({(DOMAIN, "A"): ["192.0.2.1"]}, Verdict.ADVICE, "no MX, so mail goes to its address"),
        ({(DOMAIN, "MX"): ["0 ."]}, Verdict.WRONG, "takes no mail"),
        ({(DOMAIN, "MX"): None}, Verdict.ADVICE, "no answer about lists.example"),
        ({}, Verdict.ADVICE, "no SPF record"),
        ({}, Verdict.ADVICE, "no DMARC record of its own"),
        ({}, Verdict.WRONG, "web.example of public_url has no address"),
    ],
)
def test_what_is_missing_in_the_dns_is_told(
    records: dict[tuple[str, str], list[str] | None], verdict: Verdict, words: str
) -> None:
    assert any(found is verdict and words in text for found, text in names(records))
