"""People, groups and the changes of a chain, made for tests: `from tests.builders import ...`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace as but

from recrypt_core import chain, messages
from recrypt_core.agreement import Split, partial
from recrypt_core.documents import (
    NO_HEAD,
    CreateAuthorization,
    GroupKey,
    Head,
    MemberEntry,
    Privilege,
    Profile,
    RecryptionGroup,
    Status,
    UserDecryptionEntry,
    VerifiedGroupKey,
    VerifiedProfile,
    sign_create,
    sign_group_key,
    sign_profile,
)
from recrypt_core.encoding import write_json
from recrypt_core.envelope import Envelope, Recryption
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember, write_message
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from recrypt_core.signing import Jws, Link, read_request, request_body, sign_request
from recrypt_core.splitting import split
from recrypt_core.udf import Udf
from recrypt_core.wire import SealedKey

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL: Final = "https://lists.example"
TEAM: Final = "team@lists.example"
EVERY_POWER: Final = (Privilege.RECRYPT, Privilege.ADMIN, Privilege.SUPER)


@dataclass(frozen=True)
class Person:
    """Somebody with a profile; for a group, its Master."""

    verified: VerifiedProfile
    master: SignaturePrivateKey
    online: SignaturePrivateKey
    devices: tuple[PrivateKey, ...]

    @property
    def udf(self) -> Udf:
        """The Identifier of the profile."""
        return self.verified.identifier

    @property
    def signed(self) -> Jws:
        """The SignedProfile."""
        return self.verified.signed

    @property
    def address(self) -> str:
        """The first of the profile's Accounts."""
        return self.verified.profile.accounts[0]

    def changed(self, *, seconds: int = 1, **changes: object) -> "Person":
        """Give the same person with a profile that is so much newer."""
        document = self.verified.profile
        values = {name: getattr(document, name) for name in document.__struct_fields__}
        values["updated"] = document.updated + timedelta(seconds=seconds)
        newer = sign_profile(Profile(**values | changes), self.master)
        return replace(self, verified=newer)


def new_person(
    address: str,
    *,
    curve: Curve = Curve.X25519,
    devices: int = 1,
    signature: SignatureCurve = SignatureCurve.ED25519,
) -> Person:
    """Make somebody with fresh keys."""
    master, online = (SignaturePrivateKey.generate(signature) for _ in range(2))
    own = tuple(PrivateKey.generate(curve) for _ in range(devices))
    profile = Profile(
        identifier=master.public.udf,
        master_signature_key=master.public,
        online_signature_keys=(online.public,),
        encryption_keys=tuple(key.public for key in own),
        accounts=(address,),
        updated=NOW,
    )
    return Person(sign_profile(profile, master), master, online, own)


@dataclass(frozen=True)
class Group:
    """A group's Master, its current private key a, and that key's signed document."""

    master: Person
    key: PrivateKey
    signed_key: VerifiedGroupKey

    @property
    def name(self) -> str:
        """The GroupName."""
        return self.master.address


def new_group(name: str = TEAM, *, curve: Curve = Curve.X25519) -> Group:
    """Make a group that no service knows yet."""
    master = new_person(name, devices=0)
    key = PrivateKey.generate(curve)
    return Group(master, key, signed_group_key(master, key))


def signed_group_key(  # noqa: PLR0913 - the members of the document
    master: Person,
    key: PrivateKey,
    *,
    generation: int = 1,
    previous: Udf | None = None,
    head: Head = NO_HEAD,
    name: str | None = None,
) -> VerifiedGroupKey:
    """Make a CurrentEncryptionKey."""
    document = GroupKey(
        group_name=name or master.address,
        group_identifier=master.udf,
        encryption_key=key.public,
        generation=generation,
        created=NOW,
        not_after=NOW + timedelta(days=180),
        previous=previous,
        head=head,
    )
    return sign_group_key(document, master.online)


def closed_key(state: chain.GroupState, master: Person) -> VerifiedGroupKey:
    """Make the CurrentEncryptionKey that closes a group."""
    stated = but(state.key.document, closed=NOW, head=state.head)
    return sign_group_key(stated, master.online)


@dataclass(frozen=True)
class Membership:
    """A member entry as an administrator's client makes it, with the halves r for the service."""

    entry: MemberEntry
    halves: Mapping[Udf, PrivateKey]


def new_membership(
    person: Person,
    *keys: PrivateKey,
    privileges: tuple[Privilege, ...] = (Privilege.RECRYPT,),
    status: Status = Status.ACTIVE,
) -> Membership:
    """Split each of a group's keys for somebody, and state the entry."""
    made = [_entry(person, key) for key in keys]
    entry = MemberEntry(
        recrypt_udf=person.udf,
        account_name=person.address,
        profile=person.signed,
        privileges=privileges,
        status=status,
        entries=tuple(entry for entry, _ in made),
    )
    return Membership(entry, {each.member_key_udf: half for each, half in made})


def _entry(person: Person, key: PrivateKey) -> tuple[UserDecryptionEntry, PrivateKey]:
    halves = split(key)
    x = halves.decryption
    wrapped = seal(
        write_json(x.to_secret_jwk()), person.verified.profile.encryption_keys, named=False
    )
    entry = UserDecryptionEntry(
        encryption_key_udf=key.public.udf,
        member_key_udf=x.public.udf,
        account_name=person.address,
        recryption_public=halves.recryption.public,
        decryption_public=x.public,
        decryption_key=SealedKey(wrapped),
    )
    return entry, halves.recryption


def recryption_for(membership: Membership, envelope: Envelope) -> Recryption:
    """Compute what the service adds for a member: it holds r and the entry, nothing more."""
    (entry,) = membership.entry.entries
    epk = next(
        each.epk for each in envelope.recipients if each.kid in (entry.encryption_key_udf, None)
    )
    return Recryption(
        entry.encryption_key_udf,
        entry.member_key_udf,
        Split.SUM,
        partial(membership.halves[entry.member_key_udf], epk),
        entry.decryption_key.envelope,
    )


def create_message(
    group: Group, memberships: Sequence[Membership], authorised: SignaturePrivateKey
) -> CreateGroup:
    """Write a CreateGroup that a profile with this signature key answers for."""
    authorization = CreateAuthorization(
        group_identifier=group.master.udf,
        group_name=group.name,
        url=URL,
        iat=int(NOW.timestamp()),
    )
    return CreateGroup(
        recryption_group=RecryptionGroup(
            group_name=group.name,
            master=group.master.signed,
            current_encryption_key=group.signed_key.signed,
            members=tuple(each.entry for each in memberships),
        ),
        authorization=sign_create(authorization, authorised),
    )


@dataclass
class History:
    """A group's chain as it grows: signs each change for its place, and advances the state."""

    group: Group
    changes: list[Jws] = field(default_factory=list)
    states: list[chain.GroupState] = field(default_factory=list)

    @property
    def state(self) -> chain.GroupState:
        """The state after the last change."""
        return self.states[-1]

    def sign(
        self, message: messages.Change, key: SignaturePrivateKey, *, link: Link | None = None
    ) -> Jws:
        """Sign a change for the next place in the chain, or for another."""
        head = self.state.head if self.states else NO_HEAD
        place = link or Link(self.group.master.udf, head.seq + 1, head.hash)
        return sign_request(write_message(message), key, url=URL, now=NOW, link=place)

    def take(self, change: Jws) -> None:
        """Take a change, or raise as the chain does and stay as it is."""
        read = chain.read_change(change)
        state = chain.advance(self.state, read) if self.states else chain.begin(read)
        self.changes.append(change)
        self.states.append(state)

    def add(self, key: SignaturePrivateKey, *memberships: Membership) -> None:
        """Take an AddMember."""
        self.take(self.sign(self.add_message(*memberships), key))

    def update(self, key: SignaturePrivateKey, *memberships: Membership) -> None:
        """Take an UpdateMember."""
        entries = tuple(each.entry for each in memberships)
        message = UpdateMember(recryption_group=self.group.master.udf, member_entry=entries)
        self.take(self.sign(message, key))

    def change_group(self, key: SignaturePrivateKey, **changes: object) -> None:
        """Take an UpdateGroup of these members of RecryptionGroup."""
        stated = RecryptionGroup(**{"group_name": self.group.name, **changes})  # type: ignore[arg-type]  # fields by name
        self.take(self.sign(UpdateGroup(recryption_group=stated), key))

    def add_message(self, *memberships: Membership) -> AddMember:
        """Write an AddMember."""
        entries = tuple(each.entry for each in memberships)
        return AddMember(recryption_group=self.group.master.udf, member_entry=entries)


def new_history(group: Group, *memberships: Membership, authorised: Person) -> History:
    """Begin a chain; change 1 is signed by an online key of the Master."""
    history = History(group)
    message = create_message(group, memberships, authorised.online)
    history.take(history.sign(message, group.master.online))
    return history


def posted(change: Jws, *memberships: Membership) -> bytes:
    """Give the body of a request with the halves beside it, as the service gets it."""
    halves = {udf: half for each in memberships for udf, half in each.halves.items()}
    body = request_body(change, halves)
    read_request(body)
    return body
