"""Threads hold in real mail programs: a list's relayed copies, and answers written from them."""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import pytest_asyncio

from listserver import replies
from recrypt_client import posts
from recrypt_core.policy import Policy
from recrypt_core.sealing import seal
from tests.builders import TEAM, new_group, new_membership, new_person
from tests.end_to_end.mail_readers import Neomutt, Thunderbird
from tests.fakes import Bench, open_bench
from tests.lists import Team, new_list_of
from tests.mails import message_of

pytestmark = pytest.mark.long

NAMES = ("alice", "bob", "carol")
needs_neomutt = pytest.mark.skipif(
    not (shutil.which("neomutt") and shutil.which("tmux")), reason="not installed: neomutt, tmux"
)
needs_thunderbird = pytest.mark.skipif(
    shutil.which("thunderbird") is None, reason="not installed: thunderbird"
)


@dataclass
class Talk:
    """A list of three people, who read its copies in neomutt and answer from there."""

    bench: Bench
    team: Team
    readers: Mapping[str, Neomutt]
    copies: list[bytes] = field(default_factory=list)
    """Bob's, in the order in which they came."""
    inside: list[bytes] = field(default_factory=list)
    """What is sealed in them."""

    async def say(self, message: bytes) -> None:
        """Post a message as `recrypt seal` makes a post of it; everybody gets a copy."""
        now = self.bench.clock.now()
        ready = posts.draft(message, TEAM, author=None, own=None, now=now)
        content = posts.content(ready)
        envelope = seal(content, [self.team.key.public], cty="message/rfc822")
        assert await self.bench.post(posts.post(ready, envelope.mmx())) == replies.ACCEPTED
        await self.bench.relay_all()
        for mail in self.bench.courier.sent[-len(NAMES) :]:
            copy = b"".join(mail.parts)
            name = mail.recipient.partition("@")[0]
            self.readers[name].put(copy)
            if name == "bob":
                self.copies.append(copy)
        self.inside.append(content)
        self.bench.clock.advance(timedelta(minutes=7))

    async def answer(self, name: str, to: int) -> None:
        """Let somebody answer the copy of an earlier post, by number."""
        await self.say(self.readers[name].reply_to(self.id_of(to)))

    def id_of(self, number: int) -> str:
        """Give the id that a post's copies have."""
        return str(message_of(self.copies[number - 1])["Message-ID"])


def first_post() -> bytes:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = "alice@example.org", TEAM, "Flowerpots"
    message["Message-ID"] = "<first@alice.example>"
    message.set_content("Where are the keys?\n")
    return message.as_bytes()


@pytest_asyncio.fixture(params=["[...]", "[team] [...]"], ids=["plain", "tagged"])
async def talk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Talk]:
    """Give a talk of five posts: 2 and 3 answer 1, 4 answers 2, and 5 answers 3.

    Carol wrote 3 after `recrypt read`: in answer to the message inside, with Alice's own id.
    """
    for name in NAMES:
        (tmp_path / name).mkdir()
    readers = {name: Neomutt(tmp_path / name, name) for name in NAMES}
    async with open_bench(tmp_path) as bench:
        group = new_group()
        alice, bob, carol = (new_person(f"{name}@example.org") for name in NAMES)
        others = [new_membership(each, group.key) for each in (bob, carol)]
        policy = Policy(subject=str(request.param))
        made = Talk(bench, await new_list_of(bench, group, alice, *others, policy=policy), readers)
        await made.say(first_post())
        await made.answer("bob", to=1)
        made.readers["carol"].put(made.inside[0])
        await made.say(made.readers["carol"].reply_to("<first@alice.example>"))
        await made.answer("alice", to=2)
        await made.answer("bob", to=3)
        yield made


@needs_neomutt
@pytest.mark.asyncio
async def test_neomutt_shows_a_thread_of_five_posts_by_three_people(talk: Talk) -> None:
    first, second, third, fourth, fifth = (talk.id_of(number) for number in range(1, 6))
    shown = talk.readers["bob"].shown(5)
    assert shown == [(first, 0), (second, 1), (fourth, 2), (third, 1), (fifth, 2)]
    for copy in talk.copies:
        assert not re.search(rb"alice|bob|carol|example\.org", copy.partition(b"\r\n\r\n")[0])


@needs_neomutt
@needs_thunderbird
@pytest.mark.asyncio
async def test_thunderbird_shows_the_same_thread(talk: Talk, tmp_path: Path) -> None:
    first, second, third, fourth, fifth = (talk.id_of(each).strip("<>") for each in range(1, 6))
    parents = Thunderbird(tmp_path / "profile", talk.copies).parents()
    assert parents == {first: None, second: first, third: first, fourth: second, fifth: third}
