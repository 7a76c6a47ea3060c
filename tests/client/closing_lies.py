"""Lies about a group's end: kept back, undone, forged (spec §6)."""

from typing import Final

from msgspec.structs import replace as but

from recrypt_core import chain
from recrypt_core.documents import RecryptionGroup, sign_group_key
from recrypt_core.messages import GetKeyResponse, Response, UpdateGroup
from recrypt_core.signing import Jws
from tests.builders import new_group, new_membership, new_person
from tests.client.change_lies import not_kept
from tests.client.group_lies import shown
from tests.client.history_lies import adding, history, signed
from tests.client.lies import ANOTHER_HISTORY, LOOKS, VERIFY, WRITERS, End, Lie, key_of, stolen
from tests.client.malicious_service import Call, World
from tests.client.stage import TEAM

CLOSE: Final = f"alice close {TEAM} --yes"


def open_key(world: World) -> Jws:
    """Give the group's key as it was before the last change, which closed it."""
    return chain.replay(world.changes()[:-1]).key.signed


def shown_open(world: World, _call: Call) -> Response:
    return but(key_of(world, TEAM), signed_key=open_key(world))


def closed_by_thieves(world: World) -> Jws:
    """Close the key of a group as who stole its online key."""
    state = world.state()
    stated = but(state.key.document, closed=world.stage.now, head=state.head)
    return sign_group_key(stated, stolen(world, TEAM)).signed


def shown_closed(world: World, _call: Call) -> Response:
    return GetKeyResponse(signed_key=closed_by_thieves(world), master=world.state().master.signed)


def closed_without_a_super(world: World, changes: list[Jws]) -> list[Jws]:
    group = RecryptionGroup(group_name=TEAM, current_encryption_key=closed_by_thieves(world))
    message = UpdateGroup(recryption_group=group)
    return [*changes, signed(world, message, stolen(world, TEAM))]


def one_more(world: World, changes: list[Jws]) -> list[Jws]:
    """Add a change that Alice has signed, after the last one."""
    home = world.stage.keys("alice")
    made = new_membership(new_person("mallory@example.org"), new_group().key)
    return [*changes, signed(world, adding(world, made), home.signing_key(home.profile()))]


CLOSING: Final = (
    Lie(
        "a closed group shown open, to who saw it closed",
        "GetKey",
        shown_open,
        WRITERS,
        "THE SERVICE SHOWS AS OPEN A GROUP THAT WAS CLOSED FOR GOOD",
        before=(CLOSE, f"bob key {TEAM}"),
    ),
    Lie(
        "a closed group shown open, to who never saw it closed",
        "GetKey",
        shown_open,
        (f"carol encrypt {{}}/plan --to {TEAM}",),
        "that a group was closed, from who hasn't seen it closed",
        End.UNSEEN,
        before=(CLOSE,),
    ),
    Lie(
        "a closed group shown open beside its history",
        "GetGroup",
        shown(lambda world, group: but(group, current_encryption_key=open_key(world))),
        VERIFY,
        "ISN'T WHAT THE HISTORY HAS",
        before=(CLOSE,),
    ),
    Lie(
        "a closing kept back",
        "GetChanges",
        history(lambda _world, changes: changes[:-1]),
        LOOKS,
        f"{ANOTHER_HISTORY}: it goes back before change 12",
        before=(CLOSE,),
    ),
    Lie(
        "a closing: taken, shown once, then thrown away",
        "UpdateGroup",
        not_kept,
        LOOKS,
        f"{ANOTHER_HISTORY}: it goes back before change 13",
        before=(f"alice refresh {TEAM}",),
        first=(CLOSE,),
    ),
    Lie(
        "a change after the closing",
        "GetChanges",
        history(one_more),
        LOOKS,
        "CHANGE 13 DOESN'T FOLLOW FROM THE ONE BEFORE: the group is closed for good",
        before=(CLOSE,),
    ),
    Lie(
        "a closing that no SUPER has signed",
        "GetChanges",
        history(closed_without_a_super),
        LOOKS,
        "only an ACTIVE SUPER may close the group for good",
    ),
    Lie(
        "a closing by who stole the online key, to senders",
        "GetKey",
        shown_closed,
        WRITERS[:2],
        "was closed for good",
        is_pinned=True,
    ),
    Lie(
        "a closing by who stole the online key, to administrators",
        "GetKey",
        shown_closed,
        VERIFY,
        "SHOWS SENDERS ANOTHER KEY",
    ),
)
