"""Lists on a server under test: `from tests.lists import ...`."""

from dataclasses import dataclass, replace

from msgspec.structs import replace as replace_members

from recrypt_core.documents import Head
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import CreateGroup, Response
from recrypt_core.policy import Policy
from tests.builders import (
    TEAM,
    Group,
    History,
    Membership,
    Person,
    create_message,
    new_group,
    new_person,
    signed_group_key,
)
from tests.fakes import Bench, administrator


def said(response: Response) -> tuple[int, str]:
    """Give an answer's Status and its words."""
    return response.status, response.status_description


@dataclass(frozen=True)
class Team:
    """A list of Alice's, and her."""

    group: Group
    alice: Person

    @property
    def key(self) -> PrivateKey:
        """The list's key."""
        return self.group.key


async def new_team(bench: Bench, *, policy: Policy | None = None) -> Team:
    """Create a list of Alice alone."""
    return await new_list_of(bench, new_group(), new_person("alice@example.org"), policy=policy)


async def new_list_of(
    bench: Bench, group: Group, alice: Person, *others: Membership, policy: Policy | None = None
) -> Team:
    """Create a list with these members beside Alice."""
    await bench.authorize(alice)
    memberships = (administrator(alice, group), *others)
    made = create_message(group, memberships, alice.online)
    stated = replace_members(made.recryption_group, policy=policy)
    message = CreateGroup(recryption_group=stated, authorization=made.authorization)
    change = History(group).sign(message, group.master.online)
    response = await bench.send(change, *memberships)
    assert response.status == 201, response.status_description
    return Team(group, alice)


async def new_key(bench: Bench, team: Team) -> PrivateKey:
    """Give the list a new key, for which nobody has an entry yet."""
    key = PrivateKey.generate(Curve.X25519)
    signed = signed_group_key(team.group.master, key, generation=2, previous=team.key.public.udf)
    async with bench.store.begin() as work:
        found = await work.find_list(TEAM)
        assert found is not None
        head = Head(found.state.head.seq + 1, found.state.head.hash)
        state = replace(found.state, key=signed, past_keys=(found.state.key,), head=head)
        assert await work.append_change(found, state, team.group.master.signed)
    return key
