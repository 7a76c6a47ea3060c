"""Lies about a group's history: what its administrators signed, in which order (spec §5)."""

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.documents import (
    Head,
    Privilege,
    Status,
)
from recrypt_core.messages import (
    AddMember,
    Change,
    GetChanges,
    GetChangesResponse,
    Response,
    UpdateMember,
    write_message,
)
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws, Link, sign_request
from tests.builders import Membership, new_group, new_membership, new_person
from tests.client.lies import ADMINISTRATORS, ANOTHER_HISTORY, LOOKS, End, Lie
from tests.client.malicious_service import OTHER, Call, Tell, World
from tests.client.stage import TEAM, URL

Bend: TypeAlias = Callable[[World, list[Jws]], list[Jws]]


def history(bend: Bend, *, more: int = 0) -> Tell:
    """Show a bent history, in pages; its head may be so much further."""

    def tell(world: World, call: Call) -> Response:
        assert isinstance(call.message, GetChanges)
        changes = bend(world, world.changes())
        page = changes[call.message.after : call.message.after + call.message.limit]
        return GetChangesResponse(
            changes=tuple(page), head=Head(len(changes) + more, changes[-1].hash)
        )

    return tell


def signed(world: World, message: Change, key: SignaturePrivateKey, *, at: int = -1) -> Jws:
    """Sign a change that follows one of the chain's."""
    before = world.changes()[at]
    link = chain.read_change(before).link
    place = Link(link.group, link.seq + 1, before.hash)
    return sign_request(write_message(message), key, url=URL, now=world.stage.now, link=place)


def adding(world: World, made: Membership) -> AddMember:
    return AddMember(recryption_group=world.identifier(), member_entry=(made.entry,))


def ghost() -> Membership:
    """Make an entry as who doesn't know the group's private key would."""
    person = new_person("mallory@example.org")
    return new_membership(person, new_group().key, privileges=(Privilege.RECRYPT, Privilege.ADMIN))


def ghost_by(who: str | None) -> Bend:
    """Add a ghost, signed by the online key of this person, who is in it with the service."""

    def bend(world: World, changes: list[Jws]) -> list[Jws]:
        if who is None:
            return [*changes, signed(world, adding(world, ghost()), new_person("m@x.org").online)]
        home = world.stage.keys(who)
        key = home.signing_key(home.profile())
        return [*changes, signed(world, adding(world, ghost()), key)]

    return bend


def ghost_by_the_old_online_key(world: World, changes: list[Jws]) -> list[Jws]:
    """Add a ghost, by the online key that Erin had until she was removed."""
    old = chain.replay(changes[:3]).master.profile.online_signature_keys[0]
    key = world.stage.keys("alice").signature_key(old.udf)
    assert key is not None
    return [*changes, signed(world, adding(world, ghost()), key)]


def fork(world: World, changes: list[Jws]) -> list[Jws]:
    """Show another last change, which Alice has signed too: it was never taken."""
    home = world.stage.keys("alice")
    entry = but(world.member("carol").entry, status=Status.SUSPENDED)
    message = UpdateMember(recryption_group=world.identifier(), member_entry=(entry,))
    return [*changes[:-1], signed(world, message, home.signing_key(home.profile()), at=-2)]


def forged(_world: World, changes: list[Jws]) -> list[Jws]:
    """Put another change's words under a signature."""
    old, last = changes[-2:]
    return [*changes[:-1], but(last, payload=old.payload)]


def unsigned(_world: World, changes: list[Jws]) -> list[Jws]:
    return [*changes[:-1], but(changes[-1], signature="")]


def first_page_for_ever(world: World, _call: Call) -> Response:
    changes = world.changes()
    return GetChangesResponse(changes=tuple(changes[:4]), head=Head(10**9, changes[-1].hash))


CHAIN: Final = (
    Lie(
        "a rollback",
        "GetChanges",
        history(lambda _world, changes: changes[:6]),
        ADMINISTRATORS,
        f"{ANOTHER_HISTORY}: it goes back before change 11",
    ),
    Lie("a fork", "GetChanges", history(fork), LOOKS, "change 11 is not the same"),
    Lie(
        "a dropped change",
        "GetChanges",
        history(lambda _world, changes: [*changes[:3], *changes[4:]]),
        LOOKS,
        "CHANGE 4 DOESN'T FOLLOW FROM THE ONE BEFORE",
    ),
    Lie(
        "changes in another order",
        "GetChanges",
        history(lambda _world, changes: [*changes[:9], changes[10], changes[9]]),
        LOOKS,
        "CHANGE 10 DOESN'T FOLLOW FROM THE ONE BEFORE",
    ),
    Lie(
        "a change twice",
        "GetChanges",
        history(lambda _world, changes: [*changes, changes[-1]]),
        LOOKS,
        "CHANGE 12 DOESN'T FOLLOW FROM THE ONE BEFORE",
    ),
    Lie(
        "a history without its beginning",
        "GetChanges",
        history(lambda _world, changes: changes[1:]),
        LOOKS,
        "a chain that doesn't begin with CreateGroup",
    ),
    Lie(
        "a forged change",
        "GetChanges",
        history(forged),
        LOOKS,
        "CHANGE 11 IS BY NOBODY WHO MAY MAKE IT",
    ),
    Lie("an unsigned change", "GetChanges", history(unsigned), LOOKS, "the history of"),
    Lie(
        "a ghost member, signed by a stranger",
        "GetChanges",
        history(ghost_by(None)),
        LOOKS,
        "CHANGE 12 IS BY NOBODY WHO MAY MAKE IT",
    ),
    Lie(
        "a ghost member, signed by a member without the right",
        "GetChanges",
        history(ghost_by("bob")),
        LOOKS,
        "only an ACTIVE SUPER may do that",
    ),
    Lie(
        "a ghost member, signed by an administrator who was removed",
        "GetChanges",
        history(ghost_by("erin")),
        LOOKS,
        "only an ACTIVE SUPER may do that",
    ),
    Lie(
        "a ghost member, signed by the online key of before the removal",
        "GetChanges",
        history(ghost_by_the_old_online_key),
        LOOKS,
        "signed by a key that is unknown here",
    ),
    Lie(
        "another group's history",
        "GetChanges",
        history(lambda world, _changes: world.changes(OTHER)),
        LOOKS,
        ANOTHER_HISTORY,
    ),
    Lie(
        "another group's history, to who looks for the first time",
        "GetChanges",
        history(lambda world, _changes: world.changes(OTHER)),
        (f"dave members {TEAM}",),
        "ITS FINGERPRINT HAS CHANGED",
    ),
    Lie(
        "less than its own head says",
        "GetChanges",
        history(lambda _world, changes: changes, more=1),
        LOOKS,
        "shows less of the history",
    ),
    Lie(
        "pages without end",
        "GetChanges",
        first_page_for_ever,
        LOOKS,
        "CHANGE 5 DOESN'T FOLLOW FROM THE ONE BEFORE",
    ),
    Lie(
        "a rollback, to who looks for the first time, to before the key that was pinned",
        "GetChanges",
        history(lambda _world, changes: changes[:6]),
        (f"dave members {TEAM}",),
        "AN OLD GROUP KEY",
    ),
    Lie(
        "a rollback, to who looks for the first time",
        "GetChanges",
        history(lambda _world, changes: changes[:-1]),
        (f"dave members {TEAM}",),
        "the latest changes kept back from who looks for the first time",
        End.UNSEEN,
    ),
    Lie(
        "another administrator's change kept back",
        "GetChanges",
        history(lambda _world, changes: changes[:11]),
        (f"alice members {TEAM}",),
        "from one administrator what another has done since",
        End.UNSEEN,
        before=(f"dave suspend {TEAM} carol@example.org",),
    ),
)
