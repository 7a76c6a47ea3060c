"""Lies about what is done to a group, and about what a member may read in it."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace as but

from recrypt_core.agreement import partial
from recrypt_core.documents import (
    Head,
    UserDecryptionEntry,
)
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import read_envelope
from recrypt_core.keys import PublicKey
from recrypt_core.messages import (
    ChangeResponse,
    GetChanges,
    GetChangesResponse,
    GetEntryResponse,
    RecryptData,
    RecryptDataResponse,
    Response,
)
from recrypt_core.signing import read_request
from tests.client.group_lies import MEMBERS
from tests.client.lies import (
    ANOTHER_HISTORY,
    LOOKS,
    WRITERS,
    End,
    Lie,
)
from tests.client.malicious_service import OTHER, Call, RealService, Tell, World
from tests.client.stage import TEAM, URL

READ: Final = ("bob decrypt {}/plan.mmx",)
ADD: Final = f"alice add {TEAM} {{}}/fred.json"

# --- what is changed


def another_head(_world: World, call: Call) -> Response:
    call.pass_on()
    return ChangeResponse(head=Head(12, "A" * 43))


def not_done(_world: World, call: Call) -> Response:
    """Say that a change was taken, which was thrown away."""
    signed = read_request(call.body)
    assert signed.link is not None
    return ChangeResponse(head=Head(signed.link.seq, signed.jws.hash))


def not_kept(world: World, call: Call) -> Response:
    """Say that a change was taken, show it to who looks at once, and throw it away."""
    signed = read_request(call.body)
    assert signed.link is not None
    head = Head(signed.link.seq, signed.jws.hash)

    def show(_world: World, asked: Call) -> Response:
        is_look = isinstance(asked.message, GetChanges) and asked.message.limit == 1
        return GetChangesResponse(changes=(signed.jws,), head=head) if is_look else asked.pass_on()

    world.lies("GetChanges", show)
    return not_done(world, call)


def says(status: int, *, does: bool = False) -> Tell:
    """Refuse, whether or not it is done."""

    def tell(world: World, call: Call) -> Response:
        if does:
            world.take(call)
        return Response(status=status, status_description="Refused: by a lie.")

    return tell


def passed_on(world: World, call: Call) -> Response:
    """Have a request answered by another service, which has the same groups."""
    world.real.close()
    elsewhere = RealService(world.stage, url="https://other.example")
    try:
        return elsewhere.answer(call.body, signed=call.is_signed)
    finally:
        elsewhere.close()
        world.real = RealService(world.stage)


SAID_SO: Final = "SAID THAT IT TOOK change"
CHANGED: Final = {
    "AddMember": ADD,
    "UpdateMember": f"alice delete {TEAM} bob@example.org",
    "UpdateGroup": f"alice set {TEAM} keep=1",
}
REFUSALS: Final = {
    401: "clock",
    403: "right",
    404: "name",
    409: "again",
    429: "later",
    503: "later",
}
CHANGES: Final = (
    *(
        Lie(f"{on}: taken, with another head", on, another_head, (command,), ANOTHER_HISTORY)
        for on, command in CHANGED.items()
    ),
    *(
        Lie(f"{on}: taken, but it isn't", on, not_done, (command,), SAID_SO, is_pinned=True)
        for on, command in CHANGED.items()
    ),
    *(
        Lie(
            f"{on}: taken, shown once, then thrown away",
            on,
            not_kept,
            (*LOOKS, f"alice rekey {TEAM}"),
            f"{ANOTHER_HISTORY}: it goes back before change 13",
            before=(f"alice refresh {TEAM}",),
            first=(command,),
        )
        for on, command in CHANGED.items()
    ),
    Lie(
        "a rekey whose entries aren't taken",
        "UpdateMember",
        not_done,
        (f"alice rekey {TEAM}",),
        SAID_SO,
        is_pinned=True,
    ),
    Lie(
        "CreateGroup: taken, with another head",
        "CreateGroup",
        lambda _world, _call: ChangeResponse(head=Head(1, "A" * 43)),
        (f"alice create new@lists.example --service {URL}",),
        ANOTHER_HISTORY,
    ),
    Lie(
        "CreateGroup: taken, but it isn't",
        "CreateGroup",
        not_done,
        (f"alice create new@lists.example --service {URL}",),
        "refused",
    ),
    *(
        Lie(
            f"AddMember: {status}, where nothing is wrong", "AddMember", says(status), (ADD,), words
        )
        for status, words in REFUSALS.items()
    ),
    Lie("GetKey: 404, where there is one", "GetKey", says(404), WRITERS, "404"),
    Lie("GetChanges: 404, where there are some", "GetChanges", says(404), LOOKS, "404"),
    Lie(
        "AddMember: 409, but it is done",
        "AddMember",
        says(409, does=True),
        (ADD,),
        "was so already",
        End.IN_VAIN,
    ),
    *(
        Lie(f"{on}: passed on to another service", on, passed_on, (command,), "401")
        for on, command in {**CHANGED, "GetChanges": MEMBERS[0], "GetEntry": READ[0]}.items()
    ),
)

# --- what a member reads


def entry(name: str, group: str = TEAM) -> Callable[[World], UserDecryptionEntry]:
    """Give somebody's entry for the current key."""

    def find(world: World) -> UserDecryptionEntry:
        found = world.member(name, group).entry_for(world.state(group).key.udf)
        assert found is not None
        return found

    return find


def renamed(name: str, group: str) -> Callable[[World], UserDecryptionEntry]:
    """Give an entry under the name of the team's current key."""
    return lambda world: but(entry(name, group)(world), encryption_key_udf=world.state().key.udf)


def entries(*shown: Callable[[World], UserDecryptionEntry]) -> Tell:
    return lambda world, _call: GetEntryResponse(entries=tuple(each(world) for each in shown))


def part(half_of: Callable[[World], UserDecryptionEntry], *, of: str | None = None) -> Tell:
    """Give a partial that was made with somebody's half, perhaps of another file."""

    def tell(world: World, call: Call) -> Response:
        assert isinstance(call.message, RecryptData)
        epk: PublicKey = call.message.recipient.header.epk
        if of is not None:
            epk = read_envelope((world.stage.folder / of).read_bytes()).recipients[0].epk
        made = partial(world.records.halves[half_of(world).member_key_udf], epk)
        return but(call.honest(RecryptDataResponse), partial=write_b64url(made))

    return tell


NO_GOOD: Final = "WHAT IT ANSWERED DOESN'T OPEN"
NOT_ASKED: Final = "another entry than the one that was asked about"
NO_HALVES: Final = "halves don't make up the group's key"
READING: Final = (
    Lie("another member's entry", "GetEntry", entries(entry("carol")), READ, "none of the keys"),
    Lie(
        "an entry of another group, with the same X",
        "GetEntry",
        entries(renamed("bob", OTHER)),
        READ,
        NO_HALVES,
    ),
    Lie("no entry", "GetEntry", entries(), READ, "has no entry of yours"),
    Lie("a member's entry refused", "GetEntry", says(403), READ, "403"),
    Lie(
        "a wrong partial",
        "RecryptData",
        lambda _world, call: but(
            call.honest(RecryptDataResponse), partial=write_b64url(bytes(range(32)))
        ),
        READ,
        NO_GOOD,
    ),
    Lie(
        "a partial of no length",
        "RecryptData",
        lambda _world, call: but(call.honest(RecryptDataResponse), partial=""),
        READ,
        NO_GOOD,
    ),
    Lie("another member's partial", "RecryptData", part(entry("carol")), READ, NO_GOOD),
    Lie("a partial of another group", "RecryptData", part(entry("bob", OTHER)), READ, NO_GOOD),
    Lie("a replayed partial", "RecryptData", part(entry("bob"), of="second.mmx"), READ, NO_GOOD),
    Lie(
        "another member's DecryptionKey",
        "RecryptData",
        lambda world, call: but(
            call.honest(RecryptDataResponse),
            decryption_key=entry("carol")(world).decryption_key,
        ),
        READ,
        NOT_ASKED,
    ),
    Lie("RecryptData refused for ever", "RecryptData", says(429), READ, "429"),
)
