"""Lies about how a group is at the service: its members, its parts, who gets mail."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace as but

from recrypt_core.documents import Head, MemberEntry, RecryptionGroup, Status
from recrypt_core.messages import (
    GetGroupResponse,
    Response,
)
from recrypt_core.policy import Policy
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from tests.builders import new_person
from tests.client.history_lies import ghost
from tests.client.lies import VERIFY, End, Lie, smuggled
from tests.client.malicious_service import OTHER, Call, Tell, World
from tests.client.stage import TEAM

Show = Callable[[World, RecryptionGroup], RecryptionGroup]
MEMBERS: Final = (f"alice members {TEAM}",)


def shown(show: Show) -> Tell:
    """Show the group otherwise than it is."""

    def tell(world: World, call: Call) -> Response:
        page = call.honest(GetGroupResponse)
        return but(page, recryption_group=show(world, page.recryption_group))

    return tell


def of_members(change: Callable[[MemberEntry], MemberEntry]) -> Show:
    """Show each member otherwise."""
    return lambda _world, group: but(group, members=tuple(map(change, group.members)))


def swapped(world: World, group: RecryptionGroup) -> RecryptionGroup:
    """Exchange the entries of Bob and Carol."""
    bob, carol = (world.member(name).entry for name in ("bob", "carol"))
    others = {bob.recrypt_udf: carol.entries, carol.recrypt_udf: bob.entries}
    members = (
        but(each, entries=others.get(each.recrypt_udf, each.entries)) for each in group.members
    )
    return but(group, members=tuple(members))


def revived(entry: MemberEntry) -> MemberEntry:
    return but(entry, status=Status.ACTIVE)


def pages_without_end(world: World, call: Call) -> Response:
    return but(call.honest(GetGroupResponse), next=world.member("bob").profile.identifier)


def newer(*profiles: Callable[[World], Jws]) -> Tell:
    """Hand on these as members' newer profiles."""

    def tell(world: World, call: Call) -> Response:
        stated = tuple(profile(world) for profile in profiles)
        return but(call.honest(GetGroupResponse), newer_profiles=stated)

    return tell


def forged_profile(world: World) -> Jws:
    """Put words of our own under Bob's signature."""
    bob, own = world.records.profiles[-1], new_person("bob@example.org").changed(seconds=10**6)
    return but(bob, payload=own.signed.payload)


def mail_off(udf: Callable[[World], Udf]) -> Tell:
    """Say that a member gets no mail."""
    return lambda world, call: but(call.honest(GetGroupResponse), undeliverable=(udf(world),))


NOT_AS = "ISN'T WHAT THE HISTORY HAS"
UNSIGNED = "AN ENTRY THAT NO ADMINISTRATOR HAS SIGNED"
GROUPS: Final = (
    Lie(
        "a ghost among the members",
        "GetGroup",
        shown(lambda _world, group: but(group, members=(*group.members, ghost().entry))),
        VERIFY,
        "A GHOST",
    ),
    Lie(
        "a ghost among the members, to who asks for them",
        "GetGroup",
        shown(lambda _world, group: but(group, members=(*group.members, ghost().entry))),
        MEMBERS,
        end=End.IN_VAIN,
    ),
    Lie(
        "a member left out",
        "GetGroup",
        shown(lambda _world, group: but(group, members=group.members[1:])),
        VERIFY,
        "LEFT OUT",
    ),
    Lie("two members' entries swapped", "GetGroup", shown(swapped), VERIFY, UNSIGNED),
    Lie("a removed member as ACTIVE", "GetGroup", shown(of_members(revived)), VERIFY, UNSIGNED),
    Lie(
        "the old group key in the group",
        "GetGroup",
        shown(
            lambda world, group: but(group, current_encryption_key=world.records.keys[0].signed_key)
        ),
        VERIFY,
        NOT_AS,
    ),
    Lie(
        "AdministratorKeys left out",
        "GetGroup",
        shown(lambda _world, group: but(group, administrator_keys=())),
        VERIFY,
        NOT_AS,
    ),
    Lie(
        "another group's AdministratorKeys",
        "GetGroup",
        shown(
            lambda world, group: but(
                group, administrator_keys=world.state(OTHER).administrator_keys
            )
        ),
        VERIFY,
        NOT_AS,
    ),
    Lie(
        "another Policy",
        "GetGroup",
        shown(lambda _world, group: but(group, policy=Policy(keep=1))),
        VERIFY,
        NOT_AS,
    ),
    Lie(
        "a Master in the group with an escrow key of the service's",
        "GetGroup",
        shown(lambda world, group: but(group, master=smuggled(world.state().master.signed))),
        VERIFY,
        NOT_AS,
    ),
    Lie(
        "another head than the history's",
        "GetGroup",
        lambda _world, call: but(call.honest(GetGroupResponse), head=Head(3, "A" * 43)),
        VERIFY,
        "SHOWS TWO HEADS",
    ),
    Lie(
        "members' pages without end",
        "GetGroup",
        pages_without_end,
        (*MEMBERS, *VERIFY, f"alice refresh {TEAM}", f"alice rekey {TEAM}"),
        "shows more members",
    ),
    Lie(
        "a next page that is no member",
        "GetGroup",
        lambda _world, call: but(call.honest(GetGroupResponse), next="../../etc/passwd"),
        (*MEMBERS, *VERIFY, f"alice refresh {TEAM}"),
        f"the members of {TEAM}",
    ),
    Lie(
        "mail off to a ghost",
        "GetGroup",
        mail_off(lambda _world: ghost().entry.recrypt_udf),
        MEMBERS,
        end=End.IN_VAIN,
    ),
    Lie(
        "mail off to who gets it",
        "GetGroup",
        mail_off(lambda world: world.member("bob").profile.identifier),
        MEMBERS,
        "to whom it sends no mail",
        End.UNSEEN,
    ),
    Lie(
        "a forged newer profile",
        "GetGroup",
        newer(forged_profile),
        (f"alice refresh {TEAM}", f"alice rekey {TEAM}", *VERIFY),
        "a newer profile of a member",
    ),
    Lie(
        "a stranger's profile as newer",
        "GetGroup",
        newer(lambda _world: new_person("bob@example.org").changed(seconds=10**6).signed),
        (f"alice refresh {TEAM}",),
        "No newer profile waits",
        End.IN_VAIN,
    ),
    Lie(
        "a newer profile that isn't the newest that was seen",
        "GetGroup",
        newer(lambda world: world.records.profiles[0]),
        (f"alice refresh {TEAM}",),
        "a profile older than one that was seen before",
        End.IN_VAIN,
    ),
    Lie(
        "no newer profile, where one was sent",
        "GetGroup",
        newer(),
        (f"alice refresh {TEAM}",),
        "a newer profile that a member has sent",
        End.UNSEEN,
    ),
)
