"""What comes back, and what the server writes of it: `from tests.returned import ...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from typing import Final

from listserver.addresses import parse_address, read_list_address
from listserver.model import MemberId, PostId
from listserver.outcomes import Phase, Refused
from listserver.ports import Outgoing
from listserver.replies import Reply
from listserver.tokens import DeliveryToken, ProbeToken, write_token
from recrypt_core.opening import open_whole
from recrypt_core.policy import Policy
from tests.builders import Person, new_group, new_membership, new_person
from tests.fakes import SECOND_DOMAIN, Bench
from tests.lists import Team, new_list_of
from tests.mails import envelope_of, mail, sealed

ALICE: Final = "alice@example.org"
BOB: Final = "bob@example.org"
CAROL: Final = "carol@example.org"
UNKNOWN: Final = Refused(Phase.RCPT, 550, "5.1.1 bob@example.org: no such user")
FULL: Final = Refused(Phase.RCPT, 552, "5.2.2 full")
BUSY: Final = Refused(Phase.RCPT, 451, "4.3.0 later")
HARD: Final = "5.1.1"
SOFT: Final = "5.2.2"
ABOUT_US: Final = "5.5.0"


@dataclass(frozen=True)
class Trio:
    """A list of Alice, who administers it, Bob and Carol."""

    team: Team
    bob: Person
    carol: Person

    @property
    def alice(self) -> Person:
        """Its administrator."""
        return self.team.alice


async def new_trio(bench: Bench, *, policy: Policy | None = None) -> Trio:
    """Create the list."""
    group = new_group()
    alice, bob, carol = (new_person(each) for each in (ALICE, BOB, CAROL))
    others = [new_membership(each, group.key) for each in (bob, carol)]
    return Trio(await new_list_of(bench, group, alice, *others, policy=policy), bob, carol)


async def post(bench: Bench, team: Team, number: int = 1) -> None:
    """Post, and deliver what is due."""
    sent = mail(sealed(team.key.public).mmx(), message_id=f"<{number}@host.example>")
    assert (await bench.post(sent)).positive
    await bench.relay_all()


def report(status: str) -> bytes:
    """Write a failure report (RFC 3464)."""
    return (
        "From: MAILER-DAEMON@mx.example\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; zoe@example.org\r\n"
        f"Action: failed\r\nStatus: {status}\r\n--b--\r\n"
    ).encode()


async def back_to(bench: Bench, return_path: str, status: str = HARD) -> Reply:
    """Send a report to a return path, as its peer does."""
    to = read_list_address(parse_address(return_path), ("lists.example", SECOND_DOMAIN))
    assert to is not None
    assert (await bench.receiving.recipient(to)).positive
    return await bench.receiving.receive(report(status), to, sender="")


def path_of(bench: Bench, post_id: int, member: int, *, name: str = "team") -> str:
    """Write the return path of a post's copy to a member."""
    token = write_token(bench.vault, DeliveryToken(PostId(post_id), MemberId(member)))
    return f"{name}-bounces+{token}@lists.example"


def probe_path_of(bench: Bench, sent: datetime, member: int, *, name: str = "team") -> str:
    """Write the return path of a probe that was sent to a member then."""
    token = write_token(bench.vault, ProbeToken(sent, MemberId(member)))
    return f"{name}-bounces+{token}@lists.example"


def sent_to(bench: Bench, address: str) -> list[Outgoing]:
    """Give what went to somebody."""
    return [each for each in bench.courier.sent if each.recipient == address]


async def member_row(bench: Bench, address: str) -> int:
    """Find the number of a member's row."""
    for (id_, list_id, sealed_row, name) in await bench.rows(
        "SELECT id, list_id, sealed, name FROM members"
    ):  # fmt: skip
        assert isinstance(sealed_row, bytes)
        assert isinstance(name, bytes)
        row = bench.vault.unseal("members", sealed_row, row=name)
        if list_id == 1 and f'"AccountName":"{address}"'.encode() in row:
            return int(id_ or 0)
    raise LookupError(address)


async def off(bench: Bench) -> int:
    """Count the members to whom mail is off."""
    ((count,),) = await bench.rows("SELECT count(*) FROM members WHERE off IS NOT NULL")
    return int(count or 0)


def letter_in(parts: Sequence[bytes], person: Person) -> Message:
    """Open a letter with a person's keys."""
    return message_from_bytes(open_whole(envelope_of(parts), person.devices))


def words_of(letter: Outgoing, person: Person) -> str:
    """Give the subject and the text of a letter."""
    inner = letter_in(letter.parts, person)
    return f"{inner['Subject']}\n{inner.get_payload()}"
