"""Bounces: what comes back is scored per member, and a probe that comes back turns mail off.

Whoever has a copy has its return path, so a report is no proof: at worst a member can turn off its
own mail. Nothing is ever sent on or answered (spec §7).
"""

import asyncio
from collections.abc import Callable
from typing import Final, assert_never

from listserver import replies
from listserver.addresses import ListAddress
from listserver.bounces import Weight, read_report
from listserver.limits import PROBED_SHARE
from listserver.model import House
from listserver.ports import Clock, Log
from listserver.replies import Reply
from listserver.store import Store, Work
from listserver.tokens import DeliveryToken, ProbeToken, Token, read_token
from listserver.vault import Vault
from recrypt_core.documents import MemberEntry
from recrypt_core.errors import Malformed
from recrypt_core.udf import Udf

QUARTERS: Final = {Weight.NOTHING: 0, Weight.SOFT: 1, Weight.HARD: 4}  # of a point, spec §7


class Bouncing:
    """Reads reports."""

    def __init__(self, house: House, store: Store, vault: Vault, clock: Clock, log: Log) -> None:
        self._house = house
        self._store = store
        self._vault = vault
        self._clock = clock
        self._log = log
        self.on_trouble: Callable[[], None] = lambda: None
        """Called when there may be something to probe for, or to tell."""

    async def receive(self, raw: bytes, to: ListAddress) -> Reply:
        """Take a report and score it; what isn't one, or has no token of ours, is discarded."""
        try:
            token = read_token(self._vault, to.token or "")
        except Malformed:
            self._log.event("bounce-discarded")
            return replies.ACCEPTED
        verdict = await asyncio.to_thread(read_report, raw)
        async with self._store.begin() as work:
            counted = await self._score(work, token, QUARTERS[verdict.weight], to)
        if counted:
            self.on_trouble()
        self._log.event("bounce", weight=verdict.weight.name.lower(), counted=int(counted))
        return replies.ACCEPTED

    async def _score(self, work: Work, token: Token, quarters: int, to: ListAddress) -> bool:
        now = self._clock.now()
        found = await work.find_list(to.list)
        if found is None or not quarters:
            return False
        match token:
            case ProbeToken(sent, member):
                return await work.probe_bounced(found.id, member, sent, now)
            case DeliveryToken(post, member):
                known = await work.delivery_known(found.id, post, member, now)
                if known:
                    await work.bounced(member, quarters, now)
                return known
            case _:
                assert_never(token)


def doubted_at_once(members: int) -> int:
    """Tell how many of a list's members may be probed, or turned off of late, at once (spec §7).

    A host in trouble can make all look alike: so people have heard of it before many are off.
    """
    return max(1, members // PROBED_SHARE)


def turns_mail_on(before: MemberEntry, after: MemberEntry, current: Udf) -> bool:
    """Tell whether an UpdateMember turns the member's mail on again (spec §6).

    It does if the address, the profile or the status is another, if it restates all as it is, as
    `recrypt resume` does, or has a new Entry for the current key. A rekey does neither: it makes
    Entries for the next key and ends those of past ones, of all members alike. Nor does what is
    about rights alone.

    current: the UDF of the group's key as it is now.
    """
    if (before.account_name, before.status) != (after.account_name, after.status):
        return True
    if before.profile != after.profile:
        return True
    had = {each.member_key_udf for each in before.entries}
    has = {each.member_key_udf: each.encryption_key_udf for each in after.entries}
    if has.keys() == had:
        return (before.privileges, before.quotas) == (after.privileges, after.quotas)
    return any(group_key == current for own, group_key in has.items() if own not in had)
