"""Members who list keys of others in their profiles, and get in by a client that doesn't look."""

from collections.abc import Callable, Mapping
from typing import Final

from recrypt_client import custody, entries
from recrypt_client.service import Service
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege
from recrypt_core.encoding import write_json
from recrypt_core.keys import PublicKey
from recrypt_core.messages import AddMember, ChangeResponse, write_message
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import Link, request_body, sign_request
from tests.builders import Person, new_person
from tests.client.stage import TEAM, URL, Stage

MALLORY: Final = "mallory@example.org"


def state(stage: Stage) -> GroupState:
    assert stage.service.state is not None
    return stage.service.state


def escrowed(stage: Stage) -> None:
    """Let Alice make the team, with Bob as a member and the notary's key as escrow."""
    stage.person("alice")
    notary = str(stage.person("notary"))
    stage.does("alice", "create", TEAM, "--service", URL, "--escrow", notary)
    stage.does("alice", "add", TEAM, str(stage.person("bob")))


def device(stage: Stage, who: str) -> PublicKey:
    (key,) = stage.keys(who).profile().profile.encryption_keys
    return key


def online(stage: Stage, who: str) -> SignaturePublicKey:
    (key,) = stage.keys(who).profile().profile.online_signature_keys
    return key


def _master(stage: Stage, who: str) -> SignaturePublicKey:
    return stage.keys(who).profile().profile.master_signature_key


Listed = PublicKey | SignaturePublicKey

LISTED: Final[Mapping[str, Callable[[Stage], Listed]]] = {
    "a member's device": lambda stage: device(stage, "bob"),
    "a member's online key": lambda stage: online(stage, "bob"),
    "a member's master key": lambda stage: _master(stage, "bob"),
    "an administrator's device": lambda stage: device(stage, "alice"),
    "an administrator's online key": lambda stage: online(stage, "alice"),
    "an escrow key": lambda stage: device(stage, "notary"),
    "the group's key": lambda stage: state(stage).key.document.encryption_key,
    "the Master's online key": lambda stage: state(stage).master.profile.online_signature_keys[0],
    "the Master's master key": lambda stage: state(stage).master.profile.master_signature_key,
}
"""What a malicious member lists as her own."""


def with_key(key: Listed) -> dict[str, object]:
    """Say what a profile has more, behind the keys of its own that `listing` puts there."""
    kind = "encryption_keys" if isinstance(key, PublicKey) else "online_signature_keys"
    return {kind: (key,)}


def listing(key: Listed, address: str = MALLORY) -> Person:
    """Make somebody whose profile has a key of another's among its own."""
    person = new_person(address)
    ((kind, added),) = with_key(key).items()
    own = getattr(person.verified.profile, kind)
    assert isinstance(added, tuple)
    return person.changed(**{kind: (*own, *added)})  # type: ignore[arg-type]  # fields by name


def written(stage: Stage, person: Person) -> str:
    """Write a profile to a file; give its name."""
    file = stage.folder / f"{person.address}.json"
    file.write_bytes(write_json(person.signed.json()))
    return str(file)


def let_in(stage: Stage, person: Person, *privileges: Privilege) -> None:
    """Let Alice add somebody with a client that doesn't look at keys."""
    home, at = stage.keys("alice"), state(stage)
    powers = privileges or (Privilege.RECRYPT,)
    made = entries.member(person.verified, custody.group_key(home, at), privileges=powers)
    message = AddMember(recryption_group=at.identifier, member_entry=(made.entry,))
    link = Link(at.identifier, at.head.seq + 1, at.head.hash)
    key = home.signing_key(home.profile())
    signed = sign_request(write_message(message), key, url=URL, now=stage.now, link=link)
    with Service(URL, stage.service.transport) as service:
        service.send(request_body(signed, made.halves), message.transaction, ChangeResponse)
