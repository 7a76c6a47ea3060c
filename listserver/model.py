"""The server's own values: frozen, and known to every room."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

from listserver.outcomes import Outcome
from recrypt_core.agreement import Split
from recrypt_core.chain import GroupState
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.udf import Udf

ListId = NewType("ListId", int)
MemberId = NewType("MemberId", int)
PostId = NewType("PostId", int)
DeliveryId = NewType("DeliveryId", int)


@dataclass(frozen=True, slots=True)
class House:
    """What the server is to the world: its domain, its service's address, the largest copy."""

    domain: str
    public_url: str
    post_octets: int


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list as the store holds it.

    Attributes:
        id: Its row.
        state: The group after the head of its chain, with only the members that were asked for.
        secret: 32 octets that its Message-IDs are made with (spec §7).
    """

    id: ListId
    state: GroupState
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Half:
    """A recryption key r and what goes with it into a copy: the sealed part of an entry's row.

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


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as the store keeps it; `own_octets` is the length of its recryption in a copy."""

    half: Half
    own_octets: int


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
    """

    header: bytes = field(repr=False)
    line: bytes = field(repr=False)
    line_octets: int
    group_key: Udf
    epk: PublicKey
    notice: bool
    list_address: str
    accepted: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery that is under way: its attempt is counted already."""

    id: DeliveryId
    post: PostId
    member: MemberId
    attempts: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Final: the member is no longer ACTIVE, or has no entry for the post's key any more."""


@dataclass(frozen=True, slots=True)
class Untried:
    """Due as before: nothing was done, and the attempt that was counted doesn't count."""


@dataclass(frozen=True, slots=True)
class Faulted:
    """Try again when `due` has come: our own program failed. After three times it is held."""

    due: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be written about a claim; `words` are a peer's and may name an address."""

    id: DeliveryId
    post: PostId
    outcome: Outcome | Withdrawn | Untried | Faulted
    words: str = ""
