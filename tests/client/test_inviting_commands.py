"""`recrypt invite`, and `recrypt join --invitation`: who had a token is known by it, once."""

import base64
import json
import quopri
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import httpx2
import pytest

from recrypt_client.home import Home
from recrypt_client.invitations import Book
from recrypt_core import limits
from recrypt_core.encoding import write_b64url
from recrypt_core.invitations import URI, proof, read_token
from recrypt_core.messages import Response
from tests.builders import new_person
from tests.client.stage import TEAM, URL, Stage
from tests.client.test_joining_commands import JoinService

BOB = "bob@example.org"
CAROL = "carol@example.org"


@pytest.fixture
def service() -> JoinService:
    """A service."""
    return JoinService(URL)


@pytest.fixture
def stage(stage: Stage, service: JoinService) -> Stage:
    """Alice's team; Bob and Carol have profiles, and have never heard of it."""
    stage.service = service
    stage.team()
    stage.person("bob")
    stage.person("carol")
    return stage


def invited(stage: Stage, *more: str) -> dict[str, list[str]]:
    """Invite Bob, or others; give who was and who wasn't."""
    told = json.loads(stage.does("alice", "invite", TEAM, *(more or (BOB,)), "--json"))
    return {
        "Invited": told["Invited"],
        "Skipped": [each["AccountName"] for each in told["Skipped"]],
    }


def b64(text: bytes) -> bytes:
    return base64.encodebytes(text).replace(b"\n", b"\r\n")


def qp(text: bytes) -> bytes:
    """Encode what may be left as it is, too, as some programs do."""
    return quopri.encodestring(text).replace(b"_", b"=5F").replace(b":", b"=3A")


def comes(stage: Stage, service: JoinService, who: str, token: str) -> None:
    """Let somebody ask in with a token, and prove the address."""
    stage.does(who, "join", "--invitation", token)
    letter = stage.folder / "LETTER"
    letter.write_bytes(service.letters[-1])
    stage.does(who, "join", TEAM, "--token", str(letter))


def worth(stage: Stage) -> dict[str, str]:
    """Give what Alice is shown of the invitations of those who wait."""
    shown = json.loads(stage.does("alice", "requests", TEAM, "--json"))
    return {each["AccountName"]: each["Invitation"] for each in shown["JoinRequests"]}


def test_who_is_invited_pins_the_fingerprint_and_is_known_by_the_proof(
    stage: Stage, service: JoinService
) -> None:
    assert invited(stage) == {"Invited": [BOB], "Skipped": []}
    (token,) = service.invited[BOB]
    result = stage.run("bob", "join", "--invitation", URI + token)
    assert result.exit_code == 0
    assert "trusted on first use" not in result.output
    assert f"another address than {BOB}" in result.stderr
    comes(stage, service, "bob", token)
    stage.does("carol", "join", TEAM, "--service", URL)
    service.wait(stage.keys("carol").profile(), CAROL)
    assert worth(stage) == {BOB: "invited", CAROL: ""}
    stage.does("alice", "approve", TEAM, BOB)
    assert invited(stage) == {"Invited": [], "Skipped": [BOB]}


def test_a_token_for_another_group_than_the_service_has_is_found_out(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    other = JoinService(URL)
    mallory = Stage(stage.folder / "mallory", service=other)
    mallory.team()
    result = stage.run_against(other.transport, "bob", "join", "--invitation", token)
    assert result.exit_code == 1
    assert not other.letters


def test_the_letter_is_taken_as_it_came_also_in_quoted_printable(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    letter = stage.folder / "invitation.eml"
    cut = f"{URI}{token[:40]}=\r\n{token[40:]}"
    letter.write_bytes(f"To: {BOB}\r\n\r\nHello\r\n\r\n{cut}\r\n\r\nBye.\r\n".encode())
    stage.does("bob", "join", TEAM, "--invitation", str(letter))
    letter.write_bytes(b"To: bob\r\n\r\nnothing here\r\n")
    assert "no invitation" in stage.fails("bob", "join", "--invitation", str(letter))
    both = f"{URI}{token}\n{URI}{token[:-8]}AAAAAAAA\n"
    letter.write_text(both)
    assert "2 invitations" in stage.fails("bob", "join", "--invitation", str(letter))


@pytest.mark.parametrize(("name", "encode"), [(b"base64", b64), (b"quoted-printable", qp)])
def test_a_letter_that_was_encoded_on_its_way_is_read(
    stage: Stage, service: JoinService, name: bytes, encode: Callable[[bytes], bytes]
) -> None:
    invited(stage)
    text = f"Hello Bob\r\n\r\n{URI}{service.invited[BOB][0]}\r\n\r\nBye.\r\n".encode()
    part = b"Content-Transfer-Encoding: " + name + b"\r\n\r\n" + encode(text)
    whole = b"To: bob\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part
    for each in (b"To: bob\r\n" + part, whole + b"\r\n--x--\r\n"):
        letter = stage.folder / "invitation.eml"
        letter.write_bytes(each)
        stage.does("bob", "join", "--invitation", str(letter))


def test_a_token_needn_t_stand_among_the_arguments_which_others_see(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    stage.does("bob", "join", "--invitation", "-", stdin=token.encode() + b"\n")
    stage.types = lambda words: URI + token if "nvitation" in words else None
    stage.does("bob", "join", "--invitation")
    stage.does("bob", "join", "--invitation", "--json")
    assert len(service.letters) == 3
    stage.types = lambda _words: None
    assert "no terminal" in stage.fails("bob", "join", "--invitation")


def test_wrong_usage_of_join_is_told(stage: Stage, service: JoinService) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    assert stage.run("bob", "join").exit_code == 2
    assert stage.run("bob", "join", "--invitation", token, "--service", URL).exit_code == 2
    said = stage.fails("bob", "join", "other@lists.example", "--invitation", token)
    assert f"but to {TEAM}" in said


def test_a_service_that_puts_another_profile_in_the_place_of_the_invited_ones_is_found_out(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    comes(stage, service, "bob", service.invited[BOB][0])
    (request,) = service.waits.values()
    service.waits.clear()
    service.wait(new_person(BOB).verified, BOB, request.invitation)
    assert worth(stage) == {BOB: "not by an invitation from here, or not to that address"}


def test_an_invitation_is_good_for_its_address_and_for_thirty_days(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    comes(stage, service, "carol", token)
    comes(stage, service, "bob", token)
    assert worth(stage)[BOB] == "invited"
    assert worth(stage)[CAROL].startswith("not by an invitation from here")
    stage.now += limits.INVITATION_LIFE
    assert worth(stage)[BOB].startswith("not by an invitation from here")


def test_an_invitation_is_used_once_and_that_is_noted_before_anybody_is_let_in(
    stage: Stage, service: JoinService
) -> None:
    """So a command that is cut off in between lets in the same person only."""
    invited(stage)
    (token,) = service.invited[BOB]
    comes(stage, service, "bob", token)
    service.lie = lambda name, answer: (
        Response(status=503, status_description="later") if name == "AddMember" else answer
    )
    service.before = None
    stage.fails("alice", "approve", TEAM, BOB)
    service.lie = lambda _name, answer: answer
    book = Book(stage.keys("alice"), TEAM, now=stage.now)
    found = book.find(BOB)
    assert found is not None
    assert found.used_by == stage.keys("bob").profile().identifier
    other = new_person(BOB)
    made = read_token(token)
    service.wait(other.verified, BOB, proof(made.secret, other.udf, BOB))
    shown = json.loads(stage.does("alice", "requests", TEAM, "--json"))["JoinRequests"]
    words = {each["RecryptUDF"]: each["Invitation"] for each in shown}
    assert words[other.udf] == "invited, but somebody else has used it"


def test_invite_goes_on_where_it_was_cut_off_with_the_same_tokens(
    stage: Stage, service: JoinService
) -> None:
    """The service has mailed the first hundred when it can't be reached any more."""
    people = [f"p{number}@example.org" for number in range(120)]
    calls = []

    def fails_the_second_time(name: str, answer: Response) -> Response:
        calls.append(name)
        if calls.count("Invite") == 2:
            return Response(status=503, status_description="later")
        return answer

    service.lie = fails_the_second_time
    stage.fails("alice", "invite", TEAM, *people)
    before = {who: [*tokens] for who, tokens in service.invited.items()}
    service.lie = lambda _name, answer: answer
    told = invited(stage, *people)
    assert len(told["Skipped"]) == 100
    assert told["Invited"] == people[100:]
    assert len(service.invited) == 120
    for who in people[100:]:
        # The answer was lost, not what was asked: they have the same token twice.
        assert {*service.invited[who]} == {*before.get(who, service.invited[who])}
    assert all(len({*tokens}) == 1 for tokens in service.invited.values())


def test_again_sends_the_same_token_once_more(stage: Stage, service: JoinService) -> None:
    invited(stage)
    assert invited(stage)["Skipped"] == [BOB]
    assert invited(stage, BOB, "--again")["Invited"] == [BOB]
    first, second = service.invited[BOB]
    assert first == second


def test_letters_for_one_s_own_mail_program_tell_the_service_nothing(
    stage: Stage, service: JoinService
) -> None:
    folder = stage.folder / "letters"
    stage.does("alice", "invite", TEAM, BOB, "a/b@example.org", "--out", str(folder))
    assert not service.invited
    assert "Invite" not in service.asked
    names = sorted(each.name for each in folder.iterdir())
    assert names == ["a%2Fb@example.org.eml", f"{BOB}.eml"]
    file = folder / f"{BOB}.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    letter = message_from_bytes(file.read_bytes())
    assert (letter["From"], letter["To"], letter["X-Unsent"]) == ("alice@example.org", BOB, "1")
    stage.does("bob", "join", "--invitation", str(file))
    shown = stage.does("alice", "invite", TEAM, CAROL, "--show")
    address, uri = shown.decode().split()
    assert address == CAROL
    stage.does("carol", "join", "--invitation", uri)


def test_secrets_of_invitations_are_sealed_in_a_home_with_a_passphrase(
    stage: Stage, tmp_path: Path
) -> None:
    word = tmp_path / "passphrase"
    word.write_text("correct horse battery\n")
    new = ("--new-passphrase-file", str(word))
    stage.does("alice", "profile", "passphrase", *new)
    stage.does("alice", "invite", TEAM, BOB, "--passphrase-file", str(word))
    (file,) = stage.home("alice").glob("groups/*.invitations")
    assert b"recrypt-sealed" in file.read_bytes()
    assert b"Secret" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_no_address_is_told_before_anything_is_done(
    stage: Stage, service: JoinService
) -> None:
    assert "name@domain" in stage.fails("alice", "invite", TEAM, BOB, "nobody")
    assert not service.invited
    assert not [*stage.home("alice").glob("groups/*.invitations")]


@pytest.mark.parametrize(
    "address",
    [TEAM, "Team-Owner@lists.example", "team-confirm+x@lists.example", "abuse@lists.example"],
)
def test_an_address_of_the_list_itself_is_named_and_nobody_is_invited(
    stage: Stage, service: JoinService, address: str
) -> None:
    assert f"{address} is" in stage.fails("alice", "invite", TEAM, BOB, address)
    file = stage.folder / "people.csv"
    file.write_text(f"address\n{BOB}\n{address}\n")
    result = stage.run("alice", "add", TEAM, "--csv", str(file), "--invite")
    assert result.exit_code == 1
    assert "line 3: " in result.stderr
    assert not service.invited


def test_nobody_is_told_that_a_letter_went_where_the_service_may_have_kept_it_back(
    stage: Stage,
) -> None:
    """It mails an address two a day, whoever invites, and tells nobody."""
    told = stage.run("alice", "invite", TEAM, BOB)
    assert "unless there were two today" in told.stderr
    folder = str(stage.folder / "letters")
    assert (
        "unless" not in stage.run("alice", "invite", TEAM, BOB, "--again", "--out", folder).stderr
    )


def test_two_who_had_one_address_stop_no_invitation(stage: Stage) -> None:
    for where in ("one", "two"):  # of somebody whose keys were lost, and drawn anew
        stage.does(where, "profile", "create", "dave@example.org")
        file = str(stage.folder / f"{where}.json")
        stage.does(where, "profile", "show", "--out", file)
        stage.does("alice", "add", TEAM, file)
        stage.does("alice", "delete", TEAM, stage.keys(where).profile().identifier)
    assert invited(stage) == {"Invited": [BOB], "Skipped": []}
    assert invited(stage, "Dave@example.org")["Skipped"] == ["Dave@example.org"]


def test_an_address_is_one_whatever_the_case_of_its_letters(
    stage: Stage, service: JoinService
) -> None:
    assert invited(stage, "Bob@example.org", BOB)["Invited"] == ["Bob@example.org"]
    (token,) = service.invited["Bob@example.org"]
    comes(stage, service, "bob", token)
    assert worth(stage) == {BOB: "invited"}


def test_an_invitation_that_was_used_elsewhere_is_shown_as_used(
    stage: Stage, service: JoinService
) -> None:
    invited(stage)
    (token,) = service.invited[BOB]
    stage.does("alice", "add", TEAM, str(stage.folder / "bob.json"))  # as by another's approve
    other = new_person(BOB)
    service.wait(other.verified, BOB, proof(read_token(token).secret, other.udf, BOB))
    assert worth(stage) == {BOB: "invited, but somebody else has used it"}


def test_old_invitations_go(stage: Stage) -> None:
    invited(stage)
    home = Home(stage.home("alice"))
    assert Book(home, TEAM, now=stage.now).find(BOB.upper().replace("BOB", "bob")) is not None
    later = stage.now + limits.INVITATION_LIFE + timedelta(seconds=1)
    assert Book(home, TEAM, now=later).find(BOB) is None


class Cut(BaseException):
    """What ends a command at once, as a kill does; every file of a home is whole at any time."""


def cut_off(stage: Stage, at: int, *words: str, is_done: bool) -> bool:
    """Run a command of Alice's that ends at a request, unsent or unheard; tell whether it did."""
    honest, left = stage.service.transport, [at]

    def handle(request: httpx2.Request) -> httpx2.Response:
        left[0] -= 1
        if left[0] == 0 and not is_done:
            raise Cut
        answer = honest.handle_request(request)
        if left[0] == 0:
            raise Cut
        return answer

    try:
        result = stage.run_against(httpx2.MockTransport(handle), "alice", *words)
    except Cut:
        return True
    assert result.exit_code == 0, result.output
    return False


@pytest.mark.parametrize("is_done", [False, True], ids=["unsent", "unheard"])
def test_wherever_invite_is_cut_off_each_has_one_token_and_it_is_good(
    stage: Stage, service: JoinService, is_done: bool
) -> None:
    people = [f"p{number}@example.org" for number in range(101)]
    at = 1
    while cut_off(stage, at, "invite", TEAM, *people, is_done=is_done):
        at += 1
    assert at > 3
    book = Book(stage.keys("alice"), TEAM, now=stage.now)
    assert service.invited.keys() == {*people}
    for who, tokens in service.invited.items():
        found = book.find(who)
        assert found is not None
        assert found.sent
        assert {write_b64url(read_token(each).secret) for each in tokens} == {found.secret}


@pytest.mark.parametrize("is_done", [False, True], ids=["unsent", "unheard"])
def test_wherever_watch_is_cut_off_who_was_invited_comes_in_once(
    stage: Stage, service: JoinService, is_done: bool
) -> None:
    invited(stage)
    comes(stage, service, "bob", service.invited[BOB][0])
    watch = ("watch", TEAM, "--approve", "invited", "--once")
    at = 1
    while cut_off(stage, at, *watch, is_done=is_done):
        at += 1
    assert at > 5
    assert service.state is not None
    assert [each.account for each in service.state.members.values()].count(BOB) == 1
    assert not service.waits
    found = Book(stage.keys("alice"), TEAM, now=stage.now).find(BOB)
    assert found is not None
    assert found.used_by == stage.keys("bob").profile().identifier
