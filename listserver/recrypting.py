"""RecryptData: the partial of an envelope for a member's own entry, counted and logged (spec §6).

Who is no member, who asks about another's entry and who asks about one that has ended hear the
same words, after the same work: X stands in every copy, and tells nobody whose it is.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from listserver.limits import AUDIT_REFUSALS
from listserver.model import Asked, HeldEntry, House
from listserver.signers import is_signed, take_fresh
from listserver.stopping import check_goes_on
from listserver.store import Store, Work
from recrypt_core import messages
from recrypt_core.agreement import partial
from recrypt_core.documents import Privilege, read_quota
from recrypt_core.encoding import write_b64url, write_time
from recrypt_core.errors import Malformed, Refused, Why
from recrypt_core.records import AuditResult
from recrypt_core.sealing import seal
from recrypt_core.signing import SignedRequest
from recrypt_core.wire import SealedKey

UNKNOWN: Final = "there is no such entry of yours here: ask the group's administrator for one"
_NOT_SERVED: Final = "only an ACTIVE member with RECRYPT may ask: ask the group's administrator"
_NOT_OPEN: Final = (
    "the group's Policy (history) doesn't let its past be read: ask its administrator"
)
_RESULTS: Final[Mapping[Why, AuditResult]] = {
    Why.FORBIDDEN: AuditResult.REFUSED,
    Why.QUOTA: AuditResult.QUOTA,
}


class Recrypting:
    """Answers RecryptData."""

    def __init__(self, house: House, store: Store) -> None:
        self._house = house
        self._store = store

    async def recrypt(
        self, request: SignedRequest, message: messages.RecryptData, now: datetime
    ) -> messages.RecryptDataResponse:
        """Compute the partial for a member, if it may have it.

        What is answered, or refused to a member, is in the log before it is told.

        Raises:
            Malformed: for an epk of another curve than the entry's.
            NotAuthentic: for what is stale or replayed.
            Refused: UNKNOWN for anyone who doesn't hold the entry; FORBIDDEN for who does but
                isn't served, or asks about a past key that isn't to be read; QUOTA; STOPPED while
                the operator has stopped the list.
        """
        async with self._store.begin() as work:
            held = await _find(work, request, message)
            await take_fresh(work, request, self._house.public_url, now)
            await check_goes_on(work, held.list)
            if message.recipient.header.epk.curve is not held.half.recryption.curve:
                raise Malformed("an epk of another curve than the group's key")
            if message.encrypted and not held.member.profile.profile.encryption_keys:
                raise Malformed("your profile has no EncryptionKeys to seal a partial to")
            refusal = _forbidden(held) or await self._over_quota(work, held, now)
            await _log(work, held, message, refusal, now)
        if refusal is not None:
            raise refusal
        if message.encrypted:
            return await asyncio.to_thread(_answer, held, message)
        return _answer(held, message)  # one exchange: a thread would take longer

    async def _over_quota(self, work: Work, held: HeldEntry, now: datetime) -> Refused | None:
        """Refuse who has asked as often as a member may on one day, or all members together."""
        stored, house = held.list, self._house
        own = [read_quota(each).recryptions_per_day for each in held.member.entry.quotas]
        policy = stored.state.policy.recrypt_per_day
        group = [] if policy is None else [policy]
        for who, member, bound in (
            ("you have asked", held.id, min([house.recryptions_per_member, *own])),
            ("the group's members have asked", None, min([house.recryptions_per_group, *group])),
        ):
            if (await work.recryptions(stored.id, member, now)).done >= bound:
                words = f"{who} as often as allowed on a day: ask again from {_opens(now)} on"
                return Refused(Why.QUOTA, words)
        return None


async def _find(work: Work, request: SignedRequest, message: messages.RecryptData) -> HeldEntry:
    """Find the entry that a request is about, if it is the signer's own."""
    held = await work.entry_by_half(message.member_key_udf)
    if held is not None:
        key = held.member.profile.signature_key(request.signer)
        # A stranger's is verified too, with any key, and so if the entry is another one.
        decoy = held.member.profile.profile.master_signature_key
        signed = is_signed(request, key or decoy) and key is not None
        stated = (message.member_udf, message.member_key_udf, message.group_key_id)
        found = (held.member.profile.identifier, held.half.member_key, held.half.group_key)
        if signed and stated == found:
            return held
    raise Refused(Why.UNKNOWN, UNKNOWN)


def _forbidden(held: HeldEntry) -> Refused | None:
    if not held.member.may(Privilege.RECRYPT):
        return Refused(Why.FORBIDDEN, _NOT_SERVED)
    if not held.list.state.serves(held.half.group_key):
        return Refused(Why.FORBIDDEN, _NOT_OPEN)
    return None


async def _log(
    work: Work,
    held: HeldEntry,
    message: messages.RecryptData,
    refusal: Refused | None,
    now: datetime,
) -> None:
    """Write a row; of refusals only a member's first ones of a day, as they cost nothing."""
    if refusal is not None:
        count = await work.recryptions(held.list.id, held.id, now)
        if count.refused >= AUDIT_REFUSALS:
            return
    asked = Asked(
        member=held.member.profile.identifier,
        half=held.half.member_key,
        epk=message.recipient.header.epk.udf,
        result=AuditResult.DONE if refusal is None else _RESULTS[refusal.why],
        time=now,
    )
    await work.audit(held.list.id, held.id, asked)


def _answer(held: HeldEntry, message: messages.RecryptData) -> messages.RecryptDataResponse:
    half = held.half
    part = partial(half.recryption, message.recipient.header.epk)
    entries = held.member.entry.entries
    (entry,) = [each for each in entries if each.member_key_udf == half.member_key]
    keys = held.member.profile.profile.encryption_keys
    encrypted = SealedKey(seal(part, keys, named=False)) if message.encrypted else None
    return messages.RecryptDataResponse(
        partial=None if message.encrypted else write_b64url(part),
        encrypted_partial=encrypted,
        split=entry.split,
        decryption_key=entry.decryption_key,
    )


def _opens(now: datetime) -> str:
    """Tell when the next day begins, in UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return write_time(today + timedelta(days=1))
