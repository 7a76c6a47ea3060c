"""What a lie is, and the lies about the key that the world encrypts to (spec §6, GetKey).

Each row: what it is called, in which transaction it is told, what is told, to which commands, and
what must come of it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from msgspec.structs import replace as but

from recrypt_core.documents import (
    sign_group_key,
)
from recrypt_core.encoding import JsonObject, read_b64url, read_json, write_b64url, write_json
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import (
    GetKeyResponse,
    Response,
)
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Jws
from tests.builders import new_group
from tests.client.malicious_service import OTHER, Call, Tell, World
from tests.client.stage import TEAM, URL


class End(Enum):
    """What may come of a lie; a silent success is none of it."""

    REFUSED = "exit status 1, in words; nothing was shown, done or pinned"
    IN_VAIN = "what the person is shown is true all the same"
    UNSEEN = "nobody can see it: docs/guarantees.md has it in these words"


@dataclass(frozen=True)
class Lie:
    """One lie.

    Attributes:
        name: What it is.
        on: In which transaction it is told.
        tell: Gives the answer.
        commands: Who is lied to, doing what; `{}` is the folder, `{team}` the fingerprint.
        words: What they are told; for UNSEEN, the documentation's.
        end: What must come of it.
        before: What happens before it, with the honest service.
        first: What is done under the lie, and works.
        is_pinned: Whether something is pinned before it is found out: a key that is verified, or a
            change of one's own, which the service says that it has taken.
    """

    name: str
    on: str
    tell: Tell
    commands: tuple[str, ...]
    words: str = ""
    end: End = End.REFUSED
    before: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    is_pinned: bool = False


WRITERS: Final = (f"bob seal --to {TEAM}", f"bob encrypt {{}}/plan --to {TEAM}", f"bob key {TEAM}")
MEETING: Final = tuple(
    f"fred {command} {TEAM} --service {URL} --fingerprint {{team}}" for command in ("key", "join")
)
VERIFY: Final = (f"alice verify {TEAM}",)
ADMINISTRATORS: Final = tuple(
    f"alice {command}"
    for command in (
        f"members {TEAM}",
        f"history {TEAM}",
        f"verify {TEAM}",
        f"add {TEAM} {{}}/fred.json",
        f"delete {TEAM} bob@example.org",
        f"suspend {TEAM} bob@example.org",
        f"resume {TEAM} erin@example.org",
        f"redeliver {TEAM} bob@example.org --since 3d",
        f"rekey {TEAM}",
        f"set {TEAM} keep=1",
        f"refresh {TEAM}",
        f"audit {TEAM}",
        f"held {TEAM}",
        f"ban {TEAM} bob@example.org",
        f"unban {TEAM} bob@example.org",
        f"escrow {TEAM} --out {{}}/again.escrow",
        f"requests {TEAM}",
        f"invite {TEAM} henry@example.org --show",
        f"watch {TEAM} --once",
        f"close {TEAM} --yes",
    )
)
LOOKS: Final = ADMINISTRATORS[:3]
ANOTHER_HISTORY: Final = "SHOWS ANOTHER HISTORY"
RECOVER: Final = f"notary recover {TEAM} {{}}/team.escrow"

# --- the key that the world encrypts to


def key_of(world: World, group: str) -> GetKeyResponse:
    """Give a group's key as it is."""
    state = world.state(group)
    return GetKeyResponse(signed_key=state.key.signed, master=state.master.signed)


def own_key(_world: World, _call: Call) -> Response:
    own = new_group(TEAM)
    return GetKeyResponse(signed_key=own.signed_key.signed, master=own.master.signed)


def own_key_under_the_master(world: World, _call: Call) -> Response:
    return but(key_of(world, TEAM), signed_key=new_group(TEAM).signed_key.signed)


def stolen(world: World, group: str) -> SignaturePrivateKey:
    """Give the online key of a group, as who stole it from Alice."""
    (online,) = world.state(group).master.profile.online_signature_keys
    key = world.stage.keys("alice").signature_key(online.udf)
    assert key is not None
    return key


def key_signed_for(group: str) -> Tell:
    """Show a key of our own, signed by the online key of this group."""

    def tell(world: World, _call: Call) -> Response:
        stated = but(
            world.state().key.document, encryption_key=PrivateKey.generate(Curve.X25519).public
        )
        signed = sign_group_key(stated, stolen(world, group)).signed
        return but(key_of(world, TEAM), signed_key=signed)

    return tell


def smuggled(signed: Jws) -> Jws:
    """Put an escrow key of our own into a Master."""
    stated: JsonObject = read_json(read_b64url(signed.payload), limit=2**20)
    stated["MasterEscrowKeys"] = [PrivateKey.generate(Curve.X25519).public.named_jwk()]
    return but(signed, payload=write_b64url(write_json(stated)))


def smuggled_escrow(world: World, _call: Call) -> Response:
    answer = key_of(world, TEAM)
    return but(answer, master=smuggled(answer.master))


KEYS: Final = (
    Lie("its own key", "GetKey", own_key, WRITERS, "ITS FINGERPRINT HAS CHANGED"),
    Lie("its own key, to a newcomer", "GetKey", own_key, MEETING, "NOT THE ONE THAT YOU GAVE"),
    Lie(
        "its own key, to a newcomer without a fingerprint",
        "GetKey",
        own_key,
        (f"fred key {TEAM} --service {URL}",),
        "another group by the name, to who has no fingerprint of it",
        End.UNSEEN,
    ),
    Lie(
        "its own key under the group's Master",
        "GetKey",
        own_key_under_the_master,
        (*WRITERS, *MEETING, RECOVER),
        "no online key of the group's Master signed",
    ),
    Lie(
        "a key that another group's online key signed",
        "GetKey",
        key_signed_for(OTHER),
        (*WRITERS, *MEETING),
        "no online key of the group's Master signed",
    ),
    Lie(
        "another key of the same generation, signed by a stolen online key",
        "GetKey",
        key_signed_for(TEAM),
        WRITERS,
        "ANOTHER GROUP KEY of generation 2",
    ),
    Lie(
        "another group's key",
        "GetKey",
        lambda world, _call: key_of(world, OTHER),
        (*WRITERS, *MEETING, RECOVER),
        "Accounts are not the GroupName",
    ),
    Lie(
        "the old key after a rekey",
        "GetKey",
        lambda world, _call: world.records.keys[-2],
        WRITERS,
        "AN OLD GROUP KEY, generation 2 where 3 was seen",
        before=(f"alice rekey {TEAM}", f"bob key {TEAM}"),
    ),
    Lie(
        "the old key after a rekey, to senders alone",
        "GetKey",
        lambda world, _call: world.records.keys[-1],
        VERIFY,
        "SHOWS SENDERS ANOTHER KEY",
        before=(f"alice rekey {TEAM}",),
    ),
    Lie(
        "the old Master, with the online key of who was removed",
        "GetKey",
        lambda world, _call: world.records.keys[0],
        WRITERS,
        "a profile older than one that was seen before",
    ),
    Lie(
        "a Master with an escrow key of the service's",
        "GetKey",
        smuggled_escrow,
        (*WRITERS, *MEETING, RECOVER),
        "was changed or forged",
    ),
    Lie("another group of that name", "GetKey", own_key, (RECOVER,), "the group's fingerprint is"),
)
