"""A list whose posts wait for a decision: `from tests.moderated import House`."""

from collections.abc import Sequence

from msgspec.structs import replace as but

from listserver.replies import Reply
from recrypt_core.authorship import sign_sender
from recrypt_core.documents import Privilege, RecryptionGroup, Status
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Envelope
from recrypt_core.messages import (
    GetHeldResponse,
    Request,
    Response,
    UpdateGroup,
    UpdateMember,
    write_message,
)
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldName
from recrypt_core.opening import open_recrypted
from recrypt_core.policy import Policy
from recrypt_core.signing import Link, sign_request
from tests.builders import (
    TEAM,
    URL,
    History,
    Membership,
    create_message,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator
from tests.lists import said
from tests.mails import envelope_of, mail, sealed, with_head

NAMES = ("alice", "bob", "carol", "dave", "erin")


class House:
    """A list of Alice (SUPER), Bob (ADMIN), Carol, Dave (SUSPENDED); and Erin, a stranger."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.people = {name: new_person(f"{name}@example.org") for name in NAMES}
        self.group = new_group()
        self.history = History(self.group)
        self.memberships: dict[str, Membership] = {}
        self._count = 0

    async def found(self, policy: Policy) -> None:
        """Create the list."""
        ways = {
            "alice": administrator(self.people["alice"], self.group),
            "bob": self._member("bob", privileges=(Privilege.RECRYPT, Privilege.ADMIN)),
            "carol": self._member("carol"),
            "dave": self._member("dave", status=Status.SUSPENDED),
        }
        self.memberships = ways
        await self.bench.authorize(self.people["alice"])
        made = create_message(self.group, tuple(ways.values()), self.people["alice"].online)
        stated = but(made.recryption_group, policy=policy)
        change = self.history.sign(but(made, recryption_group=stated), self.group.master.online)
        await self.bench.change(change, *ways.values(), history=self.history)

    def _member(
        self,
        name: str,
        *,
        privileges: Sequence[Privilege] = (Privilege.RECRYPT,),
        status: Status = Status.ACTIVE,
    ) -> Membership:
        return new_membership(
            self.people[name], self.group.key, privileges=tuple(privileges), status=status
        )

    async def set(self, **rules: object) -> None:
        """Change the list's Policy."""
        policy = but(self.history.state.policy, **rules)
        group = RecryptionGroup(group_name=TEAM, policy=policy)
        await self.change(UpdateGroup(recryption_group=group))

    async def update(self, name: str, **changes: object) -> None:
        """Change a member."""
        entry = but(self.memberships[name].entry, **changes)
        message = UpdateMember(recryption_group=self.group.master.udf, member_entry=(entry,))
        await self.change(message)

    async def change(self, message: UpdateGroup | UpdateMember) -> None:
        """Send a change that Alice signs now."""
        head, now = self.history.state.head, self.bench.clock.now()
        link = Link(self.group.master.udf, head.seq + 1, head.hash)
        key = self.people["alice"].online
        change = sign_request(write_message(message), key, url=URL, now=now, link=link)
        await self.bench.change(change, history=self.history)

    def content(self) -> Envelope:
        """Seal what is to be posted."""
        self._count += 1
        return sealed(self.group.key.public, content=b"Subject: %d\r\n\r\n" % self._count)

    def written(
        self,
        by: str | None = None,
        content: bytes = b"",
        *,
        is_forged: bool = False,
        of: Envelope | None = None,
    ) -> bytes:
        """Write a post, with a `sender` of somebody's; a forged one was for another content."""
        envelope = of or self.content()
        if content:
            envelope = sealed(self.group.key.public, content=content)
        octets, now = envelope.mmx(), self.bench.clock.now()
        if by is not None:
            key, cid = self.people[by].online, b"1" * 32 if is_forged else envelope.content_id
            octets = with_head(envelope, sender=sign_sender(TEAM, cid, key, now=now))
        return mail(octets, message_id=f"<{envelope.content_id.hex()}@host.example>")

    async def post(self, by: str | None = None, content: bytes = b"") -> Reply:
        """Post, and deliver what is due."""
        reply = await self.bench.post(self.written(by, content))
        await self.bench.relay_all()
        return reply

    async def ask(self, message: Request, by: str = "alice") -> Response:
        """Ask something."""
        now, key = self.bench.clock.now(), self.people[by].online
        return await self.bench.send(sign_request(write_message(message), key, url=URL, now=now))

    async def held(self, by: str = "alice", *, limit: int = 100) -> list[int]:
        """Give the numbers of what waits."""
        found: list[int] = []
        after: int | None = 0
        while after is not None:
            answer = await self.ask(GetHeld(group_id=TEAM, after=after, limit=limit), by)
            assert isinstance(answer, GetHeldResponse), answer
            found += [each.post for each in answer.held]
            after = answer.next
        return found

    async def named(self, post: int) -> HeldName:
        """Tell what a post is to be named by, whatever became of it."""
        found = await self.bench.rows("SELECT list_id, number, sealed FROM holding")
        cid = bytes(32)
        for list_id, number, row in found:
            if number == post and isinstance(row, bytes):
                cid = self.bench.vault.unseal("holding", row, row=f"{list_id!r}.{post}".encode())
        return HeldName(post, write_b64url(cid))

    async def decide(self, post: int, decision: Decision, by: str = "alice") -> tuple[int, str]:
        """Decide, and deliver what is due."""
        cid = (await self.named(post)).cid
        message = Decide(group_id=TEAM, post=post, content_id=cid, decision=decision)
        answer = await self.ask(message, by)
        await self.bench.relay_all()
        return said(answer)

    def got(self) -> list[str]:
        """Tell whom copies went to since this was asked last, by name, in order."""
        sent = sorted(each.recipient.partition("@")[0] for each in self.bench.courier.sent)
        self.bench.courier.sent.clear()
        return sent

    def read(self, name: str) -> list[bytes]:
        """Open the copies that somebody has."""
        person = self.people[name]
        return [
            open_recrypted(envelope_of(each.parts), person.devices)
            for each in self.bench.courier.sent
            if each.recipient == person.address
        ]
