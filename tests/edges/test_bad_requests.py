"""Bad requests, made of the OpenAPI document: 4xx, in the documented form and words, and no fault.

schemathesis makes bodies that fit the document and bodies that break it. What is to be signed is
made as its payload, with names and keys that the service knows, so that it gets past the door.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from listserver.edges.service import PATH, PLAIN, SIGNED, application
from recrypt_core.documents import (
    CreateAuthorization,
    Head,
    JoinAnswer,
    sign_create,
    sign_join,
)
from recrypt_core.encoding import JsonObject, JsonValue, read_object, write_time
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import Change
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import Link, request_body, sign_request
from recrypt_core.wire import to_json
from reference.cast import read_cast
from reference.openapi import UNSIGNED, document
from reference.schemas import REF, REQUESTS
from tests.builders import (
    NOW,
    TEAM,
    URL,
    History,
    Membership,
    Person,
    new_group,
    new_membership,
    new_person,
    signed_group_key,
)
from tests.fakes import Bench, administrator, open_bench
from tests.sites import client_of

EXAMPLES: Final = 50  # of each kind and mode: in all some ten seconds
MAY_BE: Final = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
KNOWN: Final = f"{REF}Known"
CHANGES: Final = {kind.transaction for kind in REQUESTS if issubclass(kind, Change)}


@dataclass
class World:
    """A list of Alice's with Bob on it; Carol isn't."""

    bench: Bench
    client: httpx2.AsyncClient
    runner: asyncio.Runner
    history: History
    people: tuple[Person, Person, Person]
    memberships: tuple[Membership, ...]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def signers(self) -> list[SignaturePrivateKey]:
        """Whose key a request may be signed by: anybody's."""
        return [*(person.online for person in self.people), self.history.group.master.online]

    def post(self, body: bytes, kind: str) -> httpx2.Response:
        """Send it."""
        sent = self.client.post(PATH, content=body, headers={"Content-Type": kind})
        response = self.runner.run(sent)
        self.answers[response.text.partition("Response")[0][2:], response.status_code] += 1
        return response

    def signed(self, payload: bytes, key: SignaturePrivateKey) -> bytes:
        """Sign it, as a change at its place in the chain, with the halves that are known here."""
        group = self.history.group.master.udf
        link = None
        if any(f'"{name}'.encode() in payload[:20] for name in CHANGES):
            head = self.runner.run(self.head())
            link = Link(group, head.seq + 1, head.hash)
        made = sign_request(payload, key, url=URL, now=NOW, link=link)
        halves = {udf: half for each in self.memberships for udf, half in each.halves.items()}
        beside = {udf: half for udf, half in halves.items() if udf.encode() in payload}
        return request_body(made, beside)

    async def head(self) -> Head:
        """Look up where the chain ends."""
        async with self.bench.store.begin() as work:
            found = await work.find_list(TEAM)
        assert found is not None
        return found.state.head


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Open a server with a list, in a loop that every example runs in."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield runner.run(_opened(stack, tmp_path, runner))
        finally:
            runner.run(stack.aclose())


async def _opened(stack: AsyncExitStack, folder: Path, runner: asyncio.Runner) -> World:
    bench = await stack.enter_async_context(open_bench(folder))
    site = client_of(application(bench.transactions, bench.log))
    client = await stack.enter_async_context(site)
    group = new_group()
    alice, bob, carol = (new_person(f"{name}@example.org") for name in ("alice", "bob", "carol"))
    members = (administrator(alice, group), new_membership(bob, group.key))
    history = await bench.create(group, *members, authorised=alice)
    others = (new_membership(carol, group.key), new_membership(bob, group.key))
    return World(bench, client, runner, history, (alice, bob, carol), (*members, *others))


def known(world: World) -> dict[str, JsonValue]:
    """Give what the service knows, or nearly does, of each kind: by the schema's name."""
    group, (alice, bob, carol) = world.history.group, world.people
    entries = [entry for each in world.memberships for entry in each.entry.entries]
    create = CreateAuthorization(
        group_identifier=group.master.udf, group_name=TEAM, url=URL, iat=int(NOW.timestamp())
    )
    answer = JoinAnswer(
        group_identifier=group.master.udf, token="a" * 26, account_name=carol.address,
        identifier=carol.udf,
    )  # fmt: skip
    newer = [person.changed().signed for person in world.people]
    other = signed_group_key(group.master, PrivateKey.generate(Curve.P256), generation=2)
    jws = [person.signed for person in (alice, bob, carol, group.master)] + newer
    jws += [sign_create(create, alice.online), sign_join(answer, carol.online)]
    jws += [group.signed_key.signed, other.signed]
    keys = [entry.decryption_public for entry in entries]
    return {
        "GroupId": [TEAM, group.master.udf],
        "Account": [TEAM, *(person.address for person in world.people)],
        "UdfText": [group.master.udf, bob.udf, carol.udf, keys[1].udf, group.key.public.udf],
        "Jws": [each.json() for each in jws],
        "Time": [write_time(NOW), "2026-11-20T00:00:00Z", "9999-12-31T23:59:59.999999Z"],
        "UserDecryptionEntry": [to_json(entry) for entry in entries],
        "EphemeralKey": [group.key.public.jwk(), PrivateKey.generate(Curve.P256).public.jwk()],
        "MemberEntry": [to_json(each.entry) for each in world.memberships],
    }


def known_document(world: World) -> JsonObject:
    """Give the document with payloads in place of signed requests, and known things in them.

    Only bodies are made of the narrower schemas; answers are held against those of the document.
    """
    whole = document(read_cast())
    components = read_object(whole["components"], what="the document")
    schemas = read_object(components["schemas"], what="the document")
    narrow = _renamed(schemas)
    for schema in narrow.values():
        if isinstance(schema, dict) and "properties" in schema:
            schema["additionalProperties"] = False
    for name, values in known(world).items():
        narrow[name] = {"enum": values}
    signed = [kind.transaction for kind in REQUESTS if kind not in UNSIGNED]
    narrow["SignedRequest"] = {"oneOf": [{"$ref": f"{KNOWN}{name}Message"} for name in signed]}
    paths = read_object(whole["paths"], what="the document")
    operation = read_object(read_object(paths[PATH], what="a path")["post"], what="a path")
    bodies = _renamed(read_object(operation["requestBody"], what="an operation"))
    return {
        **whole,
        "paths": {PATH: {"post": {**operation, "requestBody": bodies}}},
        "components": {"schemas": schemas | {f"Known{name}": narrow[name] for name in narrow}},
    }


def _renamed(schemas: JsonObject) -> JsonObject:
    made: JsonObject = json.loads(json.dumps(schemas).replace(REF, KNOWN))
    return made


def octets_of(body: object) -> bytes:
    """Write a body; whole numbers as such, not as 1.0, which is a whole number to JSON schemas."""
    if isinstance(body, bytes):
        return body
    text = json.dumps(body)
    return json.dumps(json.loads(text, parse_float=_whole)).encode()


def _whole(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_bodies_made_of_the_document_are_answered_as_it_says(
    world: World, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(document(read_cast()))[PATH]["POST"]

    @settings(max_examples=EXAMPLES, suppress_health_check=MAY_BE)
    @given(operation.as_strategy(generation_mode=mode))
    def answered(case: Case[Any]) -> None:
        checked(world, case, octets_of(case.body))

    answered()
    assert world.answers["Recrypt", 400]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_signed_payloads_made_of_the_document_are_answered_as_it_says(
    world: World, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_dict(known_document(world))[PATH]["POST"]

    examples = EXAMPLES * (3 if mode is GenerationMode.POSITIVE else 1)

    @settings(max_examples=examples, suppress_health_check=MAY_BE)
    @given(operation.as_strategy(generation_mode=mode), st.integers(0, len(world.signers) - 1))
    def answered(case: Case[Any], signer: int) -> None:
        body = octets_of(case.body)
        if case.media_type == SIGNED:
            body = world.signed(body, world.signers[signer])
        checked(world, case, body)

    answered()
    met = {status for _, status in world.answers}
    assert met >= ({201, 400} if mode is GenerationMode.POSITIVE else {400})


def checked(world: World, case: Case[Any], body: bytes) -> None:
    """Send a body, and hold the answer against the document."""
    response = world.post(body, case.media_type or PLAIN)
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
    assert "service-fault" not in {name for name, _ in world.bench.log.events}
