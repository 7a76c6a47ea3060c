"""`recrypt rekey`, `set`, `refresh`, `verify`: a group is kept in order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import click

from recrypt_client import (
    chains,
    changing,
    claims,
    custody,
    debts,
    deciding,
    escrows,
    leaving,
    policies,
    refreshing,
    rekeying,
    removing,
    verifying,
)
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.commands import restored
from recrypt_client.commands.frame import Command, GroupName, Tools, tools
from recrypt_client.debts import Owed
from recrypt_client.errors import Trouble
from recrypt_client.refreshing import NOTHING, Beside
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, RecryptionGroup, VerifiedProfile
from recrypt_core.encoding import JsonObject
from recrypt_core.policy import Policy


@click.command(cls=Command, epilog="Example: recrypt rekey team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def rekey(context: click.Context, group: str) -> None:
    """Give GROUP a new key: who was removed can't read what is encrypted to it.

    So it ends what removed administrators and their lost devices still have, as far as you may.
    If it is cut off, give the same command again: it goes on where it was.
    """
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        owed = _owed_after(using, desk, debts.owed(desk, now=using.now()))
        state, owed = _other_master(using, desk, owed)
        state = _rekeyed(using, desk, state)
    left = [*replace(owed, group_key=()).words()]
    key = state.key.document
    using.terminal.answer(
        {
            "GroupName": group,
            "Generation": key.generation,
            "KeyUDF": state.key.udf,
            "LeftToDo": [*left],
            "Head": _head(state),
        },
        f"{group} has a new key, generation {key.generation}: {state.key.udf}",
    )
    tell_left(using, left)


@click.command(
    "set", cls=Command, epilog="Example: recrypt set team@lists.example post=members keep=30"
)
@click.argument("group", type=GroupName())
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def set_policy(context: click.Context, group: str, settings: Sequence[str]) -> None:
    """Change the rules of GROUP; without KEY=VALUE, show them.

    `post`, `reply_to`, `from`, `notice`, `past_keys`, `history`, `keep`, `recrypt_per_day`,
    `hold`, `hold_days`, `banned`, `posts_per_day`, `list_posts_per_day`, `post_kib`, `subject`,
    `welcome`, `language`.
    """
    using = tools(context)
    policies.changed(Policy(), settings)  # what can't be is refused before anything is asked
    with using.alone(), using.desk(group) as desk:
        before = chains.current(desk, now=using.now())
        after = changing.update_group(
            desk, before, lambda state: _with_policy(state, settings), Pace(using.now)
        )
        after = using.tend(desk, after)
    differences = policies.differences(before.policy, after.policy)
    words = [f"{each.key}: {each.before} -> {each.after}" for each in differences]
    if not settings:
        words = [f"{key}={value}" for key, value in policies.shown(after.policy).items()]
    using.terminal.answer(
        {
            "GroupName": group,
            "Policy": policies.stated_as_json(after.policy),
            "Changed": [each.key for each in differences],
            "Head": _head(after),
        },
        *(words or [f"The rules of {group} were so already"]),
    )


@click.command(cls=Command, epilog="Example: recrypt refresh team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def refresh(context: click.Context, group: str) -> None:
    """Take newer profiles and addresses of members of GROUP in; who has left is removed.

    A lost device's entries end. It also seals the group's keys to its administrators anew, if that
    is due.
    """
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        before = debts.owed(desk, now=using.now())
        queue = deciding.waiting(desk, now=using.now())
        asking = {each.profile.identifier for each in queue.waiting}  # who asks to come back
        ended = leaving.revoke_left(desk, before.state, Pace(using.now), but=asking)
        moved = deciding.moved(desk, ended.outcome.state, queue, now=using.now())
        done = refreshing.refresh(
            desk,
            ended.outcome.state,
            Pace(using.now),
            beside=Beside(
                profiles=[each.profile for each in moved],
                accounts={each.profile.identifier: each.account for each in moved},
            ),
        )
        state = using.tend(desk, custody.share(desk, done.outcome.state, Pace(using.now)))
        is_same = state.head == before.state.head
        left = [*(before if is_same else debts.owed(desk, now=using.now())).words()]
    using.terminal.answer(
        {
            "GroupName": group,
            "Changed": [*done.outcome.changed],
            "Waiting": [*done.waiting],
            "Left": [*ended.outcome.changed],
            "LeftToDo": [*left],
            "Head": _head(state),
        },
        *(f"{who} has left, and is REVOKED now" for who in ended.outcome.changed),
        *(f"{who} has a newer profile, and entries for it" for who in done.outcome.changed),
        *done.waiting,
        *([] if done.outcome.changed or done.waiting else ["No newer profile waits"]),
    )
    for who in ended.powerful:
        using.terminal.alarm(
            f"{who} has left, as the service says, and administers {group}: ask, then "
            f"recrypt delete {group} {who}"
        )
    tell_left(using, left)


@click.command(cls=Command, epilog="Example: recrypt verify team@lists.example")
@click.argument("group", type=GroupName())
@restored.options
@click.pass_context
def verify(context: click.Context, group: str) -> None:
    """Check everything about GROUP anew; exit status 1 if anything is wrong.

    With --accept-restored what was seen of its history and isn't shown any more is forgotten, after
    a yes. Only you can know that the service doesn't lie: ask its operator by another way.
    """
    using = tools(context)
    if restored.is_wanted(context):
        restored.accept(context, group, lambda: _alone_at(using, group))
    with using.alone(), using.desk(group) as desk:
        report = verifying.verify(desk, now=using.now())
    head = report.head
    value: JsonObject = {
        "GroupName": group,
        "Checks": [
            {"Check": each.what, "Result": each.result.value, "Words": each.words}
            for each in report.lines
        ],
        "Head": None if head is None else {"seq": head.seq, "hash": head.hash},
    }
    rows = [(each.result.value, each.what, each.words) for each in report.lines]
    using.terminal.rows(value, ("RESULT", "CHECK", "WHAT WAS FOUND"), rows)
    if report.is_wrong:
        context.exit(1)


@contextmanager
def _alone_at(using: Tools, group: str) -> Iterator[Desk]:
    with using.alone(), using.desk(group) as desk:
        yield desk


def refreshed(
    using: Tools, desk: Desk, state: GroupState, *, beside: Beside = NOTHING
) -> GroupState:
    """Take in the newer profiles of members, on the way; and what is known beside them."""
    done = refreshing.refresh(desk, state, Pace(using.now), beside=beside)
    for who in done.outcome.changed:
        using.terminal.note(f"{who} has a newer profile: the entries were made anew for it.")
    for why in done.waiting:
        using.terminal.note(f"{why}.")
    for who in done.lost:
        using.terminal.alarm(
            f"{who} administers {state.name}, and a device that is gone had its private keys: "
            f"recrypt rekey {state.name} gives it other ones"
        )
    _tell_shared(using, done.outcome.state, beside.profiles)
    return done.outcome.state


def _tell_shared(using: Tools, state: GroupState, people: Sequence[VerifiedProfile]) -> None:
    """Tell which keys of these people stand in profiles of others too, who aren't served now."""
    listed = {udf for each in people for udf in claims.keys_of(each)}
    if not listed:
        return
    owners = escrows.owners(using.home, state.name)
    found = claims.shared(state, owners, past=state.members)
    for words in (claims.told(udf, whose) for udf, whose in found.items() if udf in listed):
        using.terminal.alarm(words)


def settle(using: Tools, desk: Desk, owed: Owed) -> tuple[GroupState, list[str]]:
    """Do what is owed since an administrator was removed; tell in words what is left to do."""
    name = owed.state.name
    if not owed.state.may(desk.key.public.udf, Privilege.ADMIN, Privilege.SUPER):
        own = f"you administer {name} no more, and your home has its keys: another one has to go on"
        return owed.state, [own, *owed.words()]
    state, owed = _other_master(using, desk, owed)
    if not owed.group_key:
        return state, [*owed.words()]
    try:
        state = _rekeyed(using, desk, state)
    except Trouble as trouble:
        using.terminal.note(f"recrypt rekey {name} failed here: {trouble}")
        return state, [*owed.words()]
    using.terminal.note(f"{name} has a new key, generation {state.key.document.generation}.")
    return state, [*replace(owed, group_key=()).words()]


def tell_left(using: Tools, left: Sequence[str]) -> None:
    """Tell what is left to do, so that it isn't missed."""
    for words in left:
        using.terminal.alarm(f"Left to do: {words}")


def _owed_after(using: Tools, desk: Desk, owed: Owed) -> Owed:
    """Take newer profiles in; with them a device may be lost that had the group's keys."""
    state = refreshed(using, desk, owed.state)
    return owed if state.head == owed.state.head else debts.owed(desk, now=using.now())


def _other_master(using: Tools, desk: Desk, owed: Owed) -> tuple[GroupState, Owed]:
    """Give the group another online key, and only its own escrow keys, if that is owed and can be.

    The next group key counts only if nobody else could have made it: so this comes first.
    """
    state, name = owed.state, owed.state.name
    is_owed = owed.online or owed.escrow
    if not is_owed or not removing.can_replace_master(desk, state):
        return state, owed
    state = removing.replace_master(desk, state, Pace(using.now), without=owed.escrow)
    using.terminal.note(f"{name} is signed for by another online key now.")
    for who in owed.escrow.values():
        using.terminal.note(f"{name} has the escrow key of {who} no more.")
    if not state.master.profile.master_escrow_keys and owed.escrow:
        using.terminal.alarm(
            f"{name} has no escrow keys now: name others with recrypt escrow {name} PROFILE.json"
        )
    return state, replace(owed, state=state, online=(), escrow={})


def _rekeyed(using: Tools, desk: Desk, state: GroupState) -> GroupState:
    plan = rekeying.begin(desk, state, now=using.now())
    if plan.is_resumed:
        using.terminal.note(f"Going on with a rekey that was cut off; {plan.lacking} to go.")
    elif plan.given_up:
        using.terminal.note(
            "A rekey was cut off, and somebody left since who could find its key: it is drawn anew."
        )
    with using.terminal.progress("Rekeying", plan.lacking) as progress:
        return rekeying.finish(desk, plan, Pace(using.now, progress))


def _with_policy(state: GroupState, settings: Sequence[str]) -> RecryptionGroup | None:
    policy = policies.changed(state.policy, settings)
    if policy == state.policy:
        return None
    return RecryptionGroup(group_name=state.name, policy=policy)


def _head(state: GroupState) -> JsonObject:
    return {"seq": state.head.seq, "hash": state.head.hash}
