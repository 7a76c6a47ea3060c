"""Whether a list takes a post: decided from the envelope and what the list is, purely (spec §7)."""

from dataclasses import dataclass
from datetime import datetime

from listserver import replies
from listserver.posts import PostHeaders
from listserver.replies import Reply
from recrypt_core.authorship import sender_kid, verify_sender
from recrypt_core.chain import GroupState, Member
from recrypt_core.documents import PostRight
from recrypt_core.envelope import Envelope, Recipient
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import PublicKey
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
    if envelope.recryption is not None or list_id in headers.list_ids:
        return Refuse(replies.LOOP)
    ours = [each for each in envelope.recipients if _key_of(state, each) is not None]
    if not ours:
        reason = "It is not encrypted to a key of this list."
        return Refuse(replies.not_encrypted(reason, state.name, service))
    if len(ours) > 1:
        return Refuse(replies.malformed_post("It is encrypted to two keys of this list."))
    recipient = ours[0]
    key = _key_of(state, recipient)
    if key is None or key.curve is not recipient.epk.curve:
        return Refuse(replies.malformed_post("Its epk is of another curve than the list's key."))
    return Accept(key.udf, recipient)


def may_post(
    envelope: Envelope, state: GroupState, member: Member | None, *, now: datetime
) -> bool:
    """Tell whether this post may go out: by the list's Policy and the `sender` in it (spec §7).

    Args:
        envelope: The post's.
        state: The list.
        member: Who has the signature key that `signer_of` read; None if nobody does.
        now: The time.
    """
    if state.policy.post is PostRight.ANYONE:
        return True
    kid = signer_of(envelope)
    if member is None or not member.is_active or envelope.sender is None or kid is None:
        return False
    key = member.profile.signature_key(kid)
    if key is None:
        return False
    try:
        verify_sender(envelope.sender, key, list_name=state.name, cid=envelope.content_id, now=now)
    except (Malformed, NotAuthentic):
        return False
    return True


def _key_of(state: GroupState, recipient: Recipient) -> PublicKey | None:
    return None if recipient.kid is None else state.public_key(Udf(recipient.kid))
