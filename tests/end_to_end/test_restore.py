"""A store that is lost and restored, by the commands that docs/operating.md has for it."""

import json
import os
import pwd
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from recrypt_core.encoding import read_json
from recrypt_core.keys import PublicKey
from tests.end_to_end.network import MailHost
from tests.end_to_end.programs import DOMAIN, ListServer, listserver, new_person, run
from tests.end_to_end.team import send
from tests.mails import mail, sealed

MANUAL: Final = Path(__file__).resolve().parents[2] / "docs/operating.md"
BLOCK: Final = re.compile(r"<!-- restore: tested -->\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FOLDER: Final = "/var/lib/listserver"  # as the manual has it
COPY: Final = re.compile(r"/var/backups/listserver/store-\w+\.db")
TEAM: Final = f"team@{DOMAIN}"
BEFORE: Final = 3  # posts that were answered before the back-up begins


def commands() -> list[str]:
    """Give the manual's commands, between those that stop and start the server."""
    found = BLOCK.search(MANUAL.read_text("utf-8"))
    assert found is not None
    first, *others, last = found[1].splitlines()
    assert (first, last) == ("systemctl stop listserver", "systemctl start listserver")
    return others


def restore(server: ListServer, copy: Path) -> None:
    """Do as the manual says, in this server's folder; it is stopped."""
    script = COPY.sub(str(copy), "\n".join(commands()))
    script = script.replace(FOLDER, str(server.folder))
    script = script.replace("listserver:", f"{pwd.getpwuid(os.getuid()).pw_name}:")
    done = run("/bin/bash", "-euc", script)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(server.folder / "store.db")) as store, store:
        store.execute("UPDATE deliveries SET due = 0")  # the time that the restoring took


class Story:
    """A list of three, posts that nobody takes, a back-up of it, and a change after that."""

    def __init__(self, server: ListServer, folder: Path) -> None:
        self.server = server
        with ThreadPoolExecutor() as pool:
            names = (f"{name}@example.org" for name in ("alice", "bob", "carol"))
            self.alice, self.bob, self.carol = pool.map(partial(new_person, folder), names)
        server.authorize(self.alice.profile)
        server.start()
        self.alice.recrypt("create", TEAM, "--service", server.url)
        self.alice.recrypt("add", TEAM, self.bob.profile, self.carol.profile)
        key_file = folder / "key.json"
        self.alice.recrypt("key", TEAM, "--out", key_file)
        self.key = PublicKey.from_named_jwk(read_json(key_file.read_bytes(), limit=10**4))
        self.before = [self.post(f"before {number}") for number in range(BEFORE)]
        self.after = self.post("after")
        self.copy = self._back_up(folder / "copies")
        self.alice.recrypt("suspend", TEAM, self.carol.address)
        send(server, TEAM, self.after)
        server.stop()

    def post(self, words: str) -> bytes:
        """Make a post."""
        content = f"Subject: {words}\r\n\r\n{words}\r\n".encode()
        return mail(
            sealed(self.key, content=content).mmx(), message_id=f"<{words[-1]}@example.org>"
        )

    def _back_up(self, folder: Path) -> Path:
        """Copy the store by the command, while more posts arrive."""
        for post in self.before:
            send(self.server, TEAM, post)
        meanwhile = [self.post(f"meanwhile {number}") for number in range(6)]
        with ThreadPoolExecutor(4) as senders:
            sent = [senders.submit(send, self.server, TEAM, post) for post in meanwhile]
            done = listserver("backup", folder, "--config", self.server.config)
            for each in sent:
                each.result()
        assert done.returncode == 0, done.stderr
        (copy,) = folder.iterdir()
        return copy

    def queued(self) -> int:
        """Count the posts in the queue."""
        done = listserver("queue", "--json", "--config", self.server.config)
        posts = json.loads(done.stdout)["posts"]
        assert isinstance(posts, list)
        return len(posts)


@pytest.fixture
def story(server: ListServer, tmp_path: Path) -> Story:
    """Tell it, and restore the back-up; the server is not started yet."""
    told = Story(server, tmp_path)
    restore(server, told.copy)
    return told


def test_what_the_back_up_had_goes_out_once_and_its_lists_history_went_back(
    story: Story, mail_host: MailHost
) -> None:
    server = story.server
    queued = story.queued()
    assert queued >= BEFORE
    mail_host.start()
    server.start()
    mail_host.wait_for(3 * queued)
    for post in (*story.before, story.after):
        send(server, TEAM, post)  # the last one alone is new to it
    mails = mail_host.wait_for(3 * (queued + 1))
    check_administrator_sees_it(story)
    check_administrator_goes_on(story)
    server.stop()
    assert len(mail_host.mails) == 3 * (queued + 1)
    bobs = [mail.content for mail in mails if mail.recipient == story.bob.address]
    assert len(bobs) == queued + 1
    texts = [story.bob.recrypt("read", stdin=copy) for copy in bobs]
    assert sum(b"before" in text for text in texts) == BEFORE
    assert sum(b"after" in text for text in texts) == 1


def check_administrator_sees_it(story: Story) -> None:
    """Ask for the list's history, and for a change of it."""
    for words in (("history",), ("suspend", story.bob.address)):
        done = story.alice.try_recrypt(words[0], TEAM, *words[1:])
        assert done.returncode == 1
        assert b"SHOWS ANOTHER HISTORY: it goes back before change 3" in done.stderr


def check_administrator_goes_on(story: Story) -> None:
    """Do what the manual says, and make the lost change again."""
    done = story.alice.try_recrypt("verify", TEAM, "--accept-restored")
    assert done.returncode == 1, "it was taken without a yes"
    assert b"changes 3 to 3 are gone" in done.stderr
    story.alice.recrypt("verify", TEAM, "--accept-restored", "--yes")
    story.alice.recrypt("suspend", TEAM, story.carol.address)
    assert b"SUSPENDED" in story.alice.recrypt("members", TEAM).upper()
