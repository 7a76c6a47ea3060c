"""`recrypt watch`: who a rule allows is let in, nobody else, and the group is kept in order."""

import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest

from recrypt_core.documents import Privilege
from recrypt_core.errors import Malformed
from recrypt_core.invitations import proof, read_token
from recrypt_core.messages import Response
from recrypt_core.wishes import Mail, SetMail
from tests.builders import Person, new_person
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

DAVE = "dave@example.org"
ERIN = "erin@example.net"


@pytest.fixture
def service() -> JoinService:
    """A service."""
    return JoinService(URL)


@pytest.fixture
def stage(stage: Stage, service: JoinService) -> Stage:
    """Alice's team."""
    stage.service = service
    stage.team()
    return stage


def watch(stage: Stage, *rules: str) -> dict[str, list[str]]:
    """Let Alice look once; give the words of what she is told, by kind."""
    options = [word for rule in rules for word in ("--approve", rule)]
    told = stage.does("alice", "watch", TEAM, "--once", "--json", *options)
    found: dict[str, list[str]] = {}
    for line in told.splitlines():
        event = json.loads(line)
        assert event["GroupName"] == TEAM
        found.setdefault(event["Event"], []).append(event["AccountName"] or event["Words"])
    return found


def waits(service: JoinService, *people: Person) -> None:
    for each in people:
        service.wait(each.verified, each.address)


def active(service: JoinService) -> list[str]:
    assert service.state is not None
    return sorted(each.account for each in service.state.members.values() if each.is_active)


def test_who_no_rule_allows_waits_and_stays_waiting(stage: Stage, service: JoinService) -> None:
    dave, erin = new_person(DAVE), new_person(ERIN)
    waits(service, dave, erin)
    assert watch(stage) == {"waits": [DAVE, ERIN]}
    assert watch(stage, "domain:example.net") == {"waits": [DAVE], "added": [ERIN]}
    assert list(service.waits) == [dave.udf]
    assert watch(stage, "everybody") == {"added": [DAVE]}
    assert active(service) == ["alice@example.org", DAVE, ERIN]


def test_a_list_of_fingerprints_is_read_anew_and_names_its_wrong_line(
    stage: Stage, service: JoinService
) -> None:
    dave, erin = new_person(DAVE), new_person(ERIN)
    waits(service, dave, erin)
    file = stage.folder / "known"
    file.write_text(f"# who may come in\n{dave.udf.lower()}  # Dave\n\n")
    assert watch(stage, f"fingerprints:{file}") == {"waits": [ERIN], "added": [DAVE]}
    file.write_text("nonsense\n")
    said = stage.fails("alice", "watch", TEAM, "--once", "--approve", f"fingerprints:{file}")
    assert "line 1" in said


def test_a_rule_that_is_none_is_wrong_usage(stage: Stage) -> None:
    assert stage.run("alice", "watch", TEAM, "--once", "--approve", "friends").exit_code == 2
    stage.fails("alice", "watch", TEAM, "--once", "--approve", "domain:-")


def test_only_who_has_a_good_invitation_is_let_in_by_it(stage: Stage, service: JoinService) -> None:
    stage.does("alice", "invite", TEAM, DAVE, ERIN)
    dave, erin, frank = new_person(DAVE), new_person(ERIN), new_person("frank@example.org")
    secret = read_token(service.invited[DAVE][0]).secret
    service.wait(dave.verified, DAVE, proof(secret, dave.udf, DAVE))
    # The service knows what Erin sent, and would like to be Erin.
    hers = proof(read_token(service.invited[ERIN][0]).secret, erin.udf, ERIN)
    mallory = new_person(ERIN)
    service.wait(mallory.verified, ERIN, hers)
    service.wait(frank.verified, frank.address, proof(secret, frank.udf, frank.address))
    told = watch(stage, "invited")
    assert told["added"] == [DAVE]
    assert sorted(told["waits"]) == [ERIN, "frank@example.org"]
    again = new_person(DAVE)
    service.wait(again.verified, DAVE, proof(secret, again.udf, DAVE))
    assert DAVE in watch(stage, "invited")["waits"]
    assert active(service) == ["alice@example.org", DAVE]


def test_what_approve_looks_at_is_looked_at(stage: Stage, service: JoinService) -> None:
    """Two with one address, a banned one, one who was removed, one who lists Alice's key."""
    first, second = new_person(DAVE), new_person(DAVE)
    banned, gone = new_person("banned@example.org"), stage.person("gone")
    stage.does("alice", "add", TEAM, str(gone))
    stage.does("alice", "delete", TEAM, "gone@example.org")
    stage.does("alice", "set", TEAM, f"banned={banned.udf}")
    alice = stage.keys("alice").profile().profile
    thief = new_person("thief@example.org").changed(encryption_keys=alice.encryption_keys)
    waits(service, first, second, banned, thief)
    service.wait(stage.keys("gone").profile(), "gone@example.org")
    assert sorted(watch(stage, "everybody")["waits"]) == [
        "banned@example.org", DAVE, DAVE, "gone@example.org", "thief@example.org"
    ]  # fmt: skip
    assert active(service) == ["alice@example.org"]
    file = stage.folder / "known"
    file.write_text(first.udf)
    assert watch(stage, "everybody", f"fingerprints:{file}")["added"] == [DAVE]


def test_nobody_is_let_in_with_more_than_recrypt(stage: Stage, service: JoinService) -> None:
    waits(service, dave := new_person(DAVE))
    watch(stage, "everybody")
    assert service.state is not None
    assert service.state.members[dave.udf].entry.privileges == (Privilege.RECRYPT,)


def test_one_whom_the_service_refuses_holds_up_no_other(
    stage: Stage, service: JoinService, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [new_person(f"p{number}@example.org") for number in range(5)]
    waits(service, *people)
    check = service._check_halves

    def refuse(message: object, signed: object) -> None:
        if any(each.recrypt_udf == people[2].udf for each in getattr(message, "member_entry", ())):
            raise Malformed("not this one")
        check(message, signed)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(service, "_check_halves", refuse)
    told = watch(stage, "everybody")
    assert told["waits"] == ["p2@example.org"]
    assert sorted(told["added"]) == [f"p{number}@example.org" for number in (0, 1, 3, 4)]


def test_newer_profiles_are_taken_in_and_the_key_is_signed_again(stage: Stage) -> None:
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    file = str(stage.folder / "phone.request")
    told = stage.does("phone", "profile", "devices", "new", file, "--json")
    stage.does("bob", "key", TEAM, "--service", URL)
    add = ("profile", "devices", "add", file, "--code", json.loads(told)["Code"])
    stage.does("bob", *add)
    assert watch(stage) == {"refreshed": ["bob@example.org"]}
    stage.now += timedelta(days=160)
    assert any("was signed again" in words for words in watch(stage)["key"])
    assert watch(stage).keys() <= {"key"}


def test_the_loop_backs_off_goes_on_and_ends_when_it_is_told_to(
    stage: Stage, service: JoinService
) -> None:
    waits(service, new_person(DAVE))
    delays = list[float]()
    honest, down = service.transport, httpx2.MockTransport(_refuses)

    def wait(seconds: float) -> bool:
        delays.append(seconds)
        if len(delays) == 4:
            working.append(True)
        return len(delays) == 6

    working = list[bool]()
    stage.waits = wait

    def handle(request: httpx2.Request) -> httpx2.Response:
        return (honest if working else down).handle_request(request)

    either = httpx2.MockTransport(handle)
    result = stage.run_against(
        either, "alice", "watch", TEAM, "--every", "5", "--approve", "everybody"
    )
    assert result.exit_code == 0, result.output
    assert delays == [300, 600, 1200, 2400, 300, 300]
    assert result.stdout.count("added to") == 1
    assert result.stderr.count("Looking again") == 4


def _refuses(_request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("connection refused")


def test_who_has_left_is_removed_but_nobody_who_administers_the_group(
    stage: Stage, service: JoinService
) -> None:
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    for who in ("alice", "bob"):
        profile = stage.keys(who).profile()
        wish = SetMail(group_name=TEAM, profile=profile.signed, mail=Mail.LEFT)
        service.wishes[profile.identifier] = wish
    assert watch(stage) == {"left": ["bob@example.org"], "to-do": ["alice@example.org"]}
    assert active(service) == ["alice@example.org"]


def test_who_has_left_and_asks_to_come_back_waits_or_comes_back(
    stage: Stage, service: JoinService
) -> None:
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    profile = stage.keys("bob").profile()
    wish = SetMail(group_name=TEAM, profile=profile.signed, mail=Mail.LEFT)
    service.wishes[profile.identifier] = wish
    service.wait(profile, "bob@example.org")
    assert watch(stage) == {"waits": ["bob@example.org"]}
    assert stage.does("alice", "refresh", TEAM) == b"No newer profile waits\n"
    assert service.waits
    assert watch(stage, "domain:example.org") == {"added": ["bob@example.org"]}
    assert active(service) == ["alice@example.org", "bob@example.org"]
    assert not service.wishes


def test_of_two_who_have_one_invitation_neither_comes_in_by_rule(
    stage: Stage, service: JoinService
) -> None:
    stage.does("alice", "invite", TEAM, DAVE)
    secret = read_token(service.invited[DAVE][0]).secret
    for each in (new_person(DAVE), new_person(DAVE)):
        service.wait(each.verified, DAVE, proof(secret, each.udf, DAVE))
    assert watch(stage, "invited") == {"waits": [DAVE, DAVE]}
    assert active(service) == ["alice@example.org"]


def test_an_address_that_a_member_has_lets_in_nobody_else_by_rule(
    stage: Stage, service: JoinService
) -> None:
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    other = new_person("BOB@example.org")
    service.wait(other.verified, "BOB@example.org")
    assert watch(stage, "everybody") == {"waits": ["BOB@example.org"]}
    assert active(service) == ["alice@example.org", "bob@example.org"]


def test_a_member_s_other_address_is_taken_over_without_a_rule(
    stage: Stage, service: JoinService
) -> None:
    stage.does("alice", "add", TEAM, str(stage.person("bob")))
    stage.does("bob", "key", TEAM, "--service", URL)
    stage.does("bob", "profile", "address", "bob@example.net")
    service.wait(stage.keys("bob").profile(), "bob@example.net")
    assert watch(stage) == {"refreshed": ["bob@example.net"]}
    assert active(service) == ["alice@example.org", "bob@example.net"]
    assert not service.waits


def test_a_group_that_is_closed_is_watched_no_more(stage: Stage) -> None:
    stage.waits = lambda _seconds: False
    stage.does("alice", "close", TEAM, "--yes")
    assert "closed" in stage.fails("alice", "watch", TEAM)


def test_what_stays_as_it_was_is_told_once(stage: Stage, service: JoinService) -> None:
    waits(service, new_person(DAVE))
    looks = list[float]()

    def wait(seconds: float) -> bool:
        looks.append(seconds)
        return len(looks) == 3

    stage.waits = wait
    assert stage.does("alice", "watch", TEAM).count(b"no rule allows it") == 1


def test_once_fails_if_the_service_can_t_be_reached(stage: Stage) -> None:
    result = stage.run_against(httpx2.MockTransport(_refuses), "alice", "watch", TEAM, "--once")
    assert result.exit_code == 1


def test_what_a_person_has_to_look_at_ends_the_loop(stage: Stage, service: JoinService) -> None:
    stage.waits = lambda _seconds: False
    service.changes.pop()
    service.lie = lambda name, answer: (
        Response(status=403, status_description="no") if name == "GetChanges" else answer
    )
    assert "403" in stage.fails("alice", "watch", TEAM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_signal_ends_it_when_what_is_in_hand_is_done(
    stage: Stage, service: JoinService, number: signal.Signals
) -> None:
    waits(service, new_person(DAVE))
    before = signal.getsignal(number)
    service.lie = _once(lambda: os.kill(os.getpid(), number))
    result = stage.run("alice", "watch", TEAM, "--approve", "everybody")
    assert result.exit_code == 0, result.output
    assert "added to" in result.stdout
    assert signal.getsignal(number) is before


def _once(call: Callable[[], None]) -> Callable[[str, Response], Response]:
    left = [call]

    def lie(_name: str, answer: Response) -> Response:
        if left:
            left.pop()()
        return answer

    return lie
