"""The commands that look after a store, as an operator types them, beside a server that runs."""

import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from listserver.cli import main
from tests.end_to_end.independent import read_copy
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import BIN, PATIENCE, ListServer
from tests.end_to_end.team import Team, found_team

BOB = "bob@example.org"
MEMBERS = ("alice@example.org", BOB, "carol@example.org")
COPY = b"Message-ID: <m."  # letters have others
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
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert re.fullmatch(r"Error: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


def queue(server: ListServer) -> list[dict[str, object]]:
    """Give the queue as programs read it."""
    posts = json.loads(said(server, "queue", "--json"))["posts"]
    assert isinstance(posts, list)
    return posts


@pytest.fixture
def team(server: ListServer) -> Team:
    """Found a list of three on a server that runs; its next mail host refuses connections."""
    return found_team(server, MEMBERS)


def put_off(team: Team) -> None:
    """Post, and wait until the first copy is put off; the others may still wait for their turn."""
    team.send(team.sealed(TEXT))
    team.server.program.wait_for("event='relayed'.* later=[1-3]")
    team.server.stop()


def test_the_queue_is_shown_without_names_and_as_json(team: Team) -> None:
    assert said(team.server, "queue") == "The queue is empty.\n"
    assert queue(team.server) == []
    put_off(team)
    heads, row = said(team.server, "queue").splitlines()
    assert heads.split("  ")[0] == "POST"
    found = re.fullmatch(
        r"1     team@lists\.example  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (\d) +0 +(\d) +0 +0", row
    )
    assert found is not None
    waiting, put_off_ = map(int, found.groups())
    assert put_off_
    assert waiting + put_off_ == 3
    (post,) = queue(team.server)
    assert post["id"] == 1
    assert post["list_address"] == "team@lists.example"
    assert (post["waiting"], post["put_off"], post["attempts"]) == (waiting, put_off_, 1)
    shown = said(team.server, "queue", "show", "1")
    assert "post 1 to team@lists.example, accepted 20" in shown
    counts = f"waiting {waiting}, under way 0, put off {put_off_}, given up 0, held 0"
    assert f"copies: {counts}" in shown
    assert "attempts so far: 1 at most" in shown
    assert "example.org" not in shown + row + str(post)


def test_settings_may_stand_before_the_word_too(team: Team) -> None:
    put_off(team)
    words = ["queue", "--config", str(team.server.config), "show", "1"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert "post 1 to team@" in done.stdout


def test_what_is_dropped_is_never_sent_and_needs_a_yes(team: Team, mail_host: MailHost) -> None:
    put_off(team)
    assert "say --yes" in failing(team.server, "queue", "drop", "1")
    assert len(queue(team.server)) == 1
    assert said(team.server, "queue", "drop", "1", "--yes") == "Dropped: copies 3 of post 1.\n"
    assert queue(team.server) == []
    mail_host.start()
    team.server.start()
    team.send(team.sealed(TEXT))
    mail_host.wait_for(3)
    team.server.stop()
    assert len(mail_host.mails) == 3


def test_what_is_dropped_under_way_stays_dropped(team: Team) -> None:
    put_off(team)
    with closing(sqlite3.connect(team.server.folder / "store.db")) as store, store:
        store.execute("UPDATE deliveries SET state = 1 WHERE id = 1")  # as if it were killed
    assert "Under way: copies 1, which may" in said(team.server, "queue", "drop", "1", "--yes")
    assert "post 1 was dropped" in failing(team.server, "queue", "retry", "1")
    assert said(team.server, "queue", "retry", "all").startswith("In the queue again: copies 0,")
    assert len(queue(team.server)) == 1


@pytest.mark.parametrize(("word", "status", "left"), [("y", 0, 0), ("n", 1, 1)])
def test_on_a_terminal_drop_asks(team: Team, word: str, status: int, left: int) -> None:
    put_off(team)
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{word}\n".encode())
    try:
        done = subprocess.run(
            [BIN / "listserver", "queue", "drop", "1", "--config", team.server.config],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == status
    asked = r"Drop waiting \d, under way 0, put off [1-3], given up 0, held 0 of post 1\?"
    assert re.search(asked + r" This can't be undone \[y/N\]", done.stderr)
    assert len(queue(team.server)) == left


def test_a_server_that_runs_takes_up_what_is_to_be_tried_again(
    team: Team, mail_host: MailHost
) -> None:
    put_off(team)
    with closing(sqlite3.connect(team.server.folder / "store.db")) as store, store:
        store.execute("UPDATE deliveries SET state = 3, faults = 3, attempts = 99")
    mail_host.start()
    team.server.start()
    assert queue(team.server)[0]["held"] == 3
    assert said(team.server, "queue", "retry", "all").startswith("In the queue again: copies 3,")
    team.send(team.sealed(TEXT))  # else it looks at its queue after half a minute
    while sum(COPY in each.content for each in mail_host.mails) < 6:  # a letter may be between
        mail_host.wait_for(len(mail_host.mails) + 1)
    team.server.stop()
    assert queue(team.server) == []


@pytest.mark.parametrize("words", [("show", "7"), ("retry", "7"), ("drop", "7", "--yes")])
def test_a_post_that_is_not_in_the_queue(server: ListServer, words: tuple[str, ...]) -> None:
    line = failing(server, "queue", *words)
    assert "there is no post 7 in the queue: `listserver queue` shows what there is" in line


@pytest.mark.parametrize(
    "words", [("show", "x"), ("retry", "some"), ("retry", "0"), ("drop", "-1"), ("drop",), ("go",)]
)
def test_a_post_that_is_no_number_is_wrong_usage(
    server: ListServer, words: tuple[str, ...]
) -> None:
    done = run(server, "queue", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "words", [("queue",), ("queue", "retry", "all"), ("backup", "copies"), ("rotate-vault-key",)]
)
def test_a_store_that_is_missing_is_not_made(
    server: ListServer, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (server.folder / "store.db").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert "there is no store" in failing(server, *words)
        assert not list(tmp_path.glob("copies/*"))
    assert not (server.folder / "store.db").exists()


def the_copy(folder: Path) -> Path:
    """Give the one back-up in a folder."""
    (copy,) = folder.iterdir()
    assert re.fullmatch(r"store-\d{8}T\d{6}Z\.db", copy.name)
    assert copy.stat().st_mode & 0o777 == 0o600
    return copy


def restore(server: ListServer, copy: Path) -> None:
    """Put a back-up in the place of the store, as docs/operating.md has it."""
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (server.folder / name).unlink(missing_ok=True)
    shutil.copy(copy, server.folder / "store.db")


def test_a_back_up_made_while_posts_come_in_has_all_that_was_accepted_before(
    team: Team, mail_host: MailHost, tmp_path: Path
) -> None:
    before = [team.sealed(b"Subject: before\r\n\r\n%d\r\n" % number) for number in range(3)]
    for post in before:
        team.send(post)
    later = [team.sealed(TEXT) for _ in range(40)]
    with ThreadPoolExecutor(4) as senders:
        sent = [senders.submit(team.send, post) for post in later]
        words = said(team.server, "backup", tmp_path / "copies")
        for each in sent:
            each.result()
    copy = the_copy(tmp_path / "copies")
    assert f"Copied the store to {copy}." in words
    assert f"The vault key {team.server.folder / 'vault.key'} isn't in it" in words
    assert "keep the key where the copies are not" in words
    team.server.kill()
    restore(team.server, copy)
    posts = queue(team.server)
    assert len(before) <= len(posts) <= len(before) + len(later)
    with closing(sqlite3.connect(team.server.folder / "store.db")) as store, store:
        store.execute("UPDATE deliveries SET due = 0")
    mail_host.start()
    team.server.start()
    for post in before:
        team.send(post)  # known, so not sent out again
    mail_host.wait_for(len(posts) * len(MEMBERS))
    team.server.stop()
    assert len(mail_host.mails) == len(posts) * len(MEMBERS)
    texts = [
        read_copy(mail.content, team.members[mail.recipient])
        for mail in mail_host.mails
        if mail.recipient == BOB
    ]
    assert len([text for text in texts if text != TEXT]) == len(before)


def test_a_back_up_that_fails_leaves_nothing(server: ListServer, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"")
    assert "no back-up was made" in failing(server, "backup", there)
    copies = tmp_path / "copies"
    store = server.folder / "store.db"
    store.write_bytes(store.read_bytes()[:-4096])
    assert "no back-up was made" in failing(server, "backup", copies)
    assert list(copies.iterdir()) == []


def test_a_back_up_erases_what_one_that_was_killed_left_and_nothing_else(
    server: ListServer, tmp_path: Path
) -> None:
    left = [f"store-20260101T000000Z.part{end}" for end in ("", "-journal")]
    others = ["store-mine.part", "store-20260101T000000Z.db", "notes.part"]
    for name in (*left, *others):
        (tmp_path / name).write_bytes(b"")
    said(server, "backup", tmp_path)
    found = {each.name for each in tmp_path.iterdir() if each.is_file()}
    assert not found & {*left}
    assert found > {*others}


def test_another_vault_key_and_all_goes_on(team: Team, mail_host: MailHost, tmp_path: Path) -> None:
    key = team.server.folder / "vault.key"
    before = key.read_bytes()
    assert "another server runs on the store" in failing(team.server, "rotate-vault-key")
    said(team.server, "backup", tmp_path / "copies")
    put_off(team)
    words = said(team.server, "rotate-vault-key")
    assert f"The store opens with a new key, in {key}" in words
    assert "Keep the old key for as long as back-ups of before are kept" in words
    after = key.read_bytes()
    assert after.splitlines()[0] != before.splitlines()[0]
    assert key.stat().st_mode & 0o777 == 0o600
    assert said(team.server, "queue", "retry", "all")
    with closing(sqlite3.connect(team.server.folder / "store.db")) as store, store:
        store.execute("UPDATE deliveries SET due = 0")
    mail_host.start()
    team.server.start()
    mail_host.wait_for(3)
    team.server.stop()
    for address, copy in mail_host.copies().items():
        assert read_copy(copy, team.members[address]) == TEXT
    key.write_bytes(before)
    assert "another vault key" in failing(team.server, "queue")
    restore(team.server, the_copy(tmp_path / "copies"))
    assert queue(team.server) == []


def test_a_rotation_that_died_is_finished_by_the_next_command(server: ListServer) -> None:
    key = server.folder / "vault.key"
    old = key.read_bytes()
    said(server, "rotate-vault-key")
    new = key.read_bytes()
    key.rename(server.folder / "vault.key.new")  # as it is after the commit, before the renaming
    key.write_bytes(old)
    server.start()
    server.stop()
    assert key.read_bytes() == new
    assert not (server.folder / "vault.key.new").exists()


@pytest.mark.parametrize(
    "command",
    ["queue", "queue show", "queue retry", "queue drop", "backup", "rotate-vault-key"],
)
def test_each_of_these_commands_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--help"], prog_name="listserver")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"Example: listserver {command}" in done.stdout
