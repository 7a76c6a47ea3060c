"""`recrypt key --file` and `recrypt join --by-mail`: mail from a list's desk, and mail to it."""

from email import message_from_bytes
from email.policy import default as policy
from pathlib import Path

import pytest

from listserver import mime
from listserver.attachments import document_in as document_in_mail
from recrypt_core.documents import unverified_join, verified_join, verified_profile
from recrypt_core.encoding import read_json
from recrypt_core.invitations import proof, read_token
from recrypt_core.messages import GetKey, GetKeyResponse, Request, Response, write_response
from recrypt_core.signing import Jws, SignedRequest
from recrypt_core.wire import from_json
from tests.client.honest_service import HonestService
from tests.client.stage import TEAM, URL, Stage

LETTERS = "abcdefghijklmnopqrstuvwxy2"


class KeepingService(HonestService):
    """The honest service, which keeps its last answer to GetKey."""

    told: GetKeyResponse | None = None

    def _answer(self, message: Request, signed: SignedRequest | None) -> Response:
        answer = super()._answer(message, signed)
        if isinstance(message, GetKey) and isinstance(answer, GetKeyResponse):
            self.told = answer
        return answer


@pytest.fixture
def service() -> KeepingService:
    """A service."""
    return KeepingService(URL)


@pytest.fixture
def stage(stage: Stage, service: KeepingService) -> Stage:
    """Alice's team; Bob has a profile."""
    stage.service = service
    stage.team()
    stage.person("bob")
    return stage


@pytest.fixture
def key_file(stage: Stage, service: KeepingService) -> Path:
    """Give the file that the desk mails."""
    stage.does("carol", "key", TEAM, "--service", URL)
    assert service.told is not None
    file = stage.folder / "team.key.json"
    file.write_bytes(write_response("GetKey", service.told) + b"\r\n")
    service.asked.clear()
    return file


def fingerprint_of(stage: Stage) -> str:
    pin = stage.keys("alice").pin(TEAM)
    assert pin is not None
    return pin.identifier


def in_mail(file: bytes, name: str = "team.key.json") -> bytes:
    """Put a file in a mail."""
    return (
        b"From: team-request@lists.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n"
        b'Hello\n--b\nContent-Type: application/json\nContent-Disposition: attachment; filename="'
        + name.encode() + b'"\n\n' + file + b"\n--b--\n"
    )  # fmt: skip


def document_in(octets: bytes, to: str) -> Jws:
    """Read the signed document that a mail to the desk brings."""
    mail = message_from_bytes(octets, policy=policy)
    assert (mail["To"], mail["From"]) == (to, "bob@example.org")
    (part,) = [each for each in mail.walk() if each.get_content_type() == "application/json"]
    assert str(part.get_filename()).endswith(".json")
    return from_json(Jws, read_json(part.get_content(), limit=10**5))


def test_the_file_is_verified_and_pinned_without_asking_anybody(
    stage: Stage, service: KeepingService, key_file: Path
) -> None:
    result = stage.run("bob", "key", TEAM, "--service", URL, "--file", str(key_file))
    assert result.exit_code == 0
    assert "trust on first use" in result.stderr
    assert service.asked == []
    pin = stage.keys("bob").pin(TEAM)
    assert pin is not None
    assert (pin.identifier, pin.service) == (fingerprint_of(stage), URL)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_mail_may_be_given_as_it_came(stage: Stage, key_file: Path, line_end: bytes) -> None:
    mail = in_mail(key_file.read_bytes()).replace(b"\r\n", b"\n").replace(b"\n", line_end)
    said = stage.does(
        "bob", "key", TEAM, "--service", URL, "--file", "-", "--fingerprint",
        fingerprint_of(stage), stdin=mail,
    )  # fmt: skip
    assert fingerprint_of(stage).encode() in said


def test_another_fingerprint_another_group_and_a_broken_file_pin_nothing(
    stage: Stage, key_file: Path
) -> None:
    known = ("--service", URL, "--file", str(key_file))
    other = "MBBBB-" + fingerprint_of(stage)[6:]
    assert "NOT THE ONE" in stage.fails("bob", "key", TEAM, *known, "--fingerprint", other)
    stage.fails("bob", "key", "other@lists.example", *known)
    for octets in (b"", b"{}", in_mail(b"{}"), in_mail(b"x", name="note.txt")):
        stage.fails("bob", "key", TEAM, "--service", URL, "--file", "-", stdin=octets)
    assert stage.keys("bob").pin(TEAM) is None


def test_an_old_key_in_a_file_is_refused_once_a_newer_one_was_seen(
    stage: Stage, key_file: Path
) -> None:
    stage.does("alice", "rekey", TEAM)
    stage.does("bob", "key", TEAM, "--service", URL)
    assert "OLD GROUP KEY" in stage.fails("bob", "key", TEAM, "--file", str(key_file))


def test_the_mail_that_asks_carries_the_profile_and_calls_nobody(
    stage: Stage, service: KeepingService
) -> None:
    service.asked.clear()
    mail = stage.does("bob", "join", TEAM, "--by-mail")
    profile = verified_profile(document_in(mail, "team-subscribe@lists.example"))
    assert profile == stage.keys("bob").profile()
    assert service.asked == []


def test_the_mail_that_answers_carries_the_token_signed_and_names_it_in_its_address(
    stage: Stage, key_file: Path
) -> None:
    stage.does("bob", "key", TEAM, "--service", URL, "--file", str(key_file))
    file = stage.folder / "answer.eml"
    stage.does(
        "bob", "join", TEAM, "--by-mail", "--token", "-", "--out", str(file),
        stdin=f"Token: {LETTERS}\n".encode(),
    )  # fmt: skip
    answer = document_in(file.read_bytes(), f"team-confirm+{LETTERS}@lists.example")
    stated = verified_join(answer, stage.keys("bob").profile())
    assert stated == unverified_join(answer)
    assert (stated.token, stated.group_identifier) == (LETTERS, fingerprint_of(stage))
    assert file.stat().st_mode & 0o777 == 0o600  # who has the token could use it


def test_the_mail_of_who_is_invited_carries_the_proof_beside_the_profile(
    stage: Stage, service: KeepingService
) -> None:
    shown = stage.does("alice", "invite", TEAM, "bob@example.org", "--show").split()[1]
    service.asked.clear()
    result = stage.run("bob", "join", "--by-mail", "--invitation", "-", stdin=shown)
    assert result.exit_code == 0
    assert f"--fingerprint {fingerprint_of(stage)}" in result.stderr
    mail = mime.read_message(result.stdout_bytes)
    brought = document_in_mail(result.stdout_bytes, mail)
    assert brought is not None
    own = stage.keys("bob").profile()
    assert verified_profile(brought.document) == own
    secret = read_token(shown.decode()).secret
    assert brought.invitation == proof(secret, own.identifier, "bob@example.org")
    assert service.asked == []


def test_an_answer_needs_a_group_that_is_known(stage: Stage) -> None:
    words = stage.fails("bob", "join", TEAM, "--by-mail", "--token", "-", stdin=LETTERS.encode())
    assert f"recrypt key {TEAM}" in words


@pytest.mark.parametrize(
    "options",
    [("--by-mail", "--service", URL), ("--by-mail", "--fingerprint", "x"), ("--out", "x")],
)
def test_options_that_say_nothing_together_are_wrong_usage(
    stage: Stage, options: tuple[str, ...]
) -> None:
    assert stage.run("bob", "join", TEAM, *options).exit_code == 2
