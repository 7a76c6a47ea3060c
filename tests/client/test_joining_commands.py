"""`recrypt join`, `requests`, `approve`, `deny`, against a service that may lie."""

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

import pytest

from listserver.catalogue import Texts
from listserver.letters import asking, write_letter
from recrypt_client.home import Home
from recrypt_core.documents import (
    MemberEntry,
    Privilege,
    VerifiedProfile,
    unverified_join,
    verified_join,
    verified_profile,
)
from recrypt_core.errors import Refused, Why
from recrypt_core.invitations import Invite
from recrypt_core.members import Member
from recrypt_core.messages import (
    ConfirmJoin,
    DenyJoin,
    GetJoinRequests,
    GetJoinRequestsResponse,
    JoinGroup,
    Request,
    Response,
)
from recrypt_core.records import JoinRequest
from recrypt_core.signing import Jws, SignedRequest
from recrypt_core.udf import Udf
from tests.builders import NOW, Person, new_person
from tests.client.honest_service import HonestService
from tests.client.stage import TEAM, URL, Stage

BOB = "bob@example.org"


@dataclass
class JoinService(HonestService):
    """The honest service, with joining: one page for each who waits.

    Attributes:
        letters: What it mailed.
        tokens: Whose token is whose.
        waits: Who waits.
        invited: The tokens that it mailed, by address.
    """

    letters: list[bytes] = field(default_factory=list)
    tokens: dict[str, tuple[str, VerifiedProfile, str | None]] = field(default_factory=dict)
    waits: dict[Udf, JoinRequest] = field(default_factory=dict)
    invited: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def _answer(self, message: Request, signed: SignedRequest | None) -> Response:
        match message:
            case JoinGroup() if signed is not None:
                return self._ask(message, signed)
            case ConfirmJoin() if signed is None:
                return self._confirm(message)
            case GetJoinRequests() if signed is not None:
                self._may(signed)
                udfs = sorted(udf for udf in self.waits if udf > (message.after or ""))
                return GetJoinRequestsResponse(
                    join_requests=tuple(self.waits[udf] for udf in udfs[:1]),
                    next=udfs[0] if len(udfs) > 1 else None,
                )
            case Invite() if signed is not None:
                self._may(signed)
                for each in message.invitations:
                    self.invited[each.account_name].append(each.token)
                return Response()
            case DenyJoin() if signed is not None:
                self._may(signed)
                del self.waits[message.recrypt_udf]
                return Response()
        answer = super()._answer(message, signed)
        for member in getattr(message, "member_entry", ()):
            self.waits.pop(member.recrypt_udf, None)
        return answer

    def _ask(self, message: JoinGroup, signed: SignedRequest) -> Response:
        profile = verified_profile(message.profile)
        key = profile.signature_key(signed.signer)
        assert key is not None
        signed.verify(key)
        assert (signed.url, message.group_name) == (URL, TEAM)
        token = "abcdefghijklmnopqrstuvwxy" + "234567"[len(self.letters)]
        self.tokens[token] = (message.account_name, profile, message.invitation)
        self.letters.append(letter(profile, message.account_name, token))
        return Response()

    def _confirm(self, message: ConfirmJoin) -> Response:
        assert self.state is not None
        stated = unverified_join(message.answer)
        account, profile, invitation = self.tokens.pop(stated.token, ("", None, None))
        if profile is None:
            raise Refused(Why.UNKNOWN, "that token isn't good")
        assert verified_join(message.answer, profile) == stated
        assert (stated.group_identifier, stated.account_name) == (self.state.identifier, account)
        self.wait(profile, account, invitation)
        return Response()

    def wait(self, profile: VerifiedProfile, account: str, invitation: str | None = None) -> None:
        """Let somebody wait."""
        self.waits[profile.identifier] = JoinRequest(
            account_name=account, profile=profile.signed, since=NOW, invitation=invitation
        )

    def _may(self, signed: SignedRequest) -> None:
        assert self.state is not None
        key = self.state.signer(signed.signer)
        assert key is not None
        signed.verify(key)
        if not self.state.may(signed.signer, Privilege.ADMIN, Privilege.SUPER):
            raise Refused(Why.FORBIDDEN, "administrators only")


def letter(profile: VerifiedProfile, account: str, token: str) -> bytes:
    """Write what the real service mails."""
    entry = MemberEntry(
        recrypt_udf=profile.identifier, account_name=account, profile=profile.signed
    )
    words = asking(Texts(list_address=TEAM), account, token)
    return write_letter(words, Member(entry, profile), TEAM, now=NOW)


@pytest.fixture
def service() -> JoinService:
    """A service."""
    return JoinService(URL)


@pytest.fixture
def stage(stage: Stage, service: JoinService) -> Stage:
    """Alice's team; Bob has a profile."""
    stage.service = service
    stage.team()
    stage.person("bob")
    return stage


def moved_in(stage: Stage, who: str, person: Person) -> None:
    """Make somebody's home a person's."""
    home = Home(stage.home(who))
    home.keep_key(person.master)
    home.keep_key(person.online)
    home.keep_key(person.devices[0])
    home.keep_profile(person.verified)


def test_bob_asks_in_answers_the_letter_and_alice_lets_him_in(
    stage: Stage, service: JoinService
) -> None:
    identifier = stage.keys("bob").profile().identifier
    result = stage.run("bob", "join", TEAM, "--service", URL)
    assert result.exit_code == 0
    assert "trusted on first use" in result.stderr
    assert f"recrypt join {TEAM} --token LETTER" in result.stdout
    assert identifier in result.stdout
    file = stage.folder / "letter.eml"
    file.write_bytes(service.letters[0])
    told = json.loads(stage.does("bob", "join", TEAM, "--token", str(file), "--json"))
    assert (told["AccountName"], told["RecryptUDF"], told["Waiting"]) == (BOB, identifier, True)
    table = stage.does("alice", "requests", TEAM).decode()
    assert f"{BOB}  {identifier}  2026-11-22 12:00" in table
    assert stage.does("alice", "approve", TEAM, BOB).decode() == (
        f"{BOB} {identifier} added to {TEAM}\n"
    )
    assert not service.waits
    post = stage.sealed()
    assert b"At one?" in stage.does("bob", "read", stdin=stage.copy(post, "bob"))


def test_a_letter_is_taken_as_it_came_opened_or_as_its_token(
    stage: Stage, service: JoinService
) -> None:
    stage.does("bob", "join", TEAM, "--service", URL)
    (came,) = service.letters
    opened = stage.does("bob", "read", stdin=came)
    ((token, who),) = service.tokens.items()
    forms = (came, came.replace(b"\r\n", b"\n"), opened, opened.replace(b"\r\n", b"\n"),
             f" {token.upper()}\n".encode())  # fmt: skip
    for form in forms:
        service.tokens[token] = who
        stage.does("bob", "join", TEAM, "--token", "-", stdin=form)
    assert service.asked.count("ConfirmJoin") == len(forms)
    assert "that token isn't good" in stage.fails("bob", "join", TEAM, "--token", "-", stdin=came)


def test_what_is_no_letter_to_bob_sends_nothing(stage: Stage, service: JoinService) -> None:
    stage.person("carol")
    stage.does("carol", "join", TEAM, "--service", URL)
    (came,) = service.letters
    plain = b"Subject: Hello\r\n\r\nNo letter.\r\n"
    twice = b"Token: " + b"a" * 26 + b"\nToken: " + b"b" * 26 + b"\n"
    for words, given in (
        ("made for other keys", came),
        ("no encrypted parts", plain),
        ("2 tokens", twice),
        ("standard input", b""),
    ):
        refused = stage.fails("bob", "join", TEAM, "--service", URL, "--token", "-", stdin=given)
        assert words in refused
    assert "ConfirmJoin" not in service.asked
    assert stage.keys("bob").pin(TEAM) is None


def test_who_has_no_profile_and_who_was_told_another_fingerprint_asks_nothing(
    stage: Stage, service: JoinService
) -> None:
    assert "no profile" in stage.fails("dave", "join", TEAM, "--service", URL)
    other = stage.keys("bob").profile().identifier
    words = stage.fails("bob", "join", TEAM, "--service", URL, "--fingerprint", other)
    assert "NOT THE ONE THAT YOU GAVE" in words
    assert not service.letters
    assert stage.keys("dave").pin(TEAM) is stage.keys("bob").pin(TEAM) is None


def test_the_address_that_was_proven_is_the_one_that_is_added(
    stage: Stage, service: JoinService
) -> None:
    dave = new_person("dave@example.org").changed(accounts=("dave@example.org", "d@example.net"))
    service.wait(dave.verified, "d@example.net")
    told = json.loads(stage.does("alice", "approve", TEAM, dave.udf[:29].lower(), "--json"))
    assert (told["Changed"], told["RecryptUDF"]) == (["d@example.net"], [dave.udf])
    assert service.state is not None
    member = service.state.members[dave.udf]
    assert member.account == "d@example.net"
    assert {each.account_name for each in member.entry.entries} == {"d@example.net"}


def test_whose_address_it_is_must_be_plain(stage: Stage, service: JoinService) -> None:
    one, other = new_person(BOB), new_person(BOB)
    for person in (one, other):
        service.wait(person.verified, BOB)
    refused = stage.fails("alice", "approve", TEAM, BOB)
    assert "names 2 who wait" in refused
    assert one.udf in refused
    assert other.udf in refused
    stage.does("alice", "deny", TEAM, other.udf)
    stage.does("alice", "approve", TEAM, BOB)
    assert service.state is not None
    assert {one.udf, other.udf} & service.state.members.keys() == {one.udf}


def test_who_asks_with_an_address_that_was_anothers_is_taken_by_fingerprint_alone(
    stage: Stage, service: JoinService
) -> None:
    dave, mallory = new_person("dave@example.org"), new_person("dave@example.org")
    service.wait(dave.verified, dave.address)
    stage.does("alice", "approve", TEAM, dave.address)
    moved_in(stage, "dave", dave)
    stage.does("dave", "key", TEAM, "--service", URL)
    message = b"From: dave@example.org\r\nSubject: Hi\r\n\r\nHi.\r\n"
    stage.does("alice", "read", stdin=stage.copy(stage.sealed(message, by="dave"), "alice"))
    service.wait(mallory.verified, mallory.address)
    words = stage.fails("alice", "approve", TEAM, "dave@example.org")
    assert f"asks as {mallory.udf}, but WAS {dave.udf}" in words
    assert service.state is not None
    assert mallory.udf not in service.state.members
    stage.does("alice", "approve", TEAM, mallory.udf)
    assert mallory.udf in service.state.members


def test_forged_and_old_requests_are_passed_over_and_counted(
    stage: Stage, service: JoinService
) -> None:
    dave = new_person("dave@example.org")
    newer = dave.changed()
    service.wait(newer.verified, dave.address)
    stage.does("alice", "approve", TEAM, dave.address)
    erin, frank = new_person("erin@example.org"), new_person("frank@example.org")
    service.wait(dave.verified, dave.address)  # older than what Alice has seen
    service.wait(erin.verified, "alice@example.org")
    service.wait(frank.verified, frank.address)
    grace = new_person("grace@example.org")
    signature = erin.signed.signature
    forged = Jws(grace.signed.payload, grace.signed.protected, signature)
    service.wait(replace(grace.verified, signed=forged), grace.address)
    result = stage.run("alice", "requests", TEAM, "--json")
    shown = json.loads(result.stdout)["JoinRequests"]
    assert [each["RecryptUDF"] for each in shown] == [frank.udf]
    assert shown[0]["Since"] == "2026-11-22T12:00:00Z"
    assert "forged or old: 3" in result.stderr
    assert "doesn't wait" in stage.fails("alice", "approve", TEAM, "alice@example.org")


def test_a_member_who_asks_again_is_told_so_and_waits_no_more(
    stage: Stage, service: JoinService
) -> None:
    bob = stage.folder / "bob.json"
    stage.does("alice", "add", TEAM, str(bob))
    profile = stage.keys("bob").profile()
    service.wait(profile, BOB)
    assert b"was so already" in stage.does("alice", "approve", TEAM, BOB)
    assert not service.waits
    stage.does("alice", "suspend", TEAM, BOB)
    service.wait(profile, BOB)
    assert f"recrypt resume {TEAM} {BOB}" in stage.fails("alice", "approve", TEAM, BOB)
    stage.does("alice", "resume", TEAM, BOB)
    assert not service.waits


def test_deny_names_whom_it_declined_and_knows_nobody_else(
    stage: Stage, service: JoinService
) -> None:
    dave = new_person("dave@example.org")
    service.wait(dave.verified, dave.address)
    assert "erin@example.org doesn't wait" in stage.fails("alice", "deny", TEAM, "erin@example.org")
    assert json.loads(stage.does("alice", "deny", TEAM, dave.address, "--json")) == {
        "GroupName": TEAM,
        "Denied": [dave.udf],
    }
    assert not service.waits
    assert json.loads(stage.does("alice", "requests", TEAM, "--json"))["JoinRequests"] == []


def test_pages_without_an_end_are_left(
    stage: Stage, service: JoinService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recrypt_client.deciding.PAGES", 3)
    dave = new_person("dave@example.org")
    endless = GetJoinRequestsResponse(join_requests=(), next=dave.udf)
    service.lie = lambda name, answer: endless if name == "GetJoinRequests" else answer
    assert "shows no end of who waits" in stage.fails("alice", "requests", TEAM)
    assert service.asked.count("GetJoinRequests") == 3


def test_an_address_that_another_member_has_is_approved_by_fingerprint_alone(
    stage: Stage, service: JoinService
) -> None:
    file = stage.folder / "bob.json"
    stage.does("alice", "add", TEAM, str(file))
    other = new_person("Bob@Example.org").verified
    service.wait(other, "Bob@Example.org")
    bob = stage.keys("bob").profile().identifier
    told = stage.fails("alice", "approve", TEAM, "Bob@Example.org")
    assert f"another member has the address Bob@Example.org: {bob}" in told
    assert other.identifier in service.waits
    stage.does("alice", "approve", TEAM, other.identifier)
    assert other.identifier not in service.waits
