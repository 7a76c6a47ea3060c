"""The settings: what is read, and how a mistake is told."""

import dataclasses
import re
import tomllib
from pathlib import Path, PurePath

import pytest

from listserver import limits
from listserver.addresses import Address
from listserver.config import Config, LogFormat, LogLevel, MetricsFor, Security, parse_config
from listserver.sections import Endpoint
from recrypt_core.errors import Malformed

MODEL = Path(__file__).resolve().parents[2] / "config" / "listserver.toml"
LEAST = 'domain = "lists.example"\n'


def parse(text: str) -> Config:
    return parse_config(LEAST + text, "/etc/listserver")


def test_the_documented_file_holds_the_defaults() -> None:
    assert parse_config(MODEL.read_text("utf-8"), "/etc/listserver") == parse("")


def test_every_setting_stands_in_the_documented_file_under_a_comment() -> None:
    text = MODEL.read_text("utf-8")
    tree = tomllib.loads(text)
    config = parse("")
    sections = {x.name for x in dataclasses.fields(config) if isinstance(tree[x.name], dict)}
    assert sections == {"smtp", "service", "relay", "bounces", "store", "vault", "log", "words"}
    assert tree.keys() == {x.name for x in dataclasses.fields(config)}
    for section in sections:
        names = {field.name for field in dataclasses.fields(getattr(config, section))}
        if "schedule" in names:  # three settings make it
            names ^= {"schedule", "retry_first_minutes", "retry_longest_minutes", "give_up_days"}
        assert tree[section].keys() == names
    for block in re.split(r"\n\n|^\[.*\]\n", text, flags=re.MULTILINE):
        assert not block or block.startswith("#"), block


def test_the_defaults_are_as_documented() -> None:
    config = parse("")
    assert config.public_url == "https://lists.example"
    assert config.operator == Address("postmaster", "lists.example")
    assert config.smtp.listen == Endpoint("127.0.0.1", 8025)
    assert config.smtp.lmtp == Endpoint("127.0.0.1", 8024)
    assert config.smtp.max_post_octets == limits.POST_OCTETS
    assert (config.smtp.connections, config.smtp.connections_per_client) == (500, 50)
    assert (config.smtp.tls_certificate, config.smtp.tls_key) == (None, None)
    assert config.store.file == PurePath("/etc/listserver/store.db")
    assert config.store.reserve_mib == 256
    assert (config.bounces.threshold, config.bounces.window_days) == (3, 180)
    assert config.vault.key_file == PurePath("/etc/listserver/vault.key")
    assert config.relay.security is Security.NONE
    assert (config.log.level, config.log.format) == (LogLevel.INFO, LogFormat.TEXT)


def test_paths_are_relative_to_the_file_unless_absolute() -> None:
    config = parse('[vault]\nkey_file = "/run/key"\n[store]\nurl = "sqlite:////var/s.db"\n')
    assert config.vault.key_file == PurePath("/run/key")
    assert config.store.file == PurePath("/var/s.db")


def test_a_full_relay_is_read() -> None:
    relay = parse(
        '[relay]\nhost = "mx.example.org"\nport = 587\nsecurity = "starttls"\n'
        'username = "lists"\npassword_file = "relay.password"\nconnections = 9\n'
    ).relay
    assert (relay.host, relay.port, relay.security) == ("mx.example.org", 587, Security.STARTTLS)
    assert relay.password_file == PurePath("/etc/listserver/relay.password")
    assert (relay.username, relay.connections) == ("lists", 9)


@pytest.mark.parametrize("section", ["smtp", "service"])
def test_a_certificate_and_its_key_are_read(section: str) -> None:
    config = parse(f'[{section}]\ntls_certificate = "c.pem"\ntls_key = "/run/k.pem"\n')
    settings = getattr(config, section)
    assert settings.tls_certificate == PurePath("/etc/listserver/c.pem")
    assert settings.tls_key == PurePath("/run/k.pem")


@pytest.mark.parametrize("readers", MetricsFor)
def test_the_readers_of_the_figures_are_read(readers: MetricsFor) -> None:
    assert parse(f'[service]\nmetrics = "{readers.value}"\n').service.metrics is readers
    assert parse("").service.metrics is MetricsFor.LOOPBACK


def test_the_domains_are_read_in_their_order_and_in_lower_case() -> None:
    config = parse('more_domains = ["News.example", "a.example"]\n')
    assert config.domains == ("lists.example", "news.example", "a.example")
    assert config.public_url == "https://lists.example"
    assert parse("").domains == ("lists.example",)


def test_the_pages_settings_are_read() -> None:
    text = '[service]\nshow_lists = ["team", "team@news.example"]\ntemplates = "words"\n'
    settings = parse(text).service
    assert settings.show_lists == ("team", "team@news.example")
    assert settings.templates == PurePath("/etc/listserver/words")
    assert (parse("").service.show_lists, parse("").service.templates) == ((), None)


def test_an_ipv6_endpoint_is_written_as_it_was_read() -> None:
    endpoint = parse('[smtp]\nlisten = "[::1]:0"\n').smtp.listen
    assert endpoint == Endpoint("::1", 0)
    assert str(endpoint) == "[::1]:0"


def test_an_empty_lmtp_is_off() -> None:
    assert parse('[smtp]\nlmtp = ""\n').smtp.lmtp is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://[::1]:80", "http://localhost", "https://l.example/a"]
)
def test_a_public_url_may_be_plain_on_loopback_alone(url: str) -> None:
    assert parse(f'public_url = "{url}"\n').public_url == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("publik_url = 1\n", "no setting publik_url; did you mean public_url?"),
        ("[smpt]\n", "no setting smpt; did you mean smtp?"),
        ('[smtp]\nlistn = "a:1"\n', r"no setting \[smtp\] listn; did you mean listen?"),
        ("[log]\nzzz = 1\n", "known: format, level"),
        ("smtp = 1\n", r"smtp must be a section, \[smtp\]"),
        ("[smtp]\nmax_post_octets = 1\n", "whole number from 65536 to"),
        ("[smtp]\nmax_post_octets = true\n", "whole number"),
        ('[smtp]\nmax_post_octets = "1"\n', "whole number"),
        ("[smtp]\nlisten = 8025\n", "text in quotes"),
        ('[smtp]\nlisten = "8025"\n', "host:port"),
        ('[smtp]\nlisten = ""\n', "host:port"),
        ('[smtp]\nlisten = "::1:8025"\n', "host:port"),
        ('[smtp]\nlisten = "a:65536"\n', "host:port"),
        ('[smtp]\nlisten = "a b:1"\n', "host:port"),
        ('[smtp]\nlmtp = "x"\n', r"\[smtp\] lmtp must be"),
        ('[smtp]\nlmtp = "a:25"\n', r"\[smtp\] lmtp must be on another port than SMTP's 25"),
        ("[smtp]\nconnections = 0\n", "from 1 to 10000"),
        ("[smtp]\nconnections_per_client = 10001\n", "from 1 to 10000"),
        ('[smtp]\ntls_key = "k.pem"\n', r"\[smtp\] tls_key must be set exactly when"),
        ('[service]\ntls_certificate = "c.pem"\n', "tls_key must be set exactly when"),
        ('[relay]\nhost = "[::1]"\n', "without brackets"),
        ("[relay]\nport = 0\n", "from 1 to 65535"),
        ("[relay]\nconnections = 0\n", "from 1 to"),
        ('[service]\nmetrics = "some"\n', '"loopback" or "off" or "all"'),
        ('[service]\nshow_lists = "team"\n', "show_lists must be names of lists"),
        ("[service]\nshow_lists = [1]\n", "show_lists must be names of lists"),
        ('[service]\nshow_lists = ["team@"]\n', "names of lists"),
        ('[service]\nshow_lists = ["team-owner@lists.example"]\n', "names of lists"),
        ('more_domains = "news.example"\n', "more_domains must be names of domains"),
        ("more_domains = [1]\n", "more_domains must be names of domains"),
        ('more_domains = ["news_.example"]\n', "more_domains must be names of domains"),
        ('more_domains = ["Lists.Example"]\n', "but lists.example, each once"),
        ('more_domains = ["news.example", "NEWS.example"]\n', "each once"),
        (f"[service]\nshow_lists = {['a'] * 101}\n", "at most 100"),
        ('[relay]\nsecurity = "ssl"\n', '"none" or "starttls" or "tls"'),
        ('[relay]\nusername = "a"\n', "password_file must be set exactly when"),
        (
            '[relay]\nhost = "mx.example.org"\nusername = "a"\npassword_file = "p"\n',
            "where a password is sent",
        ),
        ('[store]\nurl = "postgresql://x"\n', "sqlite:///"),
        ('[store]\nurl = "sqlite:///"\n', "sqlite:///"),
        ("[store]\nreserve_mib = -1\n", "whole number from 0 to 1048576"),
        ("[store]\nreserve_mib = 1048577\n", "whole number from 0 to 1048576"),
        ('[vault]\nkey_file = ""\n', "path of a file"),
        ('[log]\nlevel = "loud"\n', '"info" or "error"'),
        ('operator = "nobody"\n', "operator must be an address"),
        ('public_url = "https://lists.example/"\n', "without a slash"),
        ('public_url = "lists.example"\n', "https address"),
        ('public_url = "https://a@lists.example"\n', "https address"),
        ('public_url = "https://lists.example?x"\n', "https address"),
        ('public_url = "http://lists.example"\n', "https, unless it is on loopback"),
        ("domain = 1\n", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_key_and_what_is_right(text: str, words: str) -> None:
    with pytest.raises(Malformed, match=r"listserver\.toml: .*" + words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"), [("", "domain is missing"), ('domain = "a b"', "domain must be a domain")]
)
def test_the_domain_must_be_given(text: str, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse_config(text, ".")
