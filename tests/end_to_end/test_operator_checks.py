"""The commands that only look, beside a server that runs: lists, figures, a check of it all."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.ports import free_port
from listserver.cli import main
from listserver.config import Config, parse_config
from listserver.edges.certificates import not_after
from listserver.edges.checkup import Finding, Verdict, look_here
from listserver.edges.checkup_service import look_at_service
from listserver.edges.clock import SystemClock
from listserver.vault import new_key_line
from tests.doors import make_certificate
from tests.end_to_end.network import LOCALHOST, MailHost
from tests.end_to_end.programs import BIN, DOMAIN, ListServer
from tests.end_to_end.programs import run as run_program
from tests.end_to_end.team import Team, found_team

MEMBERS = ("alice@example.org", "bob@example.org", "carol@example.org")
CANARIES = ("alice", "bob", "carol", "example.org", "team", DOMAIN, "mill")
TEXT = b"Subject: Friday\r\n\r\nWe meet at the old mill.\r\n"


def run(server: ListServer, *words: str | Path) -> Result:
    """Run a command here, which has no terminal."""
    given = [*map(str, words), "--config", str(server.config)]
    return CliRunner(catch_exceptions=False).invoke(main, given, prog_name="listserver")


def said(server: ListServer, *words: str | Path) -> str:
    """Give what a command that succeeds says."""
    done = run(server, *words)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return done.stdout


def failing(server: ListServer, *words: str | Path) -> str:
    """Give the one line of a command that fails."""
    done = run(server, *words)
    assert done.exit_code == 1, done.output
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


@pytest.fixture
def team(server: ListServer) -> Team:
    """Found a list of three on a server that runs; its next mail host refuses connections."""
    return found_team(server, MEMBERS)


# --- lists


def test_lists_are_shown_with_counts_and_never_with_whom(team: Team, mail_host: MailHost) -> None:
    mail_host.start()
    team.send(team.sealed(TEXT))
    mail_host.wait_for(3)
    team.server.program.wait_for("event='relayed'.* delivered=[1-3]")
    heads, row = said(team.server, "lists").splitlines()
    assert heads.startswith("LIST                STATE  MEMBERS  RECEIVING")
    assert re.fullmatch(
        r"team@lists\.example  open +3 +3 +0 +0 +0 +1 +[0-3] +0 +0 +1 +20\d\d-[-\dT:]+Z", row
    )
    (shown,) = json.loads(said(team.server, "lists", "--json"))["lists"]
    assert shown["address"] == "team@lists.example"
    assert (shown["members"], shown["receiving"], shown["seq"]) == (3, 3, 1)
    assert (shown["suspended"], shown["revoked"], shown["unreadable"]) == (0, 0, 0)
    assert datetime.fromisoformat(shown["changed"]) <= SystemClock().now()
    assert "example.org" not in row + str(shown)


def test_rows_that_can_not_be_read_are_counted_and_hide_no_other(team: Team) -> None:
    with closing(sqlite3.connect(team.server.folder / "store.db")) as store, store:
        store.execute("UPDATE members SET served = 0, sealed = zeroblob(99) WHERE id = 2")
        store.execute("UPDATE lists SET sealed = zeroblob(99)")
        store.execute("UPDATE changes SET sealed = zeroblob(99)")
    (shown,) = json.loads(said(team.server, "lists", "--json"))["lists"]
    assert (shown["address"], shown["changed"]) == (None, None)
    assert (shown["members"], shown["receiving"], shown["unreadable"]) == (3, 2, 1)
    assert "(can't be read)" in said(team.server, "lists")


def test_no_lists_no_store_and_another_key(server: ListServer) -> None:
    assert "There are no lists: `listserver authorize`" in said(server, "lists")
    (server.folder / "vault.key").write_bytes(new_key_line())
    assert "made with another vault key: look at" in failing(server, "lists")
    (server.folder / "store.db").unlink()
    assert "there is no store" in failing(server, "lists")
    assert not (server.folder / "store.db").exists()


def test_a_store_of_another_version_is_told(server: ListServer) -> None:
    with closing(sqlite3.connect(server.folder / "store.db")) as store:
        store.execute("PRAGMA user_version = 1")
    assert "of another version: run `listserver serve` once" in failing(server, "lists")


# --- metrics


def test_the_figures_of_a_real_post_to_a_real_list_name_nobody(
    team: Team, mail_host: MailHost
) -> None:
    mail_host.start()
    team.send(team.sealed(TEXT))
    mail_host.wait_for(3)
    team.server.program.wait_for("event='relayed'.* delivered=[1-3]")
    text = said(team.server, "metrics")
    assert 'listserver_posts_total{code="250"} 1.0\n' in text
    assert 'listserver_service_requests_total{kind="CreateGroup",status="201"} 1.0\n' in text
    assert 'listserver_posts_stored{state="kept"} 1.0\n' in text
    assert "listserver_smtp_sessions_begun_total 1.0\n" in text
    assert re.search(r"listserver_store_commit_seconds_count [1-9]", text)
    for canary in CANARIES:
        assert canary not in text.lower(), canary


def test_no_figures_where_no_server_runs_or_shows_them(server: ListServer) -> None:
    line = failing(server, "metrics")
    assert "nobody answers (Connection refused): run `listserver serve`" in line
    server.set("[service]\n", '[service]\nmetrics = "off"\n')
    server.start()
    assert "/metrics isn't for us (404)" in failing(server, "metrics")
    server.stop()
    server.set(f'listen = "{LOCALHOST}:{server.url.rpartition(":")[2]}"', 'listen = "[::1]:0"')
    assert "any free port is meant" in failing(server, "metrics")


def with_tls(server: ListServer) -> None:
    """Let the service have a certificate, which is no authority's."""
    certificate, key = make_certificate(server.folder)
    key.chmod(0o600)
    given = f'[service]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    server.set("[service]\n", given)


def test_figures_come_over_tls_from_the_holder_of_the_certificate(server: ListServer) -> None:
    with_tls(server)
    server.start()
    assert 'listserver_certificate_expiry_timestamp_seconds{section="service"}' in said(
        server, "metrics"
    )
    make_certificate(server.folder)
    assert "nobody answers (self-signed certificate)" in failing(server, "metrics")


# --- check


def words_of(output: str) -> dict[str, list[str]]:
    """Give the lines of a check by their verdict."""
    found: dict[str, list[str]] = {each.value: [] for each in Verdict}
    for line in output.splitlines():
        verdict, _, words = line.partition(" ")
        found[verdict].append(words.strip())
    return found


def test_all_is_well_where_a_server_and_its_mail_host_run(team: Team, mail_host: MailHost) -> None:
    mail_host.start()
    found = words_of(said(team.server, "check", "--no-dns"))
    assert found["wrong"] == []
    assert {words.partition(":")[0] for words in found["ok"]} >= {
        "settings", "files", "store", "clock", "disk", "server", "public_url", "relay",
    }  # fmt: skip
    findings = json.loads(said(team.server, "check", "--json", "--no-dns"))["findings"]
    assert {each["verdict"] for each in findings} <= {"ok", "advice"}
    assert "alice" not in str(findings)


def test_what_is_wrong_is_told_with_what_to_do_and_ends_with_status_1(server: ListServer) -> None:
    (server.folder / "vault.key").chmod(0o640)
    done = run_program(BIN / "listserver", "check", "--no-dns", "--config", server.config)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: things that are wrong: 4: do what their lines say, and check again\n"
    )
    vault, here, public, relay = words_of(done.stdout)["wrong"]
    assert vault.endswith(f"may use {server.folder}/vault.key: chmod 600 {server.folder}/vault.key")
    assert "nobody answers (Connection refused) at [service] listen" in here
    assert f"at {server.url}: look at DNS, firewall and proxy" in public
    assert "connecting: Connection refused: look at [relay]" in relay
    listed = run(server, "check", "--no-dns", "--json")
    assert listed.exit_code == 1
    assert len(json.loads(listed.stdout)["findings"]) > 4


def config_of(server: ListServer) -> Config:
    return parse_config(server.config.read_text(), server.folder)


def found_here(server: ListServer, check: str, now: datetime | None = None) -> list[Finding]:
    """Look over this machine; give what was found of one kind."""
    every = list(look_here(config_of(server), now or SystemClock().now()))
    return [each for each in every if each.check == check]


@pytest.mark.parametrize(
    ("spoil", "check", "words"),
    [
        (lambda x: (x / "vault.key").unlink(), "vault key", "restore it from where it was kept"),
        (lambda x: (x / "vault.key").write_bytes(b"?"), "vault key", "can't be read"),
        (lambda x: (x / "vault.key").write_bytes(new_key_line()), "store", "another vault key"),
        (lambda x: (x / "store.db").unlink(), "store", "there is no store"),
        (lambda x: (x / "store.db").write_bytes(b"?" * 999), "store", "can't be read"),
        (lambda x: (x / "store.db").chmod(0o644), "files", "chmod 600"),
    ],
)
def test_a_store_or_key_that_is_no_good_is_wrong(
    server: ListServer, spoil: Callable[[Path], object], check: str, words: str
) -> None:
    spoil(server.folder)
    found = [each for each in found_here(server, check) if each.verdict is Verdict.WRONG]
    assert len(found) == 1
    assert words in found[0].words


@pytest.mark.parametrize(
    ("version", "verdict", "words"),
    [(99, Verdict.WRONG, "later version"), (1, Verdict.ADVICE, "earlier version")],
)
def test_a_store_of_another_version_is_found(
    server: ListServer, version: int, verdict: Verdict, words: str
) -> None:
    with closing(sqlite3.connect(server.folder / "store.db")) as store:
        store.execute(f"PRAGMA user_version = {version}")
    (found,) = found_here(server, "store")
    assert found.verdict is verdict
    assert words in found.words


def test_a_clock_that_is_behind_is_wrong(team: Team) -> None:
    team.send(team.sealed(TEXT))
    now = SystemClock().now()
    assert found_here(team.server, "clock", now)[0].verdict is Verdict.OK
    (behind,) = found_here(team.server, "clock", now - timedelta(days=1))
    assert behind.verdict is Verdict.WRONG
    assert "which is to come: set it right" in behind.words
    (past,) = found_here(team.server, "clock", datetime(1970, 1, 2, tzinfo=UTC))
    assert "1970-01-02, which is past" in past.words


def test_whether_the_clock_is_kept_right_is_asked_or_said_to_be_unknown(
    server: ListServer,
) -> None:
    (found,) = found_here(server, "ntp")
    assert found.verdict in (Verdict.OK, Verdict.ADVICE)


def reserve(server: ListServer, mebibytes: int) -> None:
    """Set what of the disk is kept free, whether it is set or not."""
    text = re.sub(r"^reserve_mib = .*\n", "", server.config.read_text(), flags=re.MULTILINE)
    server.config.write_text(text.replace("[store]\n", f"[store]\nreserve_mib = {mebibytes}\n"))


def test_a_disk_that_is_nearly_full_is_wrong(server: ListServer) -> None:
    reserve(server, 0)
    assert found_here(server, "disk")[0].verdict is Verdict.OK
    reserve(server, 2**20)
    (found,) = found_here(server, "disk")
    assert found.verdict is Verdict.WRONG
    assert "under [store] reserve_mib 1048576: make room" in found.words


def test_a_certificate_that_ends_soon_has_ended_or_is_of_another_key(server: ListServer) -> None:
    with_tls(server)
    end = not_after(server.folder / "door.crt")

    def at(moment: datetime) -> Finding:
        (found,) = found_here(server, "service certificate", moment)
        return found

    assert at(end - timedelta(days=30)).verdict is Verdict.OK
    assert at(end - timedelta(days=3)).verdict is Verdict.ADVICE
    assert at(end).verdict is Verdict.WRONG
    (server.folder / "other").mkdir()
    _, other = make_certificate(server.folder / "other")
    (server.folder / "door.key").write_bytes(other.read_bytes())
    assert "and its key can't be used" in at(end - timedelta(days=30)).words


def test_another_server_at_the_public_address_is_wrong(server: ListServer, tmp_path: Path) -> None:
    server.start()
    another = ListServer(
        tmp_path / "other", url=f"http://{LOCALHOST}:{free_port()}", relay_port=free_port()
    )
    another.set("[smtp]\n", "[smtp]\nmax_post_octets = 70000\n")
    another.start()
    try:
        server.set(f'public_url = "{server.url}"', f'public_url = "{another.url}"')
        (found,) = [
            each
            for each in look_at_service(config_of(server), SystemClock().now())
            if each.check == "public_url"
        ]
    finally:
        another.stop()
    assert found.verdict is Verdict.WRONG
    assert "another server answers" in found.words


@pytest.mark.parametrize("command", ["lists", "check", "metrics"])
def test_each_of_these_commands_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"], prog_name="listserver")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"Example: listserver {command}" in done.stdout
