"""`recrypt create`, `key`, `history`: a group is made, met, and never silently another."""

import json
from datetime import timedelta

import pytest

from recrypt_core.errors import NotForThisKey
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import GetKeyResponse, Response
from recrypt_core.opening import open_whole
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.signing import read_request
from tests.builders import new_group
from tests.client.honest_service import HonestService
from tests.client.stage import TEAM, URL, Stage


@pytest.mark.parametrize("algorithm", ["X25519", "X448", "P-256"])
def test_a_group_of_any_algorithm_is_made_and_read(stage: Stage, algorithm: str) -> None:
    stage.person("alice")
    stage.does("alice", "create", TEAM, "--service", URL, "--algorithm", algorithm)
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    key = json.loads(stage.does("alice", "key", TEAM, "--json"))["EncryptionKey"]
    assert key["crv"] == algorithm
    assert stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))


def test_the_answer_for_programs_names_the_group(stage: Stage) -> None:
    stage.person("alice")
    answer = json.loads(stage.does("alice", "create", TEAM, "--service", f"{URL}/", "--json"))
    assert stage.service.state is not None
    assert answer["Identifier"] == stage.service.state.identifier
    assert answer["Service"] == URL
    assert answer["Head"] == {"seq": 1, "hash": stage.service.changes[0].hash}


def test_the_groups_private_keys_are_kept_in_it_for_its_administrator(stage: Stage) -> None:
    stage.team("bob")
    home, state = stage.keys("alice"), stage.service.state
    assert state is not None
    opened = [
        json.loads(open_whole(each.envelope, home.device_keys()))
        for each in state.administrator_keys
    ]
    (online,) = state.master.profile.online_signature_keys
    assert [set(each) for each in opened] == [{online.udf, state.key.udf}, {state.identifier}]
    for udf, jwk in {**opened[0], **opened[1]}.items():
        kind = PrivateKey if udf == state.key.udf else SignaturePrivateKey
        assert kind.from_secret_jwk(jwk).public.udf == udf
    for sealed in state.administrator_keys:
        with pytest.raises(NotForThisKey):
            open_whole(sealed.envelope, stage.keys("bob").device_keys())


def test_a_group_needs_a_profile_first(stage: Stage) -> None:
    assert "recrypt profile create" in stage.fails("alice", "create", TEAM, "--service", URL)
    assert stage.service.asked == []


def test_after_a_lost_answer_the_very_same_request_is_sent_again(stage: Stage) -> None:
    stage.person("alice")
    stage.service.lost_answers = 1
    assert "the connection was reset" in stage.fails("alice", "create", TEAM, "--service", URL)
    stage.now += timedelta(days=1)
    stage.does("alice", "create", TEAM, "--service", URL)
    assert len(stage.service.changes) == 1
    assert not list(stage.home("alice").glob("groups/*.pending"))


def test_keys_and_request_are_stored_before_it_is_sent(stage: Stage) -> None:
    stage.person("alice")
    stage.service.lost_answers = 1
    stage.fails("alice", "create", TEAM, "--service", URL)
    home, state = stage.keys("alice"), stage.service.state
    assert state is not None
    assert home.agreement_key(state.key.udf) is not None
    pending = home.pending(TEAM)
    assert pending is not None
    assert read_request(pending).jws == stage.service.changes[0]


def test_a_request_that_was_never_taken_is_signed_anew_with_the_same_keys(stage: Stage) -> None:
    stage.person("alice")
    stage.service.is_authorised = False
    assert "may not create groups" in stage.fails("alice", "create", TEAM, "--service", URL)
    stored = stage.keys("alice").pending(TEAM)
    assert stored is not None
    stage.service.is_authorised = True
    stage.now += timedelta(days=1)
    stage.does("alice", "create", TEAM, "--service", URL)
    assert stage.service.state is not None
    taken = read_request(stored)
    assert taken.link is not None
    assert taken.link.group == stage.service.state.identifier


def test_a_request_for_another_service_is_not_sent_to_this_one(stage: Stage) -> None:
    stage.person("alice")
    stage.service.is_authorised = False
    stage.fails("alice", "create", TEAM, "--service", URL)
    stage.service = HonestService("https://other.example")
    stage.does("alice", "create", TEAM, "--service", "https://other.example")


def test_a_group_that_is_known_is_not_made_again(stage: Stage) -> None:
    stage.team()
    assert "is known here already" in stage.fails("alice", "create", TEAM, "--service", URL)
    stage.person("bob")
    assert "409" in stage.fails("bob", "create", TEAM, "--service", URL)


def test_who_has_not_met_a_group_is_told_how_to(stage: Stage) -> None:
    stage.person("bob")
    words = stage.fails("bob", "members", TEAM)
    assert f"{TEAM} isn't known in {stage.home('bob')}" in words
    assert f"recrypt key {TEAM} --fingerprint UDF" in words


def test_first_contact_says_that_it_is_trust_on_first_use(stage: Stage) -> None:
    stage.team()
    assert stage.service.state is not None
    identifier = stage.service.state.identifier
    first = stage.run("bob", "key", TEAM, "--service", URL)
    assert first.exit_code == 0
    assert identifier in first.stdout
    assert "trust on first use" in first.stderr
    assert stage.run("bob", "key", TEAM).stderr == ""


def test_a_fingerprint_may_be_typed_in_any_form(stage: Stage) -> None:
    stage.team()
    assert stage.service.state is not None
    typed = stage.service.state.identifier.replace("-", "").lower()[:25]
    met = stage.run("bob", "key", TEAM, "--service", URL, "--fingerprint", typed)
    assert (met.exit_code, met.stderr) == (0, "")


def test_a_group_of_another_fingerprint_than_was_given_is_not_pinned(stage: Stage) -> None:
    stage.team()
    other = new_group().master.udf
    words = stage.fails("bob", "key", TEAM, "--service", URL, "--fingerprint", other)
    assert "NOT THE ONE THAT YOU GAVE" in words
    assert stage.keys("bob").pin(TEAM) is None


def test_the_group_key_is_written_as_a_jwk(stage: Stage) -> None:
    stage.team()
    file = stage.folder / "team.jwk"
    stage.does("bob", "key", TEAM, "--service", URL, "--out", str(file))
    jwk = json.loads(file.read_bytes())
    assert stage.service.state is not None
    assert jwk["kid"] == stage.service.state.key.udf
    assert "d" not in jwk


def swap_key(stage: Stage) -> None:
    """Let the service show a group of the same name that is its own."""
    other = new_group(TEAM)

    def lie(name: str, response: Response) -> Response:
        if name != "GetKey":
            return response
        return GetKeyResponse(signed_key=other.signed_key.signed, master=other.master.signed)

    stage.service.lie = lie


@pytest.mark.parametrize(
    "command", [("key", TEAM), ("seal", "--to", TEAM), ("encrypt", "-", "--to", TEAM)]
)
def test_a_changed_fingerprint_is_refused_and_not_pinned(
    stage: Stage, command: tuple[str, ...]
) -> None:
    stage.team()
    before = stage.keys("alice").pin(TEAM)
    swap_key(stage)
    result = stage.run("alice", *command, stdin=b"Subject: x\n\ny\n")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "ITS FINGERPRINT HAS CHANGED" in result.stderr
    assert stage.keys("alice").pin(TEAM) == before


def test_a_key_that_another_master_signed_is_refused(stage: Stage) -> None:
    stage.team()
    other = new_group(TEAM)

    def lie(_name: str, response: Response) -> Response:
        assert isinstance(response, GetKeyResponse)
        return GetKeyResponse(signed_key=other.signed_key.signed, master=response.master)

    stage.service.lie = lie
    assert "no online key of the group's Master" in stage.fails("bob", "key", TEAM)


def test_another_group_than_was_asked_for_is_refused(stage: Stage) -> None:
    stage.team()
    other = new_group("other@lists.example")

    def lie(_name: str, _response: Response) -> Response:
        return GetKeyResponse(signed_key=other.signed_key.signed, master=other.master.signed)

    stage.service.lie = lie
    assert "Accounts are not the GroupName" in stage.fails("bob", "key", TEAM)


def test_a_key_past_its_time_is_refused(stage: Stage) -> None:
    stage.team()
    stage.now += timedelta(days=181)
    assert "was good until 2027-05-21" in stage.fails("alice", "seal", "--to", TEAM)


def test_an_unknown_group_is_told_with_what_to_do(stage: Stage) -> None:
    words = stage.fails("bob", "key", "nosuch@lists.example", "--service", URL)
    assert "404 there is no such group" in words
    assert "Check the name of the group" in words
    stage.person("bob")
    assert "recrypt key other@lists.example" in stage.fails("bob", "members", "other@lists.example")


def test_the_service_is_found_in_the_dns_or_at_the_domain(stage: Stage) -> None:
    stage.team()
    stage.announced = "https://announced.example"
    found = json.loads(stage.does("bob", "key", TEAM, "--json"))
    assert found["Service"] == "https://announced.example"
    stage.announced = None
    found = json.loads(stage.does("carol", "key", TEAM, "--json"))
    assert found["Service"] == URL


def test_history_shows_every_change_and_who_signed_it(stage: Stage) -> None:
    stage.team("bob")
    stage.does("alice", "delete", TEAM, "bob@example.org")
    answer = json.loads(stage.does("alice", "history", TEAM, "--json"))
    told = [(each["Seq"], each["Transaction"], each["SignedBy"]) for each in answer["Changes"]]
    assert told == [
        (1, "CreateGroup", f"{TEAM} (its online key)"),
        (2, "AddMember", "alice@example.org"),
        (3, "UpdateMember", "alice@example.org"),
    ]
    assert answer["Changes"][2]["Members"] == [
        {"AccountName": "bob@example.org", "Status": "REVOKED"}
    ]
    assert [each["Hash"] for each in answer["Changes"]] == [
        each.hash for each in stage.service.changes
    ]
    assert "bob@example.org REVOKED" in stage.does("alice", "history", TEAM).decode()
