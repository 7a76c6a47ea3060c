"""Who changes the group and looks at it, in its machine: signs, sends, and keeps what was taken."""

from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.chain import GroupState
from recrypt_core.documents import (
    Head,
    MemberEntry,
    Status,
    UserDecryptionEntry,
)
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import (
    Change,
    ChangeResponse,
    GetGroup,
    GetGroupResponse,
    Request,
    Response,
    UpdateMember,
    write_message,
)
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, sign_request
from recrypt_core.udf import Udf, read_udf
from tests.builders import (
    NOW,
    TEAM,
    URL,
    Membership,
    new_membership,
)
from tests.laws.group_house import FIRST, GROUP, PEOPLE, House, begun
from tests.laws.group_model import DONE, MASTER, ONLINE, Model, Powers, Seat


class Office:
    """All people's keys, what they sent, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        _, change = begun()
        self.model = Model(GROUP.key.public.udf, [change])
        self.replayed = chain.replay([change])
        self.master, self.key = GROUP.master, GROUP.key
        self.next_key = PrivateKey.generate(Curve.X25519)
        self.people = [[person] for person in PEOPLE]
        self.stated: dict[int, MemberEntry] = {}
        self.drawn: dict[Udf, tuple[UserDecryptionEntry, PrivateKey]] = {}
        self.sent: list[tuple[Membership, ...]] = [(*FIRST,)]
        for who, made in enumerate(FIRST):
            self.take(who, made)

    def key_of(self, signer: int) -> SignaturePrivateKey:
        """Give the key that somebody signs with."""
        own = {MASTER: self.master.master, ONLINE: self.master.online}
        return own[signer] if signer in own else PEOPLE[signer].online

    def sign(self, signer: int, message: Request, *, at: int | None = None) -> Jws:
        """Sign a request; a change for the place behind the chain's last one, or another."""
        link = None
        if isinstance(message, Change):
            before = self.model.chain[-1 if at is None else at]
            seq = len(self.model.chain) if at is None else at + 1
            link = Link(GROUP.master.udf, seq + 1, before.hash)
        key = self.key_of(signer)
        return sign_request(write_message(message), key, url=URL, now=NOW, link=link)

    def send(self, change: Jws, *made: Membership, expected: int) -> bool:
        """Send a change; it is answered as the model says. True if it was taken."""
        response = self.house.answers((change, made))[0]
        assert response.status == expected, response
        if expected != DONE:
            return False
        self.model.chain.append(change)
        self.sent.append(made)
        assert isinstance(response, ChangeResponse)
        assert response.head == Head(len(self.model.chain), change.hash)
        return True

    def update(self, *entries: MemberEntry) -> UpdateMember:
        """Write an UpdateMember."""
        return UpdateMember(recryption_group=GROUP.master.udf, member_entry=entries)

    def member(self, who: int, powers: Powers, status: Status, *keys: PrivateKey) -> Membership:
        """Make the entry of somebody, with fresh splits, under the newest profile."""
        return new_membership(self.people[who][-1], *keys, privileges=powers, status=status)

    def with_next(self, who: int) -> Membership:
        """Make an entry for the next key, behind those that stand."""
        old = self.stated[who]
        made = new_membership(self.people[who][-1], self.next_key)
        entry = but(old, entries=(*old.entries, *made.entry.entries))
        return Membership(entry, made.halves)

    def seat(self, who: int, made: Membership) -> Seat:
        """Give what the model makes of an entry."""
        entry = made.entry
        entries = {each.member_key_udf: each.encryption_key_udf for each in entry.entries}
        profile = next(n for n, each in enumerate(self.people[who]) if each.signed == entry.profile)
        return Seat(entry.privileges, entry.status, entries, profile)

    def take(self, who: int, made: Membership) -> None:
        """Put a change that was taken into the model."""
        self.model.put(who, self.seat(who, made))
        self.stated[who] = made.entry
        self.draw(made)

    def draw(self, made: Membership) -> None:
        """Keep the halves that the service has had."""
        for entry in made.entry.entries:
            if entry.member_key_udf in made.halves:
                r = made.halves[entry.member_key_udf]
                self.drawn[entry.member_key_udf] = (entry, r)

    def ask(self, signer: int, message: Request) -> Response:
        """Ask what changes nothing."""
        return self.house.answers((self.sign(signer, message), ()))[0]

    def head(self) -> Head:
        """Give the chain's head."""
        return Head(len(self.model.chain), self.model.chain[-1].hash)

    def members(self, state: GroupState) -> tuple[dict[Udf, MemberEntry], set[Jws]]:
        """Fetch the members in pages, each of a group that is as the chain says."""
        found: dict[Udf, MemberEntry] = {}
        newer: set[Jws] = set()
        after: Udf | None = None
        while True:
            page = self.ask(MASTER, GetGroup(group_id=TEAM, after=after, limit=2))
            assert isinstance(page, GetGroupResponse)
            assert page.head == self.head()
            assert page.recryption_group == state.document(page.recryption_group.members)
            found |= {each.recrypt_udf: each for each in page.recryption_group.members}
            newer |= {*page.newer_profiles}
            if page.next is None:
                return found, newer
            after = read_udf(page.next)
