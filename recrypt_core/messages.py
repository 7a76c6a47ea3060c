"""Requests and responses of the service, with their members (spec §6, D§5, D§6)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final, TypeAlias, TypeVar, get_args

import msgspec

from recrypt_core import limits
from recrypt_core.agreement import Split
from recrypt_core.documents import (
    Account,
    Head,
    MemberEntry,
    Number,
    RecryptionGroup,
    UserDecryptionEntry,
)
from recrypt_core.encoding import JsonObject, JsonValue, read_json, write_json
from recrypt_core.errors import Malformed
from recrypt_core.invitations import Invite
from recrypt_core.moderation import Decide, GetHeld, HeldPost
from recrypt_core.records import (
    AuditEntry,
    B64url,
    GroupId,
    JoinRequest,
    MergedRecipient,
    PageSize,
    ServiceLimits,
    Version,
)
from recrypt_core.signing import Jws
from recrypt_core.wire import Document, Hash, SealedKey, UdfText, check_utc, from_json, to_json
from recrypt_core.wishes import SetMail

_DONE: Final = 201  # the drafts' figure, also for reads (spec §6)

ANY: Final = "Recrypt"
"""The transaction's name in an answer to what wasn't understood (D§5.2.1)."""


class Hello(Document, frozen=True):
    """Ask for versions, algorithms, encodings and limits."""

    transaction: ClassVar[str] = "Hello"


class GetKey(Document, frozen=True, kw_only=True):
    """Ask for a group's signed key."""

    transaction: ClassVar[str] = "GetKey"
    group_id: GroupId


class CreateGroup(Document, frozen=True, kw_only=True):
    """Register a group."""

    transaction: ClassVar[str] = "CreateGroup"
    recryption_group: RecryptionGroup
    authorization: Jws


class UpdateGroup(Document, frozen=True, kw_only=True):
    """Change a group but for its members."""

    transaction: ClassVar[str] = "UpdateGroup"
    recryption_group: RecryptionGroup


class GetGroup(Document, frozen=True, kw_only=True):
    """Ask for a group, its members in pages after a RecryptUDF; beside: for no entries of them."""

    transaction: ClassVar[str] = "GetGroup"
    group_id: GroupId
    after: UdfText | None = None
    limit: PageSize = 100
    beside: bool = False


class GetChanges(Document, frozen=True, kw_only=True):
    """Ask for a group's chain, in pages after a seq."""

    transaction: ClassVar[str] = "GetChanges"
    group_id: GroupId
    after: Number = 0
    limit: PageSize = 100


class AddMember(Document, frozen=True, kw_only=True):
    """Add members to the group of this Identifier."""

    transaction: ClassVar[str] = "AddMember"
    recryption_group: UdfText
    member_entry: tuple[MemberEntry, ...]


class UpdateMember(Document, frozen=True, kw_only=True):
    """Replace whole entries of members of the group of this Identifier."""

    transaction: ClassVar[str] = "UpdateMember"
    recryption_group: UdfText
    member_entry: tuple[MemberEntry, ...]


class Redeliver(Document, frozen=True, kw_only=True):
    """Ask that a member be sent what a group had since then; no change of its chain."""

    transaction: ClassVar[str] = "Redeliver"
    group_id: GroupId
    recrypt_udf: UdfText
    since: datetime

    def __post_init__(self) -> None:
        check_utc(self.since)


class GetEntry(Document, frozen=True, kw_only=True):
    """Ask for one's own entries in a group, as the member with the profile MemberUDF."""

    transaction: ClassVar[str] = "GetEntry"
    group_id: GroupId
    member_udf: UdfText | None = None


class RecryptData(Document, frozen=True, kw_only=True):
    """Ask for the partial of an envelope for one's own entry; Encrypted: as EncryptedPartial."""

    transaction: ClassVar[str] = "RecryptData"
    member_udf: UdfText
    member_key_udf: UdfText = msgspec.field(name="MemberKeyUDF")
    group_key_id: UdfText = msgspec.field(name="GroupKeyID")
    recipient: MergedRecipient
    encrypted: bool = False

    def __post_init__(self) -> None:
        if self.recipient.header.kid != self.group_key_id:
            raise ValueError("a Recipient whose kid isn't GroupKeyID")


class GetAudit(Document, frozen=True, kw_only=True):
    """Ask what RecryptData was asked of a group's entries, in pages after a Seq."""

    transaction: ClassVar[str] = "GetAudit"
    group_id: GroupId
    after: Number = 0
    limit: PageSize = 100


class UpdateProfile(Document, frozen=True, kw_only=True):
    """Give the service the newer form of one's own profile."""

    transaction: ClassVar[str] = "UpdateProfile"
    profile: Jws


class JoinGroup(Document, frozen=True, kw_only=True):
    """Ask to be a member of a group, with one of one's Accounts; Invitation: the proof of one."""

    transaction: ClassVar[str] = "JoinGroup"
    group_name: Account
    account_name: Account
    profile: Jws
    invitation: Hash | None = None


class ConfirmJoin(Document, frozen=True, kw_only=True):
    """Answer with the token that came to the address; the Answer is signed, not the request."""

    transaction: ClassVar[str] = "ConfirmJoin"
    answer: Jws


class GetJoinRequests(Document, frozen=True, kw_only=True):
    """Ask who waits for a decision, in pages after a RecryptUDF."""

    transaction: ClassVar[str] = "GetJoinRequests"
    group_id: GroupId
    after: UdfText | None = None


class DenyJoin(Document, frozen=True, kw_only=True):
    """Decline one who waits."""

    transaction: ClassVar[str] = "DenyJoin"
    group_id: GroupId
    recrypt_udf: UdfText


Change: TypeAlias = CreateGroup | UpdateGroup | AddMember | UpdateMember
"""A request that changes a group."""

Request: TypeAlias = (
    Hello
    | GetKey
    | Change
    | GetGroup
    | GetChanges
    | Redeliver
    | GetEntry
    | RecryptData
    | GetAudit
    | UpdateProfile
    | SetMail
    | JoinGroup
    | ConfirmJoin
    | GetJoinRequests
    | DenyJoin
    | Invite
    | GetHeld
    | Decide
)
_REQUESTS: Final[tuple[type[Request], ...]] = get_args(Request)


class Response(Document, frozen=True, kw_only=True):
    """What every response has; the payload's Status is authoritative (D§5.2)."""

    status: int = _DONE
    status_description: str = "Operation completed successfully"


class HelloResponse(Response, frozen=True, kw_only=True):
    """What a service is."""

    version: Version
    algorithms: tuple[str, ...]
    encodings: tuple[str, ...]
    limits: ServiceLimits


class GetKeyResponse(Response, frozen=True, kw_only=True):
    """A group's signed key, and the Master whose online key signed it."""

    signed_key: Jws
    master: Jws


class ChangeResponse(Response, frozen=True, kw_only=True):
    """The head of the chain after a change."""

    head: Head


class GetGroupResponse(Response, frozen=True, kw_only=True):
    """A group with a page of its members, where the next begins, and the chain's head.

    Undeliverable: mail is off; Left: and isn't REVOKED yet; Stopped: since when, by the operator.
    """

    recryption_group: RecryptionGroup
    next: str | None = None
    head: Head
    undeliverable: tuple[UdfText, ...] = ()
    left: tuple[UdfText, ...] = ()
    newer_profiles: tuple[Jws, ...] = ()
    stopped: datetime | None = None


class GetChangesResponse(Response, frozen=True, kw_only=True):
    """A page of a group's chain, and the chain's head."""

    changes: tuple[Jws, ...]
    head: Head


class RedeliverResponse(Response, frozen=True, kw_only=True):
    """How many posts the member will be sent."""

    posts: Number


class GetEntryResponse(Response, frozen=True, kw_only=True):
    """A member's own entries, without r."""

    entries: tuple[UserDecryptionEntry, ...]


class RecryptDataResponse(Response, frozen=True, kw_only=True):
    """The partial, or a JWE of its octets to the member's EncryptionKeys; and the wrapped x."""

    partial: B64url | None = None
    encrypted_partial: SealedKey | None = None
    split: Split
    decryption_key: SealedKey


class GetAuditResponse(Response, frozen=True, kw_only=True):
    """A page of the audit log, the oldest first, and the After of the next one."""

    entries: tuple[AuditEntry, ...]
    next: Number | None = None


class GetJoinRequestsResponse(Response, frozen=True, kw_only=True):
    """Who waits, and where the next page begins."""

    join_requests: tuple[JoinRequest, ...]
    next: UdfText | None = None


class GetHeldResponse(Response, frozen=True, kw_only=True):
    """Which posts wait, the oldest first, and the After of the next page."""

    held: tuple[HeldPost, ...]
    next: Number | None = None


R = TypeVar("R", bound=Response)


@dataclass(frozen=True, slots=True)
class UnreadRequest:
    """A request by its name, its members not yet read: so a refusal can go under that name."""

    kind: type[Request]
    members: JsonValue = field(repr=False)

    @property
    def transaction(self) -> str:
        """The name of its transaction."""
        return self.kind.transaction

    @property
    def group_id(self) -> str | None:
        """Which group it says to be about, if it does: its GroupName or its Identifier."""
        members = self.members if isinstance(self.members, dict) else {}
        group = members.get("GroupID", members.get("RecryptionGroup"))
        name = group.get("GroupName") if isinstance(group, dict) else group
        return name if isinstance(name, str) else None

    def read(self) -> Request:
        """Read its members.

        Raises:
            Malformed: if they break its format.
        """
        if not isinstance(self.members, dict):
            raise Malformed(f"{self.transaction} is not an object")
        return from_json(self.kind, self.members)


def open_message(octets: bytes) -> UnreadRequest:
    """Read which request it is: named by its message, XRequest, or its transaction, X (spec §6).

    Raises:
        TooLarge: if it is over 8 MiB.
        Malformed: if it is no request that is known.
    """
    wrapper = read_json(octets, limit=limits.REQUEST_OCTETS)
    if len(wrapper) != 1:
        raise Malformed("a request that is not one object with one member")
    ((name, members),) = wrapper.items()
    for kind in _REQUESTS:
        if name in (kind.transaction, f"{kind.transaction}Request"):
            return UnreadRequest(kind, members)
    raise Malformed("a request of an unknown name")


def read_message(octets: bytes) -> Request:
    """Read a request.

    Raises:
        TooLarge: if it is over 8 MiB.
        Malformed: if it is no request that is known, or breaks its format.
    """
    return open_message(octets).read()


def write_message(request: Request) -> bytes:
    """Write a request under the name of its message."""
    return write_json({f"{request.transaction}Request": to_json(request)})


def write_response(transaction: str, response: Response) -> bytes:
    """Write a response under the name of its message."""
    return write_json({f"{transaction}Response": to_json(response)})


def read_response(octets: bytes, transaction: str, kind: type[R], *, limit: int) -> R | Response:
    """Read a response: of the kind that was asked for, or one that only states a refusal.

    A refusal may come as a RecryptResponse, from who didn't read as far as the name (D§5.2.1).

    Raises:
        Malformed: if it is neither.
    """
    answer = read_json(octets, limit=limit)
    if isinstance(members := answer.get(f"{transaction}Response"), dict):
        stated = from_json(Response, members)
        return from_json(kind, members) if stated.status == _DONE else stated
    return _refusal(answer, transaction)


def _refusal(answer: JsonObject, transaction: str) -> Response:
    members = answer.get(f"{ANY}Response")
    stated = from_json(Response, members) if isinstance(members, dict) else Response()
    if stated.status == _DONE:
        raise Malformed(f"an answer that is no {transaction}Response")
    return stated
