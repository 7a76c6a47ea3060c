"""Hostile header fields, from the door to the copies: nothing of them gets out.

What confuses servers and readers about header fields (two of a kind, encoded line ends, names that
are none) can't, since no field of a post is copied: those of a copy are all written anew.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from listserver.edges.door import Door
from listserver.edges.gateway import Gateway
from tests.builders import new_group, new_membership, new_person
from tests.doors import HERE, OPENING, SETTINGS, Sender
from tests.fakes import Bench, FakeRoom, open_bench
from tests.lists import new_list_of
from tests.mails import attachment, part, sealed

CANARY = b"mallory"
FIELDS = [
    "List-Unsubscribe: <https://lists.example/u/*>, <mailto:team-unsubscribe+*@lists.example>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    "From: team <team@lists.example>",
    "To: team@lists.example",
    "Subject: [...]",
    "Date: *",
    "Message-ID: <*@lists.example>",
    "List-Id: <team.lists.example>",
    "List-Post: <mailto:team@lists.example>",
    "List-Help: <mailto:team-request@lists.example?subject=help>, <https://lists.example/l/team>",
    "List-Subscribe: <mailto:team-subscribe@lists.example>",
    "List-Owner: <mailto:team-owner@lists.example>",
    "Precedence: list",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="*"',
]
TAKEN = {
    "an ordinary one": b"From: mallory@x.example\r\nSubject: mallory\r\n",
    "no From": b"Subject: mallory\r\n",
    "two From": b"From: mallory@x.example\r\nFrom: Alice <a@b>, mallory@x.example\r\n",
    "two To": b"To: mallory@x.example\r\nTo: a@b\r\nCc: mallory@x.example\r\nBcc: mallory@x\r\n",
    "two Message-ID": b"Message-ID: <1@mallory.example>\r\nMessage-ID: <2@mallory.example>\r\n",
    "no Message-ID": b"Message-ID: mallory\r\n",
    "an encoded line feed": b"Subject: =?utf-8?q?a=0ABcc:_mallory@x.example?=\r\n",
    "an encoded line end": b"From: =?utf-8?q?a=0D=0AX-Mallory:_mallory?= <mallory@x.example>\r\n",
    "an encoded NUL": b"Subject: =?utf-8?b?AG1hbGxvcnk=?=\r\nComments: =?utf-8?q?=00mallory?=\r\n",
    "an encoded address": b"From: =?utf-8?q?mallory=40x.example=3E=2C?= <a@b>\r\n",
    "an address in a comment": b"From: alice@example.org(mallory@x.example)mallory@x.example\r\n",
    "what servers add": b"Received: by mallory\r\nReturn-Path: <mallory@x>\r\nSender: mallory\r\n",
    "what readers obey": (
        b"Reply-To: mallory@x.example\r\nList-Unsubscribe: <https://mallory.example>\r\n"
        b"Disposition-Notification-To: mallory@x.example\r\nAutocrypt: addr=mallory@x.example\r\n"
        b"X-Confirm-Reading-To: mallory@x.example\r\nResent-From: mallory@x.example\r\n"
    ),
    "another list's": b"List-Id: <mallory.lists.example>\r\nX-BeenThere: mallory@lists.example\r\n",
    "8-bit octets": b"Subject: mallory \xff\xfe \xc3\xa9 \xed\xb0\x80\r\n",
    "folded": b"Subject: mallory\r\n Bcc: mallory@x.example\r\n\tX-Mallory: mallory\r\n",
    "a name in MIME": b"Content-Description: mallory\r\nContent-ID: <1@mallory.example>\r\n",
}
REFUSED = {
    "bare CR": b"Subject: a\rBcc: mallory@x.example\r\n",
    "bare LF": b"Subject: a\nBcc: mallory@x.example\r\n",
    "NUL in a name": b"Fr\0om: mallory@x.example\r\n",
    "NUL in a value": b"Subject: a\0mallory\r\n",
    "a name with a space": b"From : mallory@x.example\r\n",
    "8-bit octets in a name": b"X-\xe9: mallory\r\n",
    "a line without a colon": b"mallory\r\n",
    "a line that is folded first": b" mallory\r\n",
}


@asynccontextmanager
async def sender_to(bench: Bench) -> AsyncIterator[Sender]:
    """Open a door to a list of Alice's and Bob's, and begin a mail there."""
    domains, room = ("lists.example",), FakeRoom()
    gateway = Gateway(Door(bench.posting, bench.log, SETTINGS, domains=domains, room=room))
    server = await gateway.listen(HERE)
    sender = await Sender.connected(server.sockets[0].getsockname()[1])
    try:
        await sender.begin()
        yield sender
    finally:
        await gateway.close()
        sender.writer.close()


async def posted_with(fields: bytes, folder: Path) -> tuple[str, list[bytes]]:
    """Post with these header fields; give the reply, and the copies."""
    group, bob = new_group(), new_person("bob@example.org")
    async with open_bench(folder) as bench:
        alice = new_person("alice@example.org")
        await new_list_of(bench, group, alice, new_membership(bob, group.key))
        kind = 'application/vnd.recrypt; name="=?utf-8?q?mallory=0D=0AX-Mallory:_1?=.mmx"'
        post = fields + part(sealed(group.key.public).mmx(), kind)
        async with sender_to(bench) as sender:
            reply = await sender.post(post + b".\r\n")
        await bench.relay_all()
        return reply, [b"".join(each.parts) for each in bench.courier.sent]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", TAKEN)
async def test_no_field_of_a_post_gets_out(name: str, tmp_path: Path) -> None:
    reply, copies = await posted_with(TAKEN[name], tmp_path)
    assert reply == "250 2.0.0 Accepted."
    assert len(copies) == 2
    for copy in copies:
        assert _fields(copy) == FIELDS
        assert CANARY not in copy.lower()
        assert CANARY not in attachment(copy).partition(b"\n")[0].lower()
        # Whichever way it goes on: no server on it has a reason to change an octet of it.
        assert copy.isascii() and b"\0" not in copy
        assert copy.count(b"\r") == copy.count(b"\n") == copy.count(b"\r\n")
        assert max(map(len, copy.split(b"\r\n"))) <= 998


def _fields(copy: bytes) -> list[str]:
    """Give the header fields of a copy; what differs from copy to copy is a star."""
    head = copy.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    head = re.sub(r"(?<=[/+])[a-z2-7]{26}\b", "*", head)
    head = re.sub(r"(?<=\nDate: )[^\r]*", "*", head)
    head = re.sub(r"(?<=\nMessage-ID: <).*(?=@lists\.example>)", "*", head)
    return re.sub(r'(?<=; boundary=").*(?=")', "*", head).split("\r\n")


@pytest.mark.asyncio
@pytest.mark.parametrize("name", REFUSED)
async def test_what_two_readers_may_read_in_two_ways_is_refused(name: str, tmp_path: Path) -> None:
    reply, copies = await posted_with(REFUSED[name], tmp_path)
    assert reply.startswith("554 5.6.0")
    assert CANARY.decode() not in reply
    assert copies == []


@pytest.mark.asyncio
async def test_a_refused_post_makes_no_mail_whomalloryr_is_named_as_its_sender(
    tmp_path: Path,
) -> None:
    async with open_bench(tmp_path) as bench:
        await new_list_of(bench, new_group(), new_person("alice@example.org"))
        async with sender_to(bench) as sender:
            for at in range(10):
                name = b"victim%d@example.org" % at
                clear = b"From: " + name + b"\r\nReply-To: " + name + b"\r\n\r\nHello\r\n.\r\n"
                assert (await sender.post(clear)).startswith("554 5.6.0")
                for command in (b"MAIL FROM:<" + name + b">\r\n", *OPENING[2:]):
                    await sender.post(command)
        await bench.relay_all()
        assert bench.courier.sent == []
        assert await bench.waiting() == 0
