"""Profiles, group keys and entries: from what somebody states to what is verified (spec §4)."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from recrypt_core.agreement import Split
from recrypt_core.documents import (
    GroupKey,
    JoinAnswer,
    MemberEntry,
    Privilege,
    Profile,
    Quota,
    RecryptionGroup,
    Status,
    UserDecryptionEntry,
    kept_profile,
    read_create,
    read_quota,
    sign_join,
    unverified_join,
    verified_group_key,
    verified_join,
    verified_master,
    verified_profile,
)
from recrypt_core.encoding import JsonValue, write_json
from recrypt_core.errors import Malformed, NotAuthentic
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.policy import FromPolicy, History, Policy, PostRight, ReplyTo
from recrypt_core.signature_keys import SignatureCurve
from recrypt_core.signing import Kind, sign_document, unverified_payload, verify_document
from recrypt_core.wire import from_json, to_json
from tests.builders import (
    NOW,
    TEAM,
    URL,
    create_message,
    new_group,
    new_membership,
    new_person,
    signed_group_key,
)

ALICE = new_person("alice@example.org", devices=2)
GROUP = new_group()
PROFILE: dict[str, Any] = unverified_payload(ALICE.signed)


def sign_stated(**changes: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Sign Alice's profile with members changed, None to take one away."""
    stated = {name: value for name, value in (PROFILE | changes).items() if value is not None}
    return sign_document(Kind.PROFILE, stated, ALICE.master)


@pytest.mark.parametrize("signature", SignatureCurve)
@pytest.mark.parametrize("curve", Curve)
def test_a_profile_is_verified_by_its_own_master_key(
    signature: SignatureCurve, curve: Curve
) -> None:
    person = new_person("alice@example.org", curve=curve, signature=signature)
    read = verified_profile(person.signed)
    assert read == person.verified
    assert read.identifier == person.master.public.udf
    assert read.signature_keys == (person.master.public, person.online.public)
    assert read.signature_key(person.online.public.udf) == person.online.public
    assert read.signature_key(ALICE.udf) is None


def test_the_members_of_a_profile_have_the_drafts_names() -> None:
    assert set(PROFILE) == {
        "Identifier",
        "MasterSignatureKey",
        "OnlineSignatureKeys",
        "MasterEscrowKeys",
        "EncryptionKeys",
        "Accounts",
        "Updated",
    }
    assert PROFILE["Updated"] == "2026-11-22T12:00:00Z"
    assert write_json(to_json(from_json(Profile, PROFILE))) == write_json(PROFILE)


def test_a_profile_that_its_master_key_did_not_sign_is_refused() -> None:
    other = new_person("alice@example.org")
    with pytest.raises(NotAuthentic):
        verified_profile(sign_document(Kind.PROFILE, PROFILE, ALICE.online))
    with pytest.raises(NotAuthentic):
        verified_profile(sign_document(Kind.PROFILE, PROFILE, other.master))
    with pytest.raises(NotAuthentic, match="Identifier"):
        verified_profile(sign_stated(Identifier=other.udf))


@pytest.mark.parametrize("name", ["Identifier", "MasterSignatureKey", "Accounts", "Updated"])
def test_a_profile_without_a_member_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        verified_profile(sign_stated(**{name: None}))


DEVICE: Any = PROFILE["EncryptionKeys"][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"Accounts": []},
        {"Accounts": ["a" * 255]},
        {"Accounts": ["a"]},
        {"Accounts": ["b\x00@example.org"]},
        {"Accounts": ["b@example.org\r\nX: y"]},
        {"Accounts": ["b\x85@example.org"]},
        {"Accounts": "alice@example.org"},
        {"Accounts": ["alice@example.org"] * 33},
        {"EncryptionKeys": [DEVICE] * 33},
        {"EncryptionKeys": [{**DEVICE, "kid": ALICE.udf}]},
        {"EncryptionKeys": [{name: DEVICE[name] for name in DEVICE if name != "kid"}]},
        {"EncryptionKeys": [ALICE.devices[0].to_secret_jwk()]},
        {"EncryptionKeys": [PROFILE["MasterSignatureKey"]]},
        {"EncryptionKeys": ["text"]},
        {"OnlineSignatureKeys": [DEVICE]},
        {"OnlineSignatureKeys": [ALICE.online.to_secret_jwk()]},
        {"MasterSignatureKey": ALICE.master.to_secret_jwk()},
        {"Updated": "2026-11-22T12:00:00"},
        {"Updated": "2026-11-22T13:00:00+01:00"},
        {"Updated": "yesterday"},
        {"Updated": 1},
    ],
)
def test_a_profile_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as problem:
        verified_profile(sign_stated(**changes))
    assert str(ALICE.devices[0].to_secret_jwk()["d"]) not in str(problem.value)


def test_members_that_are_not_known_are_passed_over_and_stay_signed() -> None:
    read = verified_profile(sign_stated(Nickname="Al"))
    assert read.profile == ALICE.verified.profile
    assert unverified_payload(read.signed)["Nickname"] == "Al"


def test_a_group_key_is_verified_from_its_master_on() -> None:
    read = verified_group_key(GROUP.signed_key.signed, GROUP.master.verified)
    assert read == GROUP.signed_key
    assert read.udf == GROUP.key.public.udf
    assert set(to_json(read.document)) == {
        "GroupName",
        "GroupIdentifier",
        "EncryptionKey",
        "Generation",
        "Created",
        "NotAfter",
        "Previous",
        "Head",
    }
    assert to_json(read.document)["Head"] == {"seq": 0, "hash": None}


def test_a_group_key_that_no_online_key_of_its_master_signed_is_refused() -> None:
    other = new_group()
    stated = to_json(GROUP.signed_key.document)
    for key in (GROUP.master.master, other.master.online, ALICE.online):
        with pytest.raises(NotAuthentic):
            verified_group_key(sign_document(Kind.GROUP_KEY, stated, key), GROUP.master.verified)
    with pytest.raises(NotAuthentic):
        verified_group_key(other.signed_key.signed, GROUP.master.verified)


def test_a_group_key_of_another_group_or_name_is_refused() -> None:
    renamed = signed_group_key(GROUP.master, GROUP.key, name="other@lists.example")
    with pytest.raises(NotAuthentic, match="another name"):
        verified_group_key(renamed.signed, GROUP.master.verified)
    stated = {**to_json(GROUP.signed_key.document), "GroupIdentifier": ALICE.udf}
    moved = sign_document(Kind.GROUP_KEY, stated, GROUP.master.online)
    with pytest.raises(NotAuthentic, match="another group"):
        verified_group_key(moved, GROUP.master.verified)


@pytest.mark.parametrize(
    "changes",
    [
        {"Generation": 0},
        {"Generation": True},
        {"Generation": "1"},
        {"NotAfter": None},
        {"Head": {"seq": -1, "hash": None}},
        {"Head": {"seq": 0, "hash": "x"}},
        {"Head": {}},
        {"Previous": "x"},
        {"EncryptionKey": {}},
    ],
)
def test_a_group_key_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    stated = {**to_json(GROUP.signed_key.document), **changes}
    with pytest.raises(Malformed):
        from_json(GroupKey, stated)


def test_a_master_has_the_groups_name_and_no_encryption_keys() -> None:
    assert verified_master(GROUP.master.signed, TEAM) == GROUP.master.verified
    with pytest.raises(Malformed, match="Accounts"):
        verified_master(GROUP.master.signed, "other@lists.example")
    two = GROUP.master.changed(accounts=(TEAM, "other@lists.example"))
    with pytest.raises(Malformed, match="Accounts"):
        verified_master(two.signed, TEAM)
    keyed = GROUP.master.changed(encryption_keys=(GROUP.key.public,))
    with pytest.raises(Malformed, match="EncryptionKeys"):
        verified_master(keyed.signed, TEAM)


def test_an_entry_is_read_as_it_was_written_and_holds_no_r() -> None:
    membership = new_membership(ALICE, GROUP.key, privileges=(Privilege.ADMIN,))
    stated = to_json(membership.entry)
    assert from_json(MemberEntry, stated) == membership.entry
    (entry,) = membership.entry.entries
    (half,) = membership.halves.values()
    assert entry.split is Split.SUM
    assert entry.recryption_public == half.public
    assert str(half.to_secret_jwk()["d"]) not in json.dumps(stated)
    assert "kid" not in json.dumps(stated["Entries"][0]["DecryptionKey"])  # type: ignore[call-overload, index]  # JSON


def test_an_entry_whose_name_is_not_its_keys_is_refused() -> None:
    stated = to_json(new_membership(ALICE, GROUP.key).entry.entries[0])
    with pytest.raises(Malformed, match="MemberKeyUDF"):
        from_json(UserDecryptionEntry, {**stated, "MemberKeyUDF": ALICE.udf})
    for name in ("RecryptionPublic", "DecryptionPublic"):
        secret: Any = PrivateKey.generate(Curve.X25519).to_secret_jwk()
        with pytest.raises(Malformed, match="private key"):
            from_json(UserDecryptionEntry, {**stated, name: secret})
    with pytest.raises(Malformed):
        from_json(UserDecryptionEntry, {**stated, "DecryptionKey": {"protected": "e30"}})


def test_what_an_entry_leaves_out_has_its_default() -> None:
    stated = {"RecryptUDF": ALICE.udf, "AccountName": ALICE.address, "Profile": ALICE.signed.json()}
    entry = from_json(MemberEntry, stated)  # type: ignore[arg-type]  # narrower JSON
    assert (entry.privileges, entry.status) == ((Privilege.RECRYPT,), Status.ACTIVE)
    assert (entry.entries, entry.quotas) == ((), ())


@pytest.mark.parametrize("word", ["ACTIVE", "Active", "active", "aCTIVE"])
def test_words_are_read_in_any_case_and_written_in_one(word: str) -> None:
    stated: Any = {**to_json(new_membership(ALICE).entry), "Status": word, "Privileges": ["Admin"]}
    entry = from_json(MemberEntry, stated)
    assert entry.status is Status.ACTIVE
    assert b'"Privileges":["ADMIN"],"Quotas":[],"Status":"ACTIVE"' in write_json(to_json(entry))


def test_a_split_and_the_words_of_a_policy_are_read_in_any_case_too() -> None:
    entry = new_membership(ALICE, GROUP.key).entry.entries[0]
    for word in ("sum", "Sum", "SUM"):
        assert from_json(UserDecryptionEntry, {**to_json(entry), "Split": word}) == entry
    stated: Any = {"post": "Members", "reply_to": "LIST", "from": "Via", "history": "Since-Join"}
    policy = Policy(
        post=PostRight.MEMBERS,
        reply_to=ReplyTo.LIST,
        from_=FromPolicy.VIA,
        history=History.SINCE_JOIN,
    )
    assert from_json(Policy, stated) == policy


def test_what_a_document_leaves_out_is_not_written_and_null_is_read_as_that() -> None:
    entry = MemberEntry(recrypt_udf=ALICE.udf, profile=ALICE.signed)
    assert set(to_json(entry)) == {
        "RecryptUDF",
        "Profile",
        "Privileges",
        "Quotas",
        "Status",
        "Entries",
    }
    assert from_json(MemberEntry, {**to_json(entry), "AccountName": None}) == entry
    group = RecryptionGroup(group_name=TEAM, members=(entry,))
    assert set(to_json(group)) == {"GroupName", "PastEncryptionKeys", "Members"}
    assert b":null" not in write_json(to_json(group))
    key = to_json(GROUP.signed_key.document)
    assert key["Previous"] is None
    assert key["Head"] == {"seq": 0, "hash": None}


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-22T12:00:00+00:00",
        "2026-11-22T13:00:00+01:00",
        "2026-11-22T12:00:00",
        "2026-11-22t12:00:00z",
        "2026-11-22 12:00:00Z",
        "2026-11-22T12:00:00.1234567Z",
        "2026-11-22T24:00:00Z",
        "",
        1_790_000_000,
        None,
        ["2026-11-22T12:00:00Z"],
    ],
)
def test_a_time_of_another_form_or_zone_than_z_is_refused(time: JsonValue) -> None:
    key = to_json(GROUP.signed_key.document)
    for name in ("Created", "NotAfter"):
        from_json(GroupKey, {**key, name: "2026-11-22T12:00:00.5Z"})
        with pytest.raises(Malformed, match=r"RFC 3339|without"):
            from_json(GroupKey, {**key, name: time})
    profile = to_json(ALICE.verified.profile)
    assert from_json(Profile, profile) == ALICE.verified.profile
    with pytest.raises(Malformed, match=r"RFC 3339|without Updated"):
        from_json(Profile, {**profile, "Updated": time})


@pytest.mark.parametrize("word", ["", "ACTIVE ", "DELETED", None, 1, ["ACTIVE"]])
def test_a_word_that_is_not_known_is_refused(word: object) -> None:
    wrong: list[tuple[str, Any]] = [("Status", word), ("Privileges", [word]), ("Split", word)]
    for name, value in wrong:
        kind = UserDecryptionEntry if name == "Split" else MemberEntry
        whole = new_membership(ALICE, GROUP.key).entry
        stated: Any = to_json(whole.entries[0] if name == "Split" else whole)
        with pytest.raises(Malformed):
            from_json(kind, {**stated, name: value})


def test_a_policy_has_the_defaults_of_the_spec_and_no_unknown_member() -> None:
    default = from_json(Policy, {})
    assert default == Policy()
    group = RecryptionGroup(group_name=TEAM, policy=default)
    assert to_json(group)["Policy"] == {
        "post": "anyone",
        "reply_to": "none",
        "from": "list",
        "notice": True,
        "past_keys": True,
        "history": "none",
        "keep": 14,
        "hold": False,
        "hold_days": 7,
        "banned": [],
        "subject": "[...]",
        "welcome": False,
        "language": "en",
    }
    assert from_json(Policy, {"post": "members"}).post is PostRight.MEMBERS
    carol = "MBAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"
    twice, too_long = {"banned": [carol, carol]}, {"hold_days": 31}
    for wrong in (
        {"pots": "members"}, {"post": "nobody"}, {"notice": "yes"}, {"banned": ["Carol"]},
        twice, too_long,
    ):  # fmt: skip
        with pytest.raises(Malformed):
            from_json(Policy, wrong)  # type: ignore[arg-type]  # narrower JSON


@pytest.mark.parametrize("good", ["[...]", "[Team] [...]", "[...]" + "x" * 55, "Re: [...]!"])
def test_a_subject_has_the_mark_of_encrypted_mail_in_it(good: str) -> None:
    assert from_json(Policy, {"subject": good}).subject == good


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "team", " [...]", "[...] ", "[...]\n", "[...]\r\nBcc: carol@example.org", "[...]\t."),
        *("[...]" + "x" * 56, "[...] =?utf-8?q?=0A?=", "[...] \u00e9", "[...] \u202e", "[\u2026]"),
    ],
)
def test_a_subject_is_one_line_of_what_it_shows(wrong: str) -> None:
    with pytest.raises(Malformed):
        from_json(Policy, {"subject": wrong})


def test_posts_are_kept_for_whole_days_and_a_year_at_most() -> None:
    assert [from_json(Policy, {"keep": days}).keep for days in (0, 1, 365)] == [0, 1, 365]
    wrongs: tuple[Any, ...] = (-1, 366, "14", True, None, 2**80)
    for wrong in wrongs:
        with pytest.raises(Malformed):
            from_json(Policy, {"keep": wrong})


def test_an_authorization_states_group_service_and_time() -> None:
    signed = create_message(GROUP, [], ALICE.online).authorization
    payload = verify_document(signed, Kind.CREATE, ALICE.online.public)
    assert set(payload) == {"GroupIdentifier", "GroupName", "url", "iat"}
    stated = read_create(payload)
    assert (stated.group_identifier, stated.group_name) == (GROUP.master.udf, TEAM)
    assert (stated.url, datetime.fromtimestamp(stated.iat, UTC)) == (URL, NOW)
    wrongs: tuple[Any, ...] = ("1", True, None, -1, 2**37, 10**400)
    for wrong in wrongs:
        with pytest.raises(Malformed):
            read_create({**payload, "iat": wrong})


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("1000", 1000), ("999999999", 999_999_999)])
def test_a_quota_is_read_from_its_one_form(text: str, count: int) -> None:
    assert read_quota(f"RecryptData per-day {text}") == Quota(count)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RecryptData",
        "RecryptData per-day",
        "RecryptData per-day -1",
        "RecryptData per-day 01",
        "RecryptData per-day 1000000000",
        "RecryptData per-day \u0661",
        "RecryptData per-hour 1",
        "recryptdata per-day 1",
        "RecryptData  per-day 1",
        "RecryptData per-day 1 ",
        "RecryptData per-day 1\n",
    ],
)
def test_another_quota_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="RecryptData per-day 1000"):
        read_quota(text)


def test_an_answer_to_join_is_its_own_profiles() -> None:
    alice, bob = new_person("alice@example.org"), new_person("bob@example.org")
    answer = JoinAnswer(
        group_identifier=bob.udf,
        token="a" * 26,
        account_name=alice.address,
        identifier=alice.udf,
    )
    for key in (alice.online, alice.master):
        signed = sign_join(answer, key)
        assert unverified_join(signed) == answer == verified_join(signed, alice.verified)
    payload = unverified_payload(sign_join(answer, alice.online))
    assert set(payload) == {"GroupIdentifier", "token", "AccountName", "Identifier"}
    for wrong in (
        sign_join(answer, bob.online),
        sign_join(msgspec.structs.replace(answer, identifier=bob.udf), alice.online),
    ):
        with pytest.raises(NotAuthentic):
            verified_join(wrong, alice.verified)
    with pytest.raises(Malformed):
        verified_join(alice.signed, alice.verified)


def test_a_kept_profile_is_read_as_it_was_verified_without_its_signature() -> None:
    person = new_person("alice@example.org")
    assert kept_profile(person.signed) == verified_profile(person.signed)
    unsigned = msgspec.structs.replace(person.signed, signature="A" * 86)
    assert kept_profile(unsigned).profile == person.verified.profile
    with pytest.raises(Malformed):
        kept_profile(msgspec.structs.replace(person.signed, payload="e30"))
