"""The server's own values: frozen, and known to every room."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType

from listserver.catalogue import Catalogue
from listserver.limits import (
    GROUPS_PER_PROFILE,
    RECRYPTIONS_PER_GROUP,
    RECRYPTIONS_PER_MEMBER,
)
from listserver.outcomes import Outcome
from recrypt_core.agreement import Split
from recrypt_core.chain import GroupState
from recrypt_core.documents import VerifiedProfile
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.members import Member
from recrypt_core.policy import Language
from recrypt_core.records import AuditResult
from recrypt_core.udf import Udf
from recrypt_core.wire import Document

ListId = NewType("ListId", int)
MemberId = NewType("MemberId", int)
PostId = NewType("PostId", int)
DeliveryId = NewType("DeliveryId", int)
LetterId = NewType("LetterId", int)


@dataclass(frozen=True, slots=True)
class House:
    """What the server is to the world: its own domain, its service's address, the largest copy.

    more_domains: others that there may be lists at; the server isn't called by them.
    operator: where mail to postmaster and abuse goes on to; None if it can't be passed on.
    groups_per_profile: how many groups an authorised profile may create.
    recryptions_per_member, recryptions_per_group: how many RecryptData are answered on a day.
    language: of pages that are no list's; catalogue: what is written to people for a list.
    """

    domain: str
    public_url: str
    post_octets: int
    operator: str | None = None
    groups_per_profile: int = GROUPS_PER_PROFILE
    recryptions_per_member: int = RECRYPTIONS_PER_MEMBER
    recryptions_per_group: int = RECRYPTIONS_PER_GROUP
    more_domains: tuple[str, ...] = ()
    language: Language = Language.EN
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def domains(self) -> tuple[str, ...]:
        """Give all domains of lists, its own first."""
        return (self.domain, *self.more_domains)


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list as the store holds it.

    Attributes:
        state: The group after the head of its chain, with only the members that were asked for.
        secret: 32 octets that its Message-IDs are made with (spec §7).
    """

    id: ListId
    state: GroupState
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Half:
    """A recryption key r and what goes with it into a copy: the sealed part of an entry's row.

    It equals itself alone.

    Attributes:
        address: Where the member's copies go.
        recryption: The private r; it is erased with its row when the entry ends.
        decryption_key: The JWE of x as JSON octets, as copies carry it.
    """

    address: str
    group_key: Udf
    member_key: Udf
    split: Split
    recryption: PrivateKey
    decryption_key: bytes = field(repr=False)
    stays: int = 0
    """How often the member has stayed, or come back, so far (spec §6); not sealed."""


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as the store keeps it; `own_octets` is the length of its recryption in a copy."""

    half: Half
    own_octets: int


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry as RecryptData finds it: its list, its member by the newest profile, its half."""

    list: StoredList
    id: MemberId
    member: Member
    half: Half


@dataclass(frozen=True, slots=True)
class Asked:
    """One RecryptData for the audit log: by whom, of which X and epk, and what came of it."""

    member: Udf
    half: Udf
    epk: Udf
    result: AuditResult
    time: datetime


class JoinState(Enum):
    """Where a request to join stands. Only one that is open, of the first two, is kept."""

    ASKED = 0
    CONFIRMED = 1
    APPROVED = 2
    DENIED = 3
    EXPIRED = 4


class JoinCount(Enum):
    """Of what it is counted how often it comes on a day: requests, profiles, posts, letters."""

    ADDRESS = "address"
    ADDRESS_AT = "address at"
    LIST = "list"
    LIST_AT = "list at"
    SIGNER = "signer"
    PROFILE = "profile"
    POSTER = "poster"
    POSTS = "posts"
    INVITED = "invited"
    INVITED_TO = "invited to"
    INVITING = "inviting"
    ANSWERED = "answered"
    ANSWERED_AT = "answered at"
    ANSWERING = "answering"
    OWNER = "owner"
    OWNER_AT = "owner at"


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks to be a member, with which address."""

    account: str
    profile: VerifiedProfile
    invitation: str | None = None
    """The proof of an invitation, which only who invited can check."""


@dataclass(frozen=True, slots=True)
class Join:
    """A request to join that is open."""

    list: StoredList
    state: JoinState
    applicant: Applicant


class KnownProfile(Document, frozen=True):
    """The newest profile that is known of a member of any list, and the lists.

    Attributes:
        lists: Where it is a member, of any status.
        updated: The profile's Updated.
        signed: The hash of the SignedProfile.
        keys: The keys that sign for it.
    """

    lists: tuple[ListId, ...]
    updated: datetime
    signed: str
    keys: tuple[Udf, ...]

    def stands_against(self, profile: VerifiedProfile) -> bool:
        """Tell whether a profile is older, or another of the same time."""
        stated = profile.profile.updated
        return self.updated > stated or (
            self.updated == stated and self.signed != profile.signed.hash
        )


@dataclass(frozen=True, slots=True)
class Recryptions:
    """How many RecryptData of a day were answered, and how many refusals the log has."""

    done: int
    refused: int


@dataclass(frozen=True, slots=True)
class StoredPost:
    """What the copies of a post have in common.

    Attributes:
        header: The header block, CRLF lines, without MIME fields.
        line: The JSON line without its closing brace and without `recryption`.
        line_octets: How long the finished line is in every copy, with spaces and line feed.
        group_key: The fingerprint of the key that it is sealed to.
        epk: The sender's ephemeral key.
        notice: Whether a copy has a text beside the envelope.
        list_address: The list's address, for the notice and the return path.
        poster: Whose `sender` was verified; None if nobody's had to be.
        held: Its number, if it waits for a decision and its copies are for moderators alone.
        text: What that notice is, as lines; None for the built-in one, in English.
    """

    header: bytes = field(repr=False)
    line: bytes = field(repr=False)
    line_octets: int
    group_key: Udf
    epk: PublicKey
    notice: bool
    list_address: str
    accepted: datetime
    poster: Udf | None = None
    held: int | None = None
    text: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Readers:
    """Who is to have a copy of a post to a list, as its transaction sees it.

    Attributes:
        members: They, in no order.
        longest_own: The octets of the longest recryption among theirs; 0 if there is nobody.
    """

    list_id: ListId
    members: Sequence[MemberId]
    longest_own: int


@dataclass(frozen=True, slots=True)
class Erased:
    """How far what is kept for some time may be erased: what was to be kept until then.

    doubted: For how long the clock has been too far ahead of it to be believed.
    """

    until: datetime
    doubted: timedelta


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery that is under way: its attempt is counted already.

    since: when it began, or began anew.
    """

    id: DeliveryId
    post: PostId
    member: MemberId
    attempts: int
    since: datetime

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Final: the member is no longer ACTIVE, or has no entry for the post's key any more."""


@dataclass(frozen=True, slots=True)
class Untried:
    """Nothing was done, and the attempt doesn't count; it is due then, or as before."""

    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Faulted:
    """Try again when `due` has come: our own program failed. After three times it is held."""

    due: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be written about a claim.

    words: a peer's, which may name an address.
    reached: whether the relay host could be connected to; None if nobody tried. It isn't written.
    """

    id: DeliveryId
    post: PostId
    outcome: Outcome | Withdrawn | Untried | Faulted
    words: str = ""
    reached: bool | None = None


class LetterKind(Enum):
    """What a letter is. Each kind has room of its own, and the first ones go out first."""

    OPERATOR = 2
    """To postmaster or abuse. What is given up of it is held."""
    NOTICE = 0
    """To administrators and posters, and probes."""
    JOIN = 1
    """With the token of who asks to join: strangers have them sent."""
    INVITATION = 3
    """To who is no member yet, in clear."""
    GREETING = 4
    """A welcome, or a goodbye."""
    ANSWER = 5
    """From a list's desk, to whoever seems to have asked."""
    OWNER = 6
    """What somebody wrote to those who administer a list, sealed to them."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Mail of the server's own making, or passed on to the operator.

    Attributes:
        return_path: "" is the null one, to which nothing comes back.
        octets: The whole message, CRLF lines.
        probe_of: The member whose address it tests.
        list_id: The list whose share of the room it takes; None: it has the room of all.
    """

    recipient: str
    return_path: str
    octets: bytes = field(repr=False)
    probe_of: MemberId | None = None
    kind: LetterKind = LetterKind.NOTICE
    list_id: ListId | None = None


@dataclass(frozen=True, slots=True)
class LetterClaim:
    """A letter that is under way: its attempt is counted already."""

    id: LetterId
    attempts: int
    made: datetime


@dataclass(frozen=True, slots=True)
class LetterRecord:
    """What is to be written about a letter; what ended is erased, but for the operator's.

    bounced: the peer refused its recipient, so if it is a probe it has come back.
    reached: as a Record's.
    """

    id: LetterId
    outcome: Outcome | Untried | Faulted
    bounced: bool = False
    reached: bool | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """When bounces are too many: points, 1 for a hard bounce, which decay to nothing.

    Attributes:
        threshold: Points at which a probe is sent.
        window_days: A point decays evenly over so many days.
        patience_days: A probe that hasn't come back after so many days has arrived.
    """

    threshold: int
    window_days: int
    patience_days: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A member whose mail came back so often that a probe is due."""

    id: MemberId
    list: StoredList
    member: Member
