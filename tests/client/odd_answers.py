"""Lies in what is the service's word alone; and answers that are none, or have no end."""

from collections.abc import Iterator
from typing import Final

import httpx2

from recrypt_core.messages import (
    GetAudit,
    GetAuditResponse,
    GetJoinRequestsResponse,
    RedeliverResponse,
    Response,
    write_response,
)
from recrypt_core.records import AuditEntry, AuditResult, JoinRequest
from tests.builders import new_person
from tests.client.change_lies import ADD, READ
from tests.client.group_lies import MEMBERS
from tests.client.history_lies import history
from tests.client.lies import RECOVER, VERIFY, End, Lie
from tests.client.malicious_service import Call, Tell, World
from tests.client.stage import TEAM

AUDIT: Final = (f"alice audit {TEAM}",)
KEY: Final = (f"bob key {TEAM}",)

# --- what is the service's word alone


def row(world: World, seq: int) -> AuditEntry:
    """Make up a row of the log."""
    bob = world.member("bob")
    return AuditEntry(
        seq=seq,
        time=world.stage.now,
        recrypt_udf=bob.profile.identifier,
        member_key_udf=bob.entry.entries[0].member_key_udf,
        ephemeral_udf=world.state().key.udf,
        result=AuditResult.DONE,
    )


def rows(*seqs: int) -> Tell:
    return lambda world, _call: GetAuditResponse(entries=tuple(row(world, seq) for seq in seqs))


def rows_without_end(world: World, call: Call) -> Response:
    """Make up a row, and say that there are more."""
    assert isinstance(call.message, GetAudit)
    made = row(world, call.message.after + 1)
    return GetAuditResponse(entries=(made,), next=made.seq)


def asks_as(address: str) -> Tell:
    """Have somebody of our own wait for a decision, under this address."""

    def tell(world: World, _call: Call) -> Response:
        person = new_person(address)
        request = JoinRequest(account_name=address, profile=person.signed, since=world.stage.now)
        return GetJoinRequestsResponse(join_requests=(request,))

    return tell


def requests_without_end(world: World, _call: Call) -> Response:
    return GetJoinRequestsResponse(join_requests=(), next=world.member("bob").profile.identifier)


WORDS: Final = (
    Lie("a log out of order", "GetAudit", rows(2, 1), AUDIT, "shows its log"),
    Lie("a log without end", "GetAudit", rows_without_end, AUDIT, "shows no end of its log"),
    Lie(
        "a log that was cut off",
        "GetAudit",
        rows(),
        AUDIT,
        "who asked for a recryption",
        End.UNSEEN,
        before=READ,
    ),
    Lie(
        "another number of posts that are sent late",
        "Redeliver",
        lambda _world, _call: RedeliverResponse(posts=7),
        (f"alice redeliver {TEAM} bob@example.org --since 3d",),
        "how many posts it sends late",
        End.UNSEEN,
    ),
    Lie(
        "a profile that isn't passed on",
        "UpdateProfile",
        lambda _world, _call: Response(),
        (f"bob profile publish {TEAM}",),
        "a newer profile that a member has sent",
        End.UNSEEN,
    ),
    Lie(
        "its own applicant, as an author who is known",
        "GetJoinRequests",
        asks_as("bob@example.org"),
        (f"alice approve {TEAM} bob@example.org",),
        "but WAS",
    ),
    Lie(
        "its own applicant, as somebody who isn't",
        "GetJoinRequests",
        asks_as("zoe@example.org"),
        (f"alice requests {TEAM}",),
        "that an applicant's address was proven",
        End.UNSEEN,
    ),
    Lie(
        "applicants without end",
        "GetJoinRequests",
        requests_without_end,
        (f"alice requests {TEAM}", f"alice approve {TEAM} zoe@example.org"),
        "shows no end of who waits",
    ),
    Lie(
        "a rollback, to who recovers a group",
        "GetChanges",
        history(lambda _world, changes: changes[:6]),
        (RECOVER,),
        "AN OLD GROUP KEY",
        is_pinned=True,
    ),
)

# --- answers that are none


def octets(content: bytes, status: int = 200) -> Tell:
    return lambda _world, _call: httpx2.Response(status, content=content)


def without_end(_world: World, _call: Call) -> httpx2.Response:
    def spaces() -> Iterator[bytes]:
        while True:
            yield b" " * 2**20

    return httpx2.Response(200, content=spaces())


def under_http(status: int, stated: Response | None) -> Tell:
    """Answer with another status of HTTP than the message states."""

    def tell(_world: World, call: Call) -> httpx2.Response:
        name = call.message.transaction
        content = write_response(name, stated or call.pass_on())
        return httpx2.Response(status, content=content)

    return tell


NONE_AT_ALL: Final = {
    "nothing": b"",
    "a web page": b"<html>It works!</html>",
    "a list": b"[]",
    "an object of nothing": b"{}",
    "a list as message": b'{"GetKeyResponse":[]}',
    "a status of another type": b'{"GetKeyResponse":{"Status":"201"}}',
    "success without its members": b'{"GetKeyResponse":{"Status":201}}',
    "members of other types": b'{"GetKeyResponse":{"Status":201,"SignedKey":7,"Master":[]}}',
    "a refusal that is none": b'{"RecryptResponse":{"Status":201}}',
    "a list as refusal": b'{"RecryptResponse":[]}',
    "another message": b'{"HelloResponse":{"Status":201}}',
    "a member twice": b'{"GetKeyResponse":{"Status":201,"Status":404}}',
    "octets that are no text": b"\xff" * 100,
    "brackets without end": b"[" * 100_000,
}
OCTETS: Final = (
    *(
        Lie(
            f"an answer of {what}",
            "GetKey",
            octets(content),
            KEY,
            "which may be no recrypt service",
        )
        for what, content in NONE_AT_ALL.items()
    ),
    Lie("an answer without end", "GetKey", without_end, KEY, "an answer of over"),
    Lie(
        "an answer without end, to a change",
        "AddMember",
        without_end,
        (ADD,),
        "an answer of over",
    ),
    Lie(
        "words that move the cursor",
        "GetKey",
        octets(b'{"GetKeyResponse":{"Status":500,"StatusDescription":"a\\nb\\u001b[2J"}}'),
        KEY,
        "500 a",
    ),
    Lie(
        "201 of HTTP over a refusal",
        "GetKey",
        under_http(201, Response(status=404, status_description="Refused: by a lie.")),
        KEY,
        "404 Refused: by a lie",
    ),
    Lie(
        "404 of HTTP over what was asked for",
        "GetKey",
        under_http(404, None),
        KEY,
        end=End.IN_VAIN,
    ),
    Lie("a redirection", "GetKey", octets(b"", 302), KEY, "which may be no recrypt service"),
    Lie(
        "an answer of nothing, to who verifies",
        "GetKey",
        octets(b""),
        VERIFY,
        "which may be no recrypt service",
    ),
    Lie("an answer of nothing, to a change", "AddMember", octets(b""), (ADD,), "recrypt service"),
    Lie(
        "an answer of nothing, about members", "GetGroup", octets(b"{}"), MEMBERS, "recrypt service"
    ),
)
