"""Requests and responses of the service: names, defaults, what is passed over (spec §6)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from recrypt_core import messages
from recrypt_core.agreement import Split
from recrypt_core.documents import Head, RecryptionGroup
from recrypt_core.encoding import write_json
from recrypt_core.errors import Malformed
from recrypt_core.invitations import Invite, Invited
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import (
    ANY,
    AddMember,
    ChangeResponse,
    ConfirmJoin,
    CreateGroup,
    DenyJoin,
    GetAudit,
    GetAuditResponse,
    GetChanges,
    GetChangesResponse,
    GetEntry,
    GetEntryResponse,
    GetGroup,
    GetGroupResponse,
    GetHeldResponse,
    GetJoinRequests,
    GetJoinRequestsResponse,
    GetKey,
    GetKeyResponse,
    Hello,
    HelloResponse,
    JoinGroup,
    RecryptData,
    RecryptDataResponse,
    Redeliver,
    RedeliverResponse,
    Request,
    Response,
    UpdateGroup,
    UpdateMember,
    UpdateProfile,
    open_message,
    read_message,
    read_response,
    write_message,
    write_response,
)
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldPost
from recrypt_core.records import (
    AuditEntry,
    AuditResult,
    JoinRequest,
    MergedRecipient,
    RecipientHeader,
    ServiceLimits,
    Version,
)
from recrypt_core.wire import EphemeralKey
from recrypt_core.wishes import Mail, SetMail
from tests.builders import NOW, TEAM, create_message, new_group, new_membership, new_person

GROUP, ALICE = new_group(), new_person("alice@example.org")
MEMBERSHIP = new_membership(ALICE, GROUP.key)
SOME_UDF = "MBWMZ-A7GMP-GFSEZ-I5RRR-NZ3G2-I2VCN"  # spec §2: in names of tests, which stay the same
(ENTRY,) = MEMBERSHIP.entry.entries
EPK = PrivateKey.generate(Curve.X25519).public
HEAD = Head(1, "A" * 43)
LIMIT = 10**6

TOKEN = "e30"  # noqa: S105 - no invitation: the message doesn't read it
REQUESTS: list[Request] = [
    Hello(),
    GetKey(group_id=TEAM),
    create_message(GROUP, [MEMBERSHIP], ALICE.online),
    UpdateGroup(recryption_group=RecryptionGroup(group_name=TEAM)),
    GetGroup(group_id=GROUP.master.udf, after=ALICE.udf, limit=1000),
    GetChanges(group_id=TEAM, after=7),
    AddMember(recryption_group=GROUP.master.udf, member_entry=(MEMBERSHIP.entry,)),
    UpdateMember(recryption_group=GROUP.master.udf, member_entry=(MEMBERSHIP.entry,)),
    Redeliver(group_id=TEAM, recrypt_udf=ALICE.udf, since=NOW - timedelta(days=3)),
    GetEntry(group_id=TEAM),
    RecryptData(
        member_udf=ALICE.udf,
        member_key_udf=ENTRY.member_key_udf,
        group_key_id=ENTRY.encryption_key_udf,
        recipient=MergedRecipient(
            header=RecipientHeader(
                alg="ECDH-ES+A256KW",
                kid=ENTRY.encryption_key_udf,
                epk=EphemeralKey(EPK.curve, EPK.x),
            ),
            encrypted_key="AAAA",
        ),
        encrypted=True,
    ),
    GetAudit(group_id=TEAM, after=7, limit=2),
    UpdateProfile(profile=ALICE.signed),
    SetMail(group_name=TEAM, profile=ALICE.signed, mail=Mail.PAUSED, own_posts=False),
    JoinGroup(group_name=TEAM, account_name=ALICE.address, profile=ALICE.signed),
    ConfirmJoin(answer=ALICE.signed),
    GetJoinRequests(group_id=TEAM),
    DenyJoin(group_id=TEAM, recrypt_udf=ALICE.udf),
    Invite(group_id=TEAM, invitations=(Invited(account_name=ALICE.address, token=TOKEN),)),
    GetHeld(group_id=TEAM, after=7, limit=2),
    Decide(group_id=TEAM, post=8, content_id="A" * 43, decision=Decision.REJECT),
]
RESPONSES: list[tuple[str, Response]] = [
    (
        "Hello",
        HelloResponse(
            version=Version(major=1, minor=0),
            algorithms=("X25519",),
            encodings=("application/json",),
            limits=ServiceLimits(request_octets=1, request_entries=2, post_octets=3),
        ),
    ),
    ("GetKey", GetKeyResponse(signed_key=GROUP.signed_key.signed, master=GROUP.master.signed)),
    ("CreateGroup", ChangeResponse(head=HEAD)),
    (
        "GetGroup",
        GetGroupResponse(
            recryption_group=RecryptionGroup(group_name=TEAM, members=(MEMBERSHIP.entry,)),
            next=ALICE.udf,
            head=HEAD,
            undeliverable=(ALICE.udf,),
            left=(ALICE.udf,),
            newer_profiles=(ALICE.signed,),
        ),
    ),
    ("GetChanges", GetChangesResponse(changes=(ALICE.signed,), head=HEAD)),
    ("Redeliver", RedeliverResponse(posts=3)),
    ("GetEntry", GetEntryResponse(entries=(ENTRY,))),
    (
        "RecryptData",
        RecryptDataResponse(
            partial="AAAA", split=Split.PRODUCT, decryption_key=ENTRY.decryption_key
        ),
    ),
    (
        "RecryptData",
        RecryptDataResponse(
            encrypted_partial=ENTRY.decryption_key,
            split=Split.SUM,
            decryption_key=ENTRY.decryption_key,
        ),
    ),
    (
        "GetAudit",
        GetAuditResponse(
            entries=(
                AuditEntry(
                    seq=8,
                    time=NOW,
                    recrypt_udf=ALICE.udf,
                    member_key_udf=ENTRY.member_key_udf,
                    ephemeral_udf=EPK.udf,
                    result=AuditResult.QUOTA,
                ),
            ),
            next=8,
        ),
    ),
    ("UpdateProfile", Response()),
    ("Invite", Response()),
    (
        "GetHeld",
        GetHeldResponse(
            held=(
                HeldPost(
                    post=8,
                    content_id="A" * 43,
                    since=NOW,
                    until=NOW,
                    octets=9,
                    recrypt_udf=ALICE.udf,
                ),
                HeldPost(post=9, since=NOW, until=NOW, octets=0),
            ),
            next=9,
        ),
    ),
    (
        "GetJoinRequests",
        GetJoinRequestsResponse(
            join_requests=(
                JoinRequest(account_name=ALICE.address, profile=ALICE.signed, since=NOW),
            )
        ),
    ),
]


def as_json(octets: bytes) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(octets)
    return made


def test_every_request_has_its_case() -> None:
    assert {type(request) for request in REQUESTS} == set(messages._REQUESTS)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.transaction)
def test_a_request_is_read_under_both_names(request_: Request) -> None:
    written = write_message(request_)
    ((name, members),) = as_json(written).items()
    assert name == f"{request_.transaction}Request"
    assert read_message(written) == request_
    assert read_message(write_json({request_.transaction: members})) == request_
    assert read_message(json.dumps({name: members | {"Unknown": 1}}, indent=1).encode()) == request_


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"HelloRequest":{},"GetKeyRequest":{}}',
        '{"HelloRequest":{},"HelloRequest":{}}',
        '{"HelloResponse":{}}',
        '{"helloRequest":{}}',
        '{"HelloRequestRequest":{}}',
        '{"Request":{}}',
        '{"":{}}',
        '{"HelloRequest":null}',
        '{"HelloRequest":[]}',
        '{"HelloRequest":"x"}',
        '{"Change":{}}',
        '{"GetKeyRequest":{}}',
        '{"GetKeyRequest":{"GroupID":""}}',
        '{"GetKeyRequest":{"GroupID":null}}',
        '{"GetKeyRequest":{"GroupId":"team@lists.example"}}',
        '{"GetGroupRequest":{"GroupID":"x","Limit":0}}',
        '{"GetGroupRequest":{"GroupID":"x","Limit":1001}}',
        '{"GetGroupRequest":{"GroupID":"x","Limit":"1"}}',
        '{"GetGroupRequest":{"GroupID":"x","After":"alice@example.org"}}',
        '{"GetChangesRequest":{"GroupID":"x","After":-1}}',
        '{"AddMemberRequest":{"RecryptionGroup":"team@lists.example","MemberEntry":[]}}',
        '{"AddMemberRequest":{"MemberEntry":[]}}',
        '{"RedeliverRequest":{"GroupID":"x","Since":"2026-11-20T00:00:00Z"}}',
        f'{{"RedeliverRequest":{{"GroupID":"x","RecryptUDF":"{SOME_UDF}"}}}}',
        f'{{"RedeliverRequest":{{"GroupID":"x","RecryptUDF":"{SOME_UDF}","Since":"2026-11-20"}}}}',
        f'{{"RedeliverRequest":{{"GroupID":"x","RecryptUDF":"{SOME_UDF}",'
        '"Since":"2026-11-20T00:00:00+01:00"}}',
        '{"GetEntryRequest":{}}',
        '{"UpdateProfileRequest":{"Profile":{}}}',
        '{"GetAuditRequest":{"GroupID":"x","Limit":1001}}',
        f'{{"DenyJoinRequest":{{"RecryptUDF":"{SOME_UDF}"}}}}',
        '[{"HelloRequest":{}}]',
    ],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(Malformed):
        read_message(text.encode())


def test_a_request_has_its_name_before_its_members_are_read() -> None:
    for request in REQUESTS:
        named = open_message(write_message(request))
        assert (named.transaction, named.read()) == (request.transaction, request)
    for members in ("null", "[]", '"x"', "{}", '{"GroupID":7}'):
        named = open_message(b'{"GetKeyRequest":' + members.encode() + b"}")
        assert named.transaction == "GetKey"
        with pytest.raises(Malformed):
            named.read()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ('{"GetGroup":{"GroupID":"x","Limit":0}}', "x"),
        ('{"UpdateGroupRequest":{"RecryptionGroup":{"GroupName":"x","Policy":7}}}', "x"),
        ('{"AddMemberRequest":{"RecryptionGroup":"x"}}', "x"),
        ('{"AddMemberRequest":{"RecryptionGroup":{"GroupName":7}}}', None),
        ('{"AddMemberRequest":{"RecryptionGroup":[]}}', None),
        ('{"HelloRequest":[]}', None),
    ],
)
def test_a_request_tells_its_group_though_its_members_break_the_format(
    text: str, group: str | None
) -> None:
    assert open_message(text.encode()).group_id == group


def test_a_group_id_is_at_most_254_octets() -> None:
    longest = GetKey(group_id="x" * 254)
    assert read_message(write_message(longest)) == longest
    with pytest.raises(Malformed, match="length"):
        read_message(b'{"GetKeyRequest":{"GroupID":"' + b"x" * 255 + b'"}}')


def test_what_a_request_leaves_out_has_its_default() -> None:
    assert read_message(b'{"GetGroup":{"GroupID":"x"}}') == GetGroup(group_id="x")
    read = read_message(b'{"GetChanges":{"GroupID":"x"}}')
    assert isinstance(read, GetChanges)
    assert (read.after, read.limit) == (0, 100)


def test_a_redelivery_has_the_members_of_the_spec() -> None:
    assert as_json(write_message(REQUESTS[8])) == {
        "RedeliverRequest": {
            "GroupID": TEAM,
            "RecryptUDF": ALICE.udf,
            "Since": "2026-11-19T12:00:00Z",
        }
    }


def test_a_recryption_is_asked_for_with_the_members_of_the_spec() -> None:
    asked = as_json(write_message(REQUESTS[10]))["RecryptDataRequest"]
    assert asked == {
        "MemberUDF": ALICE.udf,
        "MemberKeyUDF": ENTRY.member_key_udf,
        "GroupKeyID": ENTRY.encryption_key_udf,
        "Recipient": {
            "header": {"alg": "ECDH-ES+A256KW", "kid": ENTRY.encryption_key_udf, "epk": EPK.jwk()},
            "encrypted_key": "AAAA",
        },
        "Encrypted": True,
    }
    for name, wrong in (
        ("GroupKeyID", ALICE.udf),
        ("Recipient", {"header": {"alg": "x", "kid": ENTRY.encryption_key_udf}}),
        ("Recipient", {**asked["Recipient"], "encrypted_key": "A" * 129}),
        ("MemberKeyUDF", "x"),
    ):
        with pytest.raises(Malformed):
            read_message(json.dumps({"RecryptData": asked | {name: wrong}}).encode())


def test_a_service_that_names_no_undeliverable_members_has_none() -> None:
    answer = as_json(write_response("GetGroup", RESPONSES[3][1]))
    del answer["GetGroupResponse"]["Undeliverable"]
    del answer["GetGroupResponse"]["NewerProfiles"]
    read = read_response(json.dumps(answer).encode(), "GetGroup", GetGroupResponse, limit=LIMIT)
    assert isinstance(read, GetGroupResponse)
    assert (read.undeliverable, read.newer_profiles) == ((), ())


def test_words_in_a_request_are_read_in_any_case() -> None:
    text = write_message(REQUESTS[6])
    for old, new in ((b"ACTIVE", b"Active"), (b'"RECRYPT"', b'"Recrypt"')):
        assert old in text
        assert read_message(text.replace(old, new)) == REQUESTS[6]


@pytest.mark.parametrize(("transaction", "response"), RESPONSES, ids=lambda each: str(each)[:12])
def test_a_response_is_read_as_it_was_written(transaction: str, response: Response) -> None:
    written = write_response(transaction, response)
    members = as_json(written)[f"{transaction}Response"]
    assert members["Status"] == 201
    assert members["StatusDescription"]
    kind = type(response)
    assert read_response(written, transaction, kind, limit=LIMIT) == response
    more = json.dumps({f"{transaction}Response": members | {"Unknown": []}}).encode()
    assert read_response(more, transaction, kind, limit=LIMIT) == response


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 429, 503])
def test_a_refusal_is_read_though_it_has_nothing_else(status: int) -> None:
    refusal = Response(status=status, status_description="fetch its changes, then sign anew")
    written = write_response("AddMember", refusal)
    assert read_response(written, "AddMember", ChangeResponse, limit=LIMIT) == refusal
    assert type(read_response(written, "AddMember", ChangeResponse, limit=LIMIT)) is Response
    unnamed = write_response(ANY, refusal)
    assert as_json(unnamed).keys() == {"RecryptResponse"}
    assert read_response(unnamed, "AddMember", ChangeResponse, limit=LIMIT) == refusal


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "not JSON",
        '{"AddMemberResponse":[]}',
        '{"AddMemberResponse":{"Status":201}}',
        '{"AddMemberResponse":{"Status":201,"Head":{"seq":"1","hash":null}}}',
        '{"AddMemberResponse":{"Status":"201"}}',
        '{"AddMemberResponse":{}}',
        '{"UpdateMemberResponse":{"Status":404}}',
        '{"AddMember":{"Status":404}}',
        '{"RecryptResponse":{"Status":201,"Head":{"seq":1,"hash":null}}}',
        '{"RecryptResponse":{"Status":"404"}}',
        '{"RecryptResponse":{}}',
        '{"RecryptResponse":[]}',
    ],
)
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(Malformed):
        read_response(text.encode(), "AddMember", ChangeResponse, limit=LIMIT)


def test_an_answer_over_its_limit_is_refused() -> None:
    written = write_response(*RESPONSES[2])
    with pytest.raises(Malformed, match="over"):
        read_response(written, "CreateGroup", ChangeResponse, limit=len(written) - 1)


def test_a_private_half_never_stands_in_a_message() -> None:
    (half,) = MEMBERSHIP.halves.values()
    secret = str(half.to_secret_jwk()["d"]).encode()
    assert not any(secret in write_message(request) for request in REQUESTS)
    assert isinstance(REQUESTS[2], CreateGroup)
