"""How often people ask to join, and how many wait: bounds that nobody learns of another by.

They count by mailbox, by who registered its domain, and by list, and each leaves the others room:
so neither one asker, nor one domain, nor one list closes the door to others (spec §6, Joining).
"""

from datetime import datetime
from typing import Final

from listserver.addresses import mailbox_of, parse_address, site_of
from listserver.limits import (
    INVITED_DAYS,
    JOIN_LETTERS,
    JOIN_LETTERS_PER_DOMAIN,
    JOIN_OCTETS,
    JOINS_PER_DOMAIN,
    JOINS_PER_LIST,
    JOINS_PER_SIGNER,
    JOINS_WAITING,
    JOINS_WAITING_PER_DOMAIN,
)
from listserver.model import Applicant, Join, JoinCount, StoredList
from listserver.store import Work
from recrypt_core.errors import Refused, Why

_TOMORROW: Final = "as often as allowed on a day: ask again tomorrow (UTC)"


async def check_often(
    work: Work, by: str, applicant: Applicant, found: StoredList, now: datetime
) -> None:
    """Refuse who asks too often, by key or by mail; these counts tell nothing about a mailbox.

    Until it is answered an ask is kept with its profile: so a large one counts as several.

    Raises:
        Refused: QUOTA, which undoes it: so no domain uses up what the list has for all.
    """
    if await work.count_join(JoinCount.SIGNER, by, now) > JOINS_PER_SIGNER:
        raise Refused(Why.QUOTA, f"you have asked {_TOMORROW}")
    of_list, site = found.state.identifier, site_of(parse_address(applicant.account))
    times = 1 + len(applicant.profile.signed.payload) // JOIN_OCTETS
    there = await work.count_join(JoinCount.LIST_AT, f"{of_list} {site}", now, times=times)
    in_all = await work.count_join(JoinCount.LIST, of_list, now, times=times)
    if there > JOINS_PER_DOMAIN or in_all > JOINS_PER_LIST:
        raise Refused(Why.QUOTA, f"people have asked to join this list {_TOMORROW}")


async def may_have_letter(work: Work, account: str, now: datetime) -> bool:
    """Count a letter, to a mailbox and its domain; to refuse one would tell that somebody waits."""
    address = parse_address(account)
    to_it = await work.count_join(JoinCount.ADDRESS, mailbox_of(address), now)
    there = await work.count_join(JoinCount.ADDRESS_AT, site_of(address), now)
    return to_it <= JOIN_LETTERS and there <= JOIN_LETTERS_PER_DOMAIN


async def note_invited(work: Work, found: StoredList, account: str, now: datetime) -> None:
    """Note that an administrator has an invitation mailed to an address."""
    await work.count_join(JoinCount.INVITED_TO, _invited(found, account), now)


async def check_may_wait(work: Work, join: Join, now: datetime) -> None:
    """Refuse where too many wait for this list, or of one domain; but nobody who was invited.

    Raises:
        Refused: QUOTA, in the same words for both.
    """
    account, at = join.applicant.account, join.list.id
    site = site_of(parse_address(account))
    is_full = (
        await work.waiting_joins(at, now) >= JOINS_WAITING,
        await work.waiting_joins(at, now, site=site) >= JOINS_WAITING_PER_DOMAIN,
    )
    what = _invited(join.list, account)
    invited = await work.counted(JoinCount.INVITED_TO, what, now, days=INVITED_DAYS)
    if any(is_full) and not invited:
        raise Refused(Why.QUOTA, "too many wait for this list: try again later")


def _invited(found: StoredList, account: str) -> str:
    return f"{found.state.identifier} {mailbox_of(parse_address(account))}"
