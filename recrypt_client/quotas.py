"""How often a member may have the service recrypt on a day: the Quotas of its entry (spec §4)."""

from collections.abc import Iterator, Sequence

from recrypt_client.administering import Directory, Outcome
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace, change_members
from recrypt_client.entries import Made
from recrypt_core.chain import GroupState
from recrypt_core.documents import Quota
from recrypt_core.messages import UpdateMember
from recrypt_core.udf import Udf


def bound(desk: Desk, who: Sequence[str], quota: Quota | None, pace: Pace) -> Outcome:
    """Give members, named by address or fingerprint, this quota and no other; None: none at all.

    Raises:
        Trouble: if one of them isn't a member, or the service doesn't take it.
    """
    quotas = () if quota is None else (quota.text,)
    named: dict[Udf, None] = {}

    def write(state: GroupState) -> Iterator[Made]:
        directory = Directory(state)
        found = [directory.find(one) for one in who]
        named.update({each.profile.identifier: None for each in found})
        for member in (state.members[udf] for udf in [*named]):
            if member.entry.quotas != quotas:
                yield Made(member.entry.limited(quotas), {})

    after, changed = change_members(desk, UpdateMember, write, pace)
    accounts = {udf: after.members[udf].account for udf in named}
    return Outcome(
        after,
        tuple(account for udf, account in accounts.items() if udf in changed),
        tuple(account for udf, account in accounts.items() if udf not in changed),
    )
