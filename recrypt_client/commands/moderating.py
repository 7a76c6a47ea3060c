"""`recrypt held`, `ban`, `unban`: moderation without reading at the server."""

from collections.abc import Sequence

import click

from recrypt_client import chains, moderating
from recrypt_client.administering import account_of
from recrypt_client.changing import Pace
from recrypt_client.commands.frame import Command, GroupName, Tools, tools
from recrypt_client.errors import Trouble
from recrypt_core.chain import GroupState
from recrypt_core.encoding import JsonObject, JsonValue, write_time
from recrypt_core.errors import Malformed
from recrypt_core.moderation import Decision, HeldName, HeldPost, read_name
from recrypt_core.udf import Udf

_DONE = {
    Decision.ACCEPT: "accepted: all readers get it",
    Decision.REJECT: "rejected: its sender is told, if that was proven",
    Decision.DISCARD: "discarded: nobody is told",
}


class _Post(click.ParamType[HeldName]):
    """A held post's name."""

    name = "post"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> HeldName:
        """Read it."""
        try:
            return read_name(value)
        except Malformed as problem:
            self.fail(str(problem), param, ctx)


@click.command(cls=Command, epilog="Example: recrypt held team@lists.example accept 3")
@click.argument("group", type=GroupName())
@click.argument(
    "decision",
    metavar="[accept|reject|discard]",
    required=False,
    type=click.Choice([each.value for each in Decision]),
)
@click.argument("posts", metavar="[N[:CID]]...", nargs=-1, type=_Post())
@click.option("--mail", "by_mail", is_flag=True, help="Write a signed mail that says it instead.")
@click.pass_context
def held(
    context: click.Context,
    group: str,
    decision: str | None,
    posts: Sequence[HeldName],
    *,
    by_mail: bool,
) -> None:
    """Show which posts to GROUP wait for a decision, or decide: each once, and the first counts.

    A copy of each came to you, to be read, and names it: by its number and its content. With the
    number alone it is asked for the content. SENDER is who sent it, as the service says: your
    copy proves who wrote it, if that is signed. What waits too long is discarded. With --mail the
    decision is written as a mail, for `sendmail -t`.
    """
    using = tools(context)
    if decision is None:
        if by_mail:
            raise click.UsageError("--mail goes with a decision", context)
        _show(using, group)
        return
    if not posts:
        raise click.UsageError("name the posts by their numbers", context)
    wanted, names = Decision(decision), list({each.number: each for each in posts}.values())
    if by_mail:
        with using.alone(), using.desk(group) as desk:
            names = moderating.whole(desk, names, now=using.now())
            using.terminal.octets(
                moderating.mail(desk, names, wanted, now=using.now()).encode("ascii")
            )
        return
    deciding = using.terminal.progress("Deciding", len(names))
    with using.alone(), using.desk(group) as desk, deciding as progress:
        names = moderating.whole(desk, names, now=using.now())
        refused = moderating.decide(desk, names, wanted, Pace(using.now, progress))
    failed = dict(refused)
    done: list[JsonValue] = [each.number for each in names if each.number not in failed]
    using.terminal.answer(
        {"GroupName": group, "Decision": decision, "Decided": done, "Refused": [*failed]},
        *(f"Post {each} is {_DONE[wanted]}" for each in done),
    )
    if refused:
        words = "; ".join(why for _, why in refused)
        raise Trouble(words, f"See what waits with recrypt held {group}")


@click.command(cls=Command, epilog="Example: recrypt ban team@lists.example mallory@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS|FINGERPRINT...", nargs=-1, required=True)
@click.pass_context
def ban(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let people post to GROUP no more, nor ask in; they aren't told, and read on if they may.

    Who is no member and doesn't wait to be one is named by the whole fingerprint. To end a
    membership: recrypt delete.
    """
    _ban(tools(context), group, who, is_banned=True)


@click.command(cls=Command, epilog="Example: recrypt unban team@lists.example mallory@example.org")
@click.argument("group", type=GroupName())
@click.argument("who", metavar="ADDRESS|FINGERPRINT...", nargs=-1, required=True)
@click.pass_context
def unban(context: click.Context, group: str, who: Sequence[str]) -> None:
    """Let people who were banned post to GROUP, and ask in: as its rules say."""
    _ban(tools(context), group, who, is_banned=False)


def _ban(using: Tools, group: str, who: Sequence[str], *, is_banned: bool) -> None:
    with using.alone(), using.desk(group) as desk:
        done = moderating.ban(desk, who, Pace(using.now), is_banned=is_banned)
        state = using.tend(desk, done.state)
    now = "banned from" if is_banned else "not banned any more from"
    value: JsonObject = {
        "GroupName": group,
        "Changed": [*done.changed],
        "Skipped": [*done.skipped],
        "Head": {"seq": state.head.seq, "hash": state.head.hash},
    }
    using.terminal.answer(
        value,
        *(f"{_name(state, each)} is {now} {group}" for each in done.changed),
        *(f"{_name(state, each)} was so already" for each in done.skipped),
    )


def _show(using: Tools, group: str) -> None:
    with using.alone(), using.desk(group) as desk:
        state = chains.current(desk, now=using.now())
        found = list(moderating.waiting(desk, now=using.now()))
    value: JsonObject = {"GroupName": group, "Held": [_json(state, each) for each in found]}
    rows = [
        (
            f"{each.post}",
            f"{each.since:%Y-%m-%d %H:%M}",
            f"{each.until:%Y-%m-%d %H:%M}",
            f"{each.octets}",
            "not proven" if each.recrypt_udf is None else _name(state, each.recrypt_udf),
        )
        for each in found
    ]
    using.terminal.rows(value, ("POST", "SINCE", "UNTIL", "OCTETS", "SENDER"), rows)


def _json(state: GroupState, each: HeldPost) -> JsonObject:
    return {
        "Post": each.post,
        "ContentID": each.content_id,
        "Since": write_time(each.since),
        "Until": write_time(each.until),
        "Octets": each.octets,
        "RecryptUDF": each.recrypt_udf,
        "AccountName": None if each.recrypt_udf is None else account_of(state, each.recrypt_udf),
    }


def _name(state: GroupState, udf: Udf) -> str:
    """Name somebody as the verified chain does, and by the fingerprint."""
    account = account_of(state, udf)
    return udf if account is None else f"{account} {udf}"
