"""Files of members in and out: `recrypt add --csv`, `--mailman`, and `recrypt members --csv`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recrypt_client import administering, inviting, rosters
from recrypt_client.administering import Outcome, Terms
from recrypt_client.changing import Pace
from recrypt_client.commands import inviting as letters
from recrypt_client.commands.frame import SECRET_MODE, Tools, read_input, read_profile, write_output
from recrypt_client.commands.keeping import refreshed
from recrypt_client.errors import Trouble
from recrypt_client.inviting import Plan
from recrypt_client.refreshing import Beside
from recrypt_client.rosters import Roster, Row
from recrypt_core.chain import GroupState
from recrypt_core.documents import VerifiedProfile
from recrypt_core.encoding import JsonObject
from recrypt_core.mailboxes import folded
from recrypt_core.udf import Udf

HEADS = ("address", "status", "privileges", "fingerprint")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of people, what it is, and as what they are added."""

    name: str
    is_mailman: bool
    invites: bool
    terms: Terms


@dataclass(frozen=True, slots=True)
class People:
    """The rows of a file: those with a profile, and those who are to be invited."""

    known: tuple[tuple[Row, VerifiedProfile, str], ...]
    others: tuple[Row, ...]

    @property
    def accounts(self) -> dict[Udf, str]:
        """Which Account each is added with."""
        return {profile.identifier: account for _, profile, account in self.known}


def add_all(using: Tools, group: str, source: Source) -> None:
    """Add the people of a file whose profiles it names, and invite the others.

    Raises:
        Trouble: if a line can't be used: then nothing was done; or as `administering.add`.
    """
    people = _people(using, group, source)
    profiles = [profile for _, profile, _ in people.known]
    terms = replace(source.terms, accounts=people.accounts)
    adding = using.terminal.progress("Adding", len(profiles))
    outcome: Outcome | None = None
    plan = Plan((), ())
    with using.alone(), using.desk(group) as desk:
        if profiles:
            with adding as progress:
                outcome = administering.add(desk, profiles, terms, Pace(using.now, progress))
            state = refreshed(using, desk, outcome.state, beside=Beside(profiles))
            state = using.tend(desk, state)
            outcome = outcome.then(state, profiles)
        if people.others:
            named = [row.address for row in people.others]
            plan = inviting.plan(desk, named, again=False, now=using.now())
            letters.send(using, desk, plan)
    _tell(using, group, people, _results(people, outcome, plan))


def write_members(using: Tools, name: str, state: GroupState) -> None:
    """Write who is or was a member to a file for its owner alone, and say what that is."""
    rows = sorted(
        (
            each.account,
            each.entry.status.value,
            " ".join(one.value for one in each.entry.privileges),
            each.profile.identifier,
        )
        for each in state.members.values()
    )
    octets = rosters.write_csv(HEADS, rows)
    write_output(name, octets, using.terminal, mode=SECRET_MODE)
    using.terminal.alarm(
        f"{name} says who is in {state.name}, which nobody else may know: keep it as you keep keys"
    )


def _people(using: Tools, group: str, source: Source) -> People:
    """Read a file, and each profile that it names, beside it; name each line that is wrong."""
    roster = _roster(group, source)
    wrong, known = [*roster.wrong], list[tuple[Row, VerifiedProfile, str]]()
    others = tuple(row for row in roster.rows if row.profile is None)
    lines: dict[Udf, int] = {}
    for row in roster.rows:
        if row.profile is not None:
            try:
                profile = read_profile(using, str(Path(source.name).parent / row.profile))
                account = _account(profile, row.address)
                first = lines.setdefault(profile.identifier, row.line)
                _check_once(first, row)
            except Trouble as trouble:
                wrong.append(f"line {row.line}: {trouble.what}")
            else:
                known.append((row, profile, account))
    if others and not source.invites:
        wrong += [f"line {row.line}: {row.address} has no profile: --invite?" for row in others]
    _refuse(using, source.name, wrong)
    return People(tuple(known), others)


def _roster(group: str, source: Source) -> Roster:
    """Read a file's lines; one with an address of the list's own is wrong, too."""
    octets = read_input(source.name)
    if len(octets) > rosters.OCTETS:
        raise Trouble(f"{source.name}: over {rosters.OCTETS} octets", "Make several files of it")
    try:
        read = rosters.read_mailman if source.is_mailman else rosters.read_csv
        roster = read(octets)
    except Trouble as trouble:
        raise Trouble(f"{source.name}: {trouble.what}", trouble.hint) from trouble
    own = [
        f"line {row.line}: {row.address} {why}"
        for row in roster.rows
        if (why := inviting.not_a_mailbox(group, row.address))
    ]
    return replace(roster, wrong=(*roster.wrong, *own))


def _account(profile: VerifiedProfile, address: str) -> str:
    for account in profile.profile.accounts:
        if folded(account) == folded(address):
            return account
    raise Trouble(f"{address} is no Account of that profile", "Ask its owner")


def _check_once(first: int, row: Row) -> None:
    if first != row.line:
        raise Trouble(f"the profile of line {first} again", "Remove one of them")


def _refuse(using: Tools, name: str, wrong: Sequence[str]) -> None:
    for words in wrong:
        using.terminal.note(f"{name}, {words}")
    if wrong:
        raise Trouble(
            f"{name}: {len(wrong)} lines can't be used",
            "Nothing was done. Mend them or take them out, then give the command again",
        )


def _results(people: People, outcome: Outcome | None, plan: Plan) -> list[tuple[Row, str]]:
    changed = set() if outcome is None else {*outcome.changed}
    invited = {each.address for each in plan.due}
    why = dict(plan.skipped)
    added = [
        (row, "added" if account in changed else "was so already")
        for row, _, account in people.known
    ]
    asked = [
        (row, "invited" if row.address in invited else why.get(row.address, ""))
        for row in people.others
    ]
    return [*added, *asked]


def _tell(using: Tools, group: str, people: People, results: list[tuple[Row, str]]) -> None:
    value: JsonObject = {
        "GroupName": group,
        "Rows": [
            {"Line": row.line, "AccountName": row.address, "Result": what} for row, what in results
        ],
    }
    total = f"{len(people.known)} with a profile, {len(people.others)} without"
    using.terminal.answer(value, *rosters.in_lines(results), total)
