"""Changes in words, and the last ones that were seen of a group: what was lost, if any are.

Pure. A trail names members, so its file is sealed as private keys are (spec §8).
"""

from collections.abc import Iterable
from typing import Final

from recrypt_client import claims
from recrypt_client.pins import Pin
from recrypt_core import limits
from recrypt_core.chain import Change, GroupState
from recrypt_core.documents import Privilege, past_group_key
from recrypt_core.encoding import write_json
from recrypt_core.messages import AddMember, CreateGroup, UpdateGroup, UpdateMember
from recrypt_core.signing import Jws
from recrypt_core.wire import Document, Hash, to_json

STEPS: Final = 200  # that are remembered of a group; a restored back-up lacks fewer; ours
_OCTETS: Final = limits.DOCUMENT_OCTETS // 2  # of all steps; ours
_NAMED: Final = 20  # members of a change that a step names, the others are counted; ours


class Step(Document, frozen=True, kw_only=True):
    """A change that was seen, and what it did."""

    seq: int
    hash: Hash
    words: str


class Trail(Document, frozen=True, kw_only=True):
    """The last changes that were seen of a group, in their order.

    Attributes:
        steps: The changes.
        before: The pin that there was, while one of a restored history takes its place.
        had_newer_master: Whether the Master was newer then.
    """

    steps: tuple[Step, ...] = ()
    before: tuple[Pin, ...] = ()
    had_newer_master: bool = False


def step(before: GroupState | None, state: GroupState, change: Change) -> Step:
    """Put a change into words: the group before it, None before the first, and after it."""
    told = [f"{who} {status}" for who, status in members(state, change)]
    more = [f"and {len(told) - _NAMED} more"] if len(told) > _NAMED else []
    what = [change.message.transaction, *told[:_NAMED], *more, *parts(change)]
    issued = f"{change.request.issued:%Y-%m-%d %H:%M}"
    words = f"{issued}, {signer(before or state, change)}: {' '.join(what)}"
    return Step(seq=state.head.seq, hash=change.hash, words=words)


def longer(trail: Trail | None, steps: Iterable[Step]) -> Trail:
    """Give a trail with these steps, in place of what it had at their seq and after.

    The oldest go, so that it stays a document of a size that is read.
    """
    new = tuple(steps)
    old = () if trail is None else trail.steps
    kept = (each for each in old if not new or each.seq < new[0].seq)
    room, last = _OCTETS, list[Step]()
    for each in reversed((*kept, *new)[-STEPS:]):
        room -= len(write_json(to_json(each)))
        if room < 0:
            break
        last.insert(0, each)
    return Trail(steps=tuple(last))


def members(state: GroupState, change: Change) -> list[tuple[str, str]]:
    """Give the accounts that a change states, and the status of each."""
    message = change.message
    match message:
        case CreateGroup():
            entries = message.recryption_group.members
        case AddMember() | UpdateMember():
            entries = message.member_entry
        case _:
            entries = ()
    return [(state.members[each.recrypt_udf].account, each.status.value) for each in entries]


def parts(change: Change) -> list[str]:
    """Name what an UpdateGroup changed."""
    if not isinstance(change.message, UpdateGroup):
        return []
    group = change.message.recryption_group
    found = {
        "Master": group.master,
        "CurrentEncryptionKey": group.current_encryption_key,
        "AdministratorKeys": group.administrator_keys,
        "Policy": group.policy,
    }
    closed = [] if group.current_encryption_key is None else _closed(group.current_encryption_key)
    return [*(name for name, part in found.items() if part is not None), *closed]


def _closed(key: Jws) -> list[str]:
    return [] if past_group_key(key).document.closed is None else ["Closed"]


def signer(before: GroupState, change: Change) -> str:
    """Name who signed: the group itself, and with which key, or a member by address.

    A profile may list any public key, so only holders with rights are named; where there are
    several, the key stands beside them (spec §5).

    Args:
        before: The group before the change; after it for the first, which no other can sign.
        change: What was signed.
    """
    kid = change.request.signer
    if before.master.signature_key(kid) is not None:
        kind = "master" if kid == before.identifier else "online"
        return f"{before.name} (its {kind} key)"
    holders = before.members.holders(kid)
    who = [each.account for each in holders if each.may(Privilege.ADMIN, Privilege.SUPER)]
    if len(who) == 1:
        return who[0]
    return f"{' or '.join(who) or 'nobody known'} (key {claims.short(kid)})"
