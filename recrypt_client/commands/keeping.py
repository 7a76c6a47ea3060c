"""`recrypt rekey`, `set`, `refresh`, `verify`: a group is kept in order."""

from collections.abc import Sequence

import click

from recrypt_client import (
    chains,
    changing,
    custody,
    policies,
    refreshing,
    rekeying,
    removing,
    verifying,
)
from recrypt_client.chains import Desk
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, tools
from recrypt_client.errors import Trouble
from recrypt_client.removing import Owed
from recrypt_core.chain import GroupState
from recrypt_core.documents import Policy, RecryptionGroup
from recrypt_core.encoding import JsonObject


@click.command(cls=Command, epilog="Example: recrypt rekey team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def rekey(context: click.Context, group: str) -> None:
    """Give GROUP a new key: who was removed can't read what is encrypted to it.

    If it is cut off, give the same command again: it goes on where it was.
    """
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
        state = refreshed(using, desk, state)
        state = _rekeyed(using, desk, state)
    key = state.key.document
    using.terminal.answer(
        {
            "GroupName": group,
            "Generation": key.generation,
            "KeyUDF": state.key.udf,
            "Head": _head(state),
        },
        f"{group} has a new key, generation {key.generation}: {state.key.udf}",
    )


@click.command(
    "set", cls=Command, epilog="Example: recrypt set team@lists.example post=members keep=30"
)
@click.argument("group", type=GroupName())
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.pass_context
def set_policy(context: click.Context, group: str, settings: Sequence[str]) -> None:
    """Change the rules of GROUP; without KEY=VALUE, show them.

    `post`, `reply_to`, `from`, `notice`, `past_keys`, `history`, `keep`, `recrypt_per_day`.
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
    """Take newer profiles of members of GROUP in: a lost device's entries end.

    It also seals the group's keys to its administrators anew, if that is due.
    """
    using = tools(context)
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
        done = refreshing.refresh(desk, state, Pace(using.now))
        state = using.tend(desk, custody.share(desk, done.outcome.state, Pace(using.now)))
    using.terminal.answer(
        {
            "GroupName": group,
            "Changed": [*done.outcome.changed],
            "Waiting": [*done.waiting],
            "Head": _head(state),
        },
        *(f"{who} has a newer profile, and entries for it" for who in done.outcome.changed),
        *done.waiting,
        *([] if done.outcome.changed or done.waiting else ["No newer profile waits"]),
    )


@click.command(cls=Command, epilog="Example: recrypt verify team@lists.example")
@click.argument("group", type=GroupName())
@click.pass_context
def verify(context: click.Context, group: str) -> None:
    """Check everything about GROUP anew; exit status 1 if anything is wrong."""
    using = tools(context)
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


def refreshed(using: Tools, desk: Desk, state: GroupState) -> GroupState:
    """Take in the newer profiles of members, on the way."""
    done = refreshing.refresh(desk, state, Pace(using.now))
    for who in done.outcome.changed:
        using.terminal.note(f"{who} has a newer profile: the entries were made anew for it.")
    for why in done.waiting:
        using.terminal.note(f"{why}.")
    return done.outcome.state


def settle(using: Tools, desk: Desk, owed: Owed) -> tuple[GroupState, list[str]]:
    """Do what is owed since an administrator was removed; tell in words what is left to do."""
    state, name, left = owed.state, owed.state.name, list[str]()
    if owed.online and removing.can_replace_master(desk, state):
        state = removing.replace_master(desk, state, Pace(using.now))
        using.terminal.note(f"{name} is signed for by another online key now.")
    elif owed.online:
        left.append(
            f"{', '.join(owed.online)} can still sign as {name}: a SUPER who has its master key "
            f"gives recrypt delete {name} ADDRESS once more"
        )
    if owed.group_key:
        try:
            state = _rekeyed(using, desk, state)
        except Trouble as trouble:
            left.append(
                f"{', '.join(owed.group_key)} can still read what {name} is sent: "
                f"recrypt rekey {name} ends that, but failed here: {trouble}"
            )
        else:
            using.terminal.note(
                f"{name} has a new key, generation {state.key.document.generation}."
            )
    if owed.master:
        left.append(
            f"{', '.join(owed.master)} had the master key of {name}, as SUPER, for good: "
            "see recrypt history for changes by the group itself; only a new group ends that"
        )
    return state, left


def _rekeyed(using: Tools, desk: Desk, state: GroupState) -> GroupState:
    plan = rekeying.begin(desk, state)
    if plan.is_resumed:
        using.terminal.note(f"Going on with a rekey that was cut off; {plan.lacking} to go.")
    with using.terminal.progress("Rekeying", plan.lacking) as progress:
        return rekeying.finish(desk, plan, Pace(using.now, progress))


def _with_policy(state: GroupState, settings: Sequence[str]) -> RecryptionGroup | None:
    policy = policies.changed(state.policy, settings)
    if policy == state.policy:
        return None
    return RecryptionGroup(group_name=state.name, policy=policy)


def _head(state: GroupState) -> JsonObject:
    return {"seq": state.head.seq, "hash": state.head.hash}
