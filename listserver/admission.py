"""Whether a list takes a post: decided from the envelope and what the list is, purely (spec §7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from listserver import replies
from listserver.posts import PostHeaders
from listserver.replies import Reply
from recrypt_core import jose
from recrypt_core.authorship import sender_kid, verify_sender
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege
from recrypt_core.envelope import Envelope, Recipient
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import PublicKey
from recrypt_core.members import Member
from recrypt_core.policy import Policy, PostRight
from recrypt_core.signing import read_compact
from recrypt_core.udf import Udf


@dataclass(frozen=True, slots=True)
class Accept:
    """Take it: sealed to this key of the list, for this recipient of the envelope."""

    key: Udf
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Refuse:
    """Don't, and say this."""

    reply: Reply


class Standing(Enum):
    """What the `sender` of a post proves."""

    NOBODY = auto()
    """Nothing, or who isn't an ACTIVE member."""
    MEMBER = auto()
    ADMINISTRATOR = auto()
    BANNED = auto()
    """Who is or was a member, and is banned."""


class Way(Enum):
    """What becomes of a post."""

    TAKE = auto()
    HOLD = auto()
    REFUSE = auto()


_WAYS: Final[Mapping[PostRight, tuple[Way, Way, Way]]] = {  # nobody, a member, an administrator
    PostRight.ANYONE: (Way.TAKE, Way.TAKE, Way.TAKE),
    PostRight.MEMBERS: (Way.REFUSE, Way.TAKE, Way.TAKE),
    PostRight.MODERATED: (Way.HOLD, Way.HOLD, Way.TAKE),
    PostRight.ANNOUNCE: (Way.REFUSE, Way.REFUSE, Way.TAKE),
}
_PLACES: Final = {
    Standing.NOBODY: 0,
    Standing.BANNED: 0,
    Standing.MEMBER: 1,
    Standing.ADMINISTRATOR: 2,
}


def way_of(policy: Policy, standing: Standing) -> Way:
    """Decide by the Policy of a list what becomes of a post; who is banned is as nobody (spec §7).

    In an emergency what would be taken is held, whoever sent it.
    """
    way = _WAYS[policy.post][_PLACES[standing]]
    return Way.HOLD if policy.hold and way is Way.TAKE else way


def asks_for_sender(policy: Policy) -> bool:
    """Tell whether it makes a difference to a list, or to its moderators, who sent a post."""
    is_counted = policy.posts_per_day is not None
    return policy.post is not PostRight.ANYONE or policy.hold or bool(policy.banned) or is_counted


def signer_of(envelope: Envelope) -> Udf | None:
    """Read which key says to have signed the post for the gateway, if any does."""
    if envelope.sender is None:
        return None
    try:
        return sender_kid(envelope.sender)
    except Malformed:
        return None


def decide(
    envelope: Envelope, headers: PostHeaders, state: GroupState, *, service: str
) -> Accept | Refuse:
    """Find the list's one recipient in an envelope, or say why the list can't take it.

    Whether the key may still be used, and who sends it, is decided elsewhere.
    """
    list_id = state.name.replace("@", ".").lower()
    if list_id in headers.list_ids:
        return Refuse(replies.LOOP)
    ours = [(each, key) for each in envelope.recipients if (key := _key_of(state, each))]
    if not ours:
        reason = "It is not encrypted to a key of this list."
        return Refuse(replies.not_encrypted(reason, state.name, service))
    if len(ours) > 1:
        return Refuse(replies.malformed_post("It is encrypted to two keys of this list."))
    recipient, key = ours[0]
    if key.curve is not recipient.epk.curve:
        return Refuse(replies.malformed_post("Its epk is of another curve than the list's key."))
    most = state.policy.post_kib
    if most is not None and len(envelope.ciphertext) > most * 1024:
        return Refuse(replies.post_too_large(most))
    return Accept(key.udf, recipient)


def standing_of(
    envelope: Envelope, state: GroupState, member: Member | None, *, now: datetime
) -> Standing:
    """Tell what the `sender` in this post proves; `member` is as for `is_proven`."""
    if not is_proven(envelope, state, member, now=now) or member is None:
        return Standing.NOBODY
    if member.profile.identifier in state.policy.banned:
        return Standing.BANNED
    if member.may(Privilege.ADMIN, Privilege.SUPER):
        return Standing.ADMINISTRATOR
    return Standing.MEMBER if member.is_active else Standing.NOBODY


def may_post(
    envelope: Envelope, state: GroupState, member: Member | None, *, now: datetime
) -> bool:
    """Tell whether the `sender` in this post proves an ACTIVE member (spec §7)."""
    is_member = is_proven(envelope, state, member, now=now)
    return is_member and member is not None and member.is_active


def is_proven(
    envelope: Envelope, state: GroupState, member: Member | None, *, now: datetime
) -> bool:
    """Tell whether the `sender` in this post is a member's, of whatever status.

    It takes as long for a stranger's as for a member's that is bad.

    Args:
        envelope: The post's.
        state: The list.
        member: Who has the signature key that `signer_of` read; None if nobody does.
        now: The time.
    """
    kid = signer_of(envelope)
    if envelope.sender is None or kid is None:
        return False
    cid = envelope.content_id
    key = None if member is None else member.profile.signature_key(kid)
    try:
        if key is None:
            verify_strangers(envelope.sender, state)
            return False
        verify_sender(envelope.sender, key, list_name=state.name, cid=cid, now=now)
    except (Malformed, NotAuthentic):
        return False
    return True


def verify_strangers(text: str, state: GroupState) -> None:
    """Verify what a stranger signed, with any key: else the time would tell who is a member.

    Raises:
        Malformed, NotAuthentic: which tells nothing.
    """
    decoy, signed = state.master.profile.master_signature_key, read_compact(text)
    jose.verify(decoy, signed.protected, signed.payload, signed.signature)


def _key_of(state: GroupState, recipient: Recipient) -> PublicKey | None:
    return None if recipient.kid is None else state.public_key(Udf(recipient.kid))
