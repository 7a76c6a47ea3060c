"""What docs/openapi.json and docs/messages.md say is what the code does (spec §5, §6)."""

from pathlib import Path

import pytest
import schemathesis
from jsonschema_rs import Draft202012Validator

from recrypt_core.agreement import Split, halves_match
from recrypt_core.encoding import JsonObject, read_b64url, read_json, read_object, write_json
from recrypt_core.keys import PrivateKey
from recrypt_core.limits import REQUEST_OCTETS
from recrypt_core.messages import Request, read_message, read_response, write_message
from recrypt_core.messages import write_response as write_answer
from recrypt_core.opening import open_whole
from recrypt_core.signing import read_request
from reference.__main__ import DOCS, made
from reference.cast import read_cast
from reference.examples import examples, signed_body
from reference.openapi import UNSIGNED, document
from reference.page import rules
from reference.schemas import REF, REQUESTS, SIGNED, response_of
from tests.fakes import open_bench

CAST = read_cast()
EXAMPLES = examples(CAST)
DOCUMENT = document(CAST)


def fits(name: str, value: JsonObject) -> None:
    """Refuse a value that isn't as the document's schema of a name says."""
    Draft202012Validator({**DOCUMENT, "$ref": REF + name}).validate(value)


def read(octets: bytes) -> JsonObject:
    return read_json(octets, limit=REQUEST_OCTETS)


@pytest.mark.parametrize("name", ["openapi.json", "messages.md"])
def test_the_page_is_what_the_code_and_the_spec_make(name: str) -> None:
    kept = (DOCS / name).read_text("utf-8")
    assert kept == made()[name], f"docs/{name} is not current: run `make reference`"


def test_the_document_is_openapi() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()


@pytest.mark.parametrize("kind", REQUESTS)
def test_each_transaction_has_its_rules_in_the_spec(kind: type[Request]) -> None:
    who, does = rules(kind.transaction, (DOCS / "spec.md").read_text("utf-8"))
    assert who
    assert does


@pytest.mark.parametrize("kind", REQUESTS)
def test_each_example_is_read_as_it_was_written_and_fits_its_schema(kind: type[Request]) -> None:
    name = kind.transaction
    example = EXAMPLES[name]
    asked, answered = write_message(example.request), write_answer(name, example.response)
    assert read_message(asked) == example.request
    fits(f"{name}Message", read(asked))
    assert isinstance(example.response, response_of(kind))
    whole = read_response(answered, name, response_of(kind), limit=REQUEST_OCTETS)
    assert whole == example.response
    fits(f"{name}Answer", read(answered))


def test_the_signed_example_is_alices_and_its_half_is_bobs() -> None:
    body = signed_body(CAST)
    fits("SignedRequest", body)
    request = read_request(write_json(body))
    payload = request.verify(CAST.signature("alice online").public)
    assert read_message(payload) == EXAMPLES["AddMember"].request
    fits("RequestHeader", read(read_b64url(request.jws.protected)))
    ((_, half),) = request.halves.items()
    entry = CAST.bobs_entry
    assert halves_match(Split.SUM, half, entry.decryption_public, CAST.group_key.udf)
    opened = open_whole(entry.decryption_key.envelope, [CAST.agreement("bob device")])
    assert PrivateKey.from_secret_jwk(read(opened)).public == entry.decryption_public


@pytest.mark.asyncio
async def test_what_the_document_calls_unsigned_is_what_the_service_takes_unsigned(
    tmp_path: Path,
) -> None:
    taken = []
    async with open_bench(tmp_path) as bench:
        for kind in REQUESTS:
            body = write_message(EXAMPLES[kind.transaction].request)
            _, answer = await bench.transactions.answer(body, signed=False)
            if "must be signed" not in answer.status_description:
                taken.append(kind)
    assert set(taken) == set(UNSIGNED)


def test_every_schema_is_used_but_those_of_what_is_signed() -> None:
    components = read_object(DOCUMENT["components"], what="the document")
    schemas = read_object(components["schemas"], what="the document")
    text = write_json(DOCUMENT).decode()
    unused = {name for name in schemas if f'"{REF}{name}"' not in text}
    assert unused == {kind.__name__ for kind in SIGNED}
