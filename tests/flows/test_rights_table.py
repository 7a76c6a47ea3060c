"""The table of rights: what each transaction answers to each role, in each status (spec §6)."""

from dataclasses import dataclass, replace
from typing import Final, get_args

import pytest
import pytest_asyncio
from msgspec.structs import replace as but

from recrypt_core.documents import (
    JoinAnswer,
    Privilege,
    RecryptionGroup,
    Status,
    sign_join,
)
from recrypt_core.encoding import write_b64url
from recrypt_core.invitations import Invitation, Invite, Invited, write_token
from recrypt_core.messages import (
    AddMember,
    Change,
    ConfirmJoin,
    CreateGroup,
    DenyJoin,
    GetAudit,
    GetChanges,
    GetEntry,
    GetGroup,
    GetJoinRequests,
    GetKey,
    Hello,
    JoinGroup,
    RecryptData,
    Redeliver,
    Request,
    UpdateGroup,
    UpdateMember,
    UpdateProfile,
    write_message,
)
from recrypt_core.moderation import Decide, Decision, GetHeld
from recrypt_core.policy import Policy
from recrypt_core.sealing import seal
from recrypt_core.signing import sign_request
from recrypt_core.wishes import Mail, SetMail
from tests.asking import asked
from tests.builders import (
    EVERY_POWER,
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    Person,
    closed_key,
    create_message,
    new_group,
    new_membership,
    new_person,
)
from tests.fakes import Bench, administrator

PRIVILEGES: Final = {
    "nothing": (),
    "recrypt": (Privilege.RECRYPT,),
    "admin": (Privilege.RECRYPT, Privilege.ADMIN),
    "bare": (Privilege.ADMIN,),
    "super": EVERY_POWER,
}

# Before the bar ACTIVE members, then SUSPENDED and REVOKED ones, last the group's master key, its
# online key, which each ADMIN has, who is in no group, and who has all powers in another one;
# `bare` is ADMIN without RECRYPT. UpdateMember:admin and :super make their Entries anew, :depose
# suspends an ADMIN. Nothing is there that Decide and DenyJoin name, and no token for ConfirmJoin.
TABLE: Final = """
                     nothing recrypt bare admin super |suspended revoked |master online nobody other
Hello                    201     201  201   201   201 |      201     201 |   201    201    201   201
GetKey                   201     201  201   201   201 |      201     201 |   201    201    201   201
CreateGroup              403     403  403   403   403 |      403     403 |   403    403    403   403
GetGroup                 403     403  201   201   201 |      403     403 |   201    201    401   401
GetChanges               403     403  201   201   201 |      403     403 |   201    201    401   401
GetEntry                 201     201  201   201   201 |      403     403 |   403    403    401   401
Redeliver                403     403  201   201   201 |      403     403 |   201    201    401   401
AddMember:recrypt        403     403  201   201   201 |      403     403 |   201    201    401   401
AddMember:admin          403     403  403   403   201 |      403     403 |   201    403    401   401
AddMember:super          403     403  403   403   201 |      403     403 |   201    403    401   401
UpdateMember:recrypt     403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateMember:admin       403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateMember:super       403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateMember:promote     403     403  403   403   201 |      403     403 |   201    403    401   401
UpdateMember:demote      403     403  403   403   201 |      403     403 |   201    403    401   401
UpdateMember:depose      403     403  403   403   201 |      403     403 |   201    403    401   401
UpdateMember:suspend     403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateMember:revoke      403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateGroup:policy       403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateGroup:key          403     403  201   201   201 |      403     403 |   201    201    401   401
UpdateGroup:master       403     403  403   403   201 |      403     403 |   201    403    401   401
RecryptData              403     201  403   201   201 |      403     404 |   404    404    404   404
GetAudit                 403     403  201   201   201 |      403     403 |   201    201    401   401
GetJoinRequests          403     403  201   201   201 |      403     403 |   201    201    401   401
Invite                   403     403  201   201   201 |      403     403 |   201    201    401   401
DenyJoin                 403     403  404   404   404 |      403     403 |   404    404    401   401
JoinGroup                201     201  201   201   201 |      201     201 |   400    400    201   201
ConfirmJoin              404     404  404   404   404 |      404     404 |   404    404    404   404
GetHeld                  403     403  201   201   201 |      403     403 |   201    201    401   401
Decide                   403     403  404   404   404 |      403     403 |   404    404    401   401
UpdateProfile            201     201  201   201   201 |      201     201 |   201    201    201   201
SetMail                  201     201  201   201   201 |      201     201 |   201    201    201   201
"""
ROLES: Final = TABLE.split("\n")[1].replace("|", "").split()
ROWS: Final = {
    row.split()[0]: dict(zip(ROLES, map(int, row.replace("|", "").split()[1:]), strict=True))
    for row in TABLE.strip().split("\n")[1:]
}
UNSIGNED: Final = (Hello, GetKey, ConfirmJoin)
OUTSIDE: Final = ("master", "online", "nobody", "other")


@dataclass
class World:
    """A group with members of all roles, and who is in none of it."""

    bench: Bench
    history: History
    people: dict[str, tuple[Person, ...]]
    target: dict[str, Person]

    def message(self, name: str, by: Person) -> tuple[Request, tuple[Membership, ...]]:
        """Write the request of a row, with the entries whose halves go beside it."""
        kind, _, what = name.partition(":")
        entries = self.entries(kind, what)
        identifier = self.history.group.master.udf
        stated = tuple(each.entry for each in entries)
        reads: dict[str, Request] = {
            "Hello": Hello(),
            "GetKey": GetKey(group_id=TEAM),
            "GetGroup": GetGroup(group_id=TEAM),
            "GetChanges": GetChanges(group_id=identifier),
            "GetEntry": GetEntry(group_id=TEAM),
            "RecryptData": self.question(by),
            "GetAudit": GetAudit(group_id=TEAM),
            "GetJoinRequests": GetJoinRequests(group_id=TEAM),
            "Invite": Invite(
                group_id=TEAM,
                invitations=(
                    Invited(
                        account_name="new@example.org",
                        token=write_token(Invitation(TEAM, URL, identifier, b"s" * 32)),
                    ),
                ),
            ),
            "DenyJoin": DenyJoin(group_id=TEAM, recrypt_udf=by.udf),
            "Redeliver": Redeliver(
                group_id=TEAM, recrypt_udf=self.target["recrypt"].udf, since=NOW
            ),
            "JoinGroup": JoinGroup(group_name=TEAM, account_name=by.address, profile=by.signed),
            "ConfirmJoin": self.answer(by),
            "GetHeld": GetHeld(group_id=TEAM),
            "Decide": Decide(
                group_id=TEAM, post=1, content_id=write_b64url(bytes(32)), decision=Decision.DISCARD
            ),
            "SetMail": SetMail(group_name=TEAM, profile=by.signed, mail=Mail.ON),
            "UpdateProfile": UpdateProfile(profile=by.changed().signed),
            "AddMember": AddMember(recryption_group=identifier, member_entry=stated),
            "UpdateMember": UpdateMember(recryption_group=identifier, member_entry=stated),
            "UpdateGroup": UpdateGroup(recryption_group=self.group(what)),
        }
        return reads[kind], entries

    def question(self, by: Person) -> RecryptData:
        """Ask to recrypt for somebody's own entry; who has none asks about a member's."""
        members = self.history.state.members
        order = sorted(members.values(), key=lambda each: each.profile.identifier != by.udf)
        entry = next(each.entry for each in order if each.entry.entries)
        envelope = seal(b"", [self.history.group.key.public])
        return asked(by, Membership(entry, {}), envelope)

    def answer(self, by: Person) -> ConfirmJoin:
        """Answer with a token that nobody was sent."""
        answer = JoinAnswer(
            group_identifier=self.history.group.master.udf,
            token="a" * 26,
            account_name=by.address,
            identifier=by.udf,
        )
        return ConfirmJoin(answer=sign_join(answer, by.online))

    def entries(self, kind: str, what: str) -> tuple[Membership, ...]:
        """Make the entry that a change of members states."""
        key = self.history.group.key
        if kind == "AddMember":
            new = new_person("new@example.org")
            return (new_membership(new, key, privileges=PRIVILEGES[what]),)
        if kind != "UpdateMember":
            return ()
        match what:
            case "promote":
                target, privileges = self.target["recrypt"], PRIVILEGES["admin"]
            case "demote":
                target, privileges = self.target["admin"], PRIVILEGES["recrypt"]
            case "depose":
                return (self.suspended("admin"),)
            case "suspend":
                return (self.suspended("recrypt"),)
            case "revoke":
                return (new_membership(self.target["recrypt"], status=Status.REVOKED),)
            case _:
                target, privileges = self.target[what], PRIVILEGES[what]
        return (new_membership(target, key, privileges=privileges),)

    def suspended(self, what: str) -> Membership:
        """State a member as it is, but SUSPENDED."""
        entry = self.history.state.members[self.target[what].udf].entry
        return Membership(but(entry, status=Status.SUSPENDED), {})

    def group(self, what: str) -> RecryptionGroup:
        """State what an UpdateGroup changes."""
        group, state = self.history.group, self.history.state
        match what:
            case "policy":
                return RecryptionGroup(group_name=TEAM, policy=Policy(keep=1))
            case "key":
                return RecryptionGroup(group_name=TEAM, current_encryption_key=state.key.signed)
            case "close":
                closed = closed_key(state, group.master).signed
                return RecryptionGroup(group_name=TEAM, current_encryption_key=closed)
            case _:
                seconds = state.head.seq
                return RecryptionGroup(
                    group_name=TEAM, master=group.master.changed(seconds=seconds).signed
                )

    async def ask(self, name: str, by: Person) -> int:
        """Ask, and take a change that is taken."""
        if name == CreateGroup.transaction:
            return await self.create(by)
        message, entries = self.message(name, by)
        if isinstance(message, UNSIGNED):
            body = write_message(message)
            return (await self.bench.transactions.answer(body, signed=False))[1].status
        if not isinstance(message, Change):
            made = sign_request(write_message(message), by.online, url=URL, now=NOW)
            response = await self.bench.send(made)
            return response.status
        change = self.history.sign(message, by.online)
        response = await self.bench.send(change, *entries)
        if response.status == 201:
            self.history.take(change)
        return response.status

    async def create(self, by: Person) -> int:
        """Create another group, by one who has rights in this one alone."""
        group = new_group("another@lists.example")
        first = administrator(new_person("first@example.org"), group)
        message = create_message(group, (first,), by.online)
        change = History(group).sign(message, group.master.online)
        return (await self.bench.send(change, first)).status


@pytest_asyncio.fixture
async def world(bench: Bench) -> World:
    """Create them."""
    return await new_world(bench)


async def new_world(bench: Bench) -> World:
    """Create the group, and another one."""
    group, alice = new_group(), new_person("alice@example.org")
    people: dict[str, tuple[Person, ...]] = {}
    entries = [administrator(alice, group)]
    for role in ROLES:
        statuses = {"suspended": Status.SUSPENDED, "revoked": Status.REVOKED}
        if role in OUTSIDE:
            continue
        names = PRIVILEGES if role in statuses else [role]
        made = {each: new_person(f"{role}-{each}@example.org") for each in names}
        status = statuses.get(role, Status.ACTIVE)
        keys = () if status is Status.REVOKED else (group.key,)
        entries += [
            new_membership(person, *keys, privileges=PRIVILEGES[each], status=status)
            for each, person in made.items()
        ]
        people[role] = tuple(made.values())
    target = {each: new_person(f"target-{each}@example.org") for each in PRIVILEGES}
    entries += [
        new_membership(person, group.key, privileges=PRIVILEGES[each])
        for each, person in target.items()
    ]
    history = await bench.create(group, *entries, authorised=alice)
    other, oscar = new_group("other@lists.example"), new_person("oscar@example.org")
    await bench.create(other, administrator(oscar, other), authorised=oscar)
    async with bench.store.begin() as work:
        await work.deauthorize(alice.udf)
        await work.deauthorize(oscar.udf)
    by_master = replace(group.master, online=group.master.master)
    outside = (by_master, group.master, new_person("mallory@example.org"), oscar)
    people |= {role: (person,) for role, person in zip(OUTSIDE, outside, strict=True)}
    return World(bench, history, people, target)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ROWS)
async def test_each_role_is_answered_as_the_table_says(world: World, name: str) -> None:
    expected = ROWS[name]
    # Those who may not ask first: what is done already, others may do again.
    roles = sorted(world.people, key=lambda role: expected[role], reverse=True)
    found = {role: {await world.ask(name, each) for each in world.people[role]} for role in roles}
    assert found == {role: {status} for role, status in expected.items()}


def test_each_transaction_has_its_row() -> None:
    assert {name.partition(":")[0] for name in ROWS} == {
        kind.transaction for kind in get_args(Request)
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("role", ROLES)
async def test_who_closes_a_group_for_good_is_who_may_change_its_master(
    world: World, role: str
) -> None:
    expected = ROWS["UpdateGroup:master"][role]
    assert await world.ask("UpdateGroup:close", world.people[role][0]) == expected


@pytest.mark.asyncio
async def test_in_a_closed_group_changes_are_refused_and_all_else_is_as_it_was(
    world: World,
) -> None:
    (alice,) = world.people["super"]
    assert await world.ask("UpdateGroup:close", alice) == 201
    for name, row in ROWS.items():
        is_change = name.startswith(("AddMember", "UpdateMember", "UpdateGroup", "Invite", "Join"))
        assert await world.ask(name, alice) == (409 if is_change else row["super"]), name
        expected = 409 if name == "JoinGroup" else row["nobody"]
        assert await world.ask(name, world.people["nobody"][0]) == expected, name
