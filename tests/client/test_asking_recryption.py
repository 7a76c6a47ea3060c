"""What holds no recryption is recrypted on asking; every lie of the service is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event

import httpx2
import pytest
from msgspec.structs import replace as but

from recrypt_client import terminal
from recrypt_client.terminal import Terminal
from recrypt_core.agreement import Split, partial
from recrypt_core.documents import UserDecryptionEntry
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import read_envelope
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import GetEntryResponse, RecryptDataResponse, Response
from recrypt_core.records import AuditEntry, AuditResult
from recrypt_core.sealing import seal
from recrypt_core.wire import SealedKey
from tests.builders import new_membership, new_person
from tests.client.malicious_members import let_in, listing, online
from tests.client.stage import MESSAGE, TEAM, URL, Stage

PLAN = b"the plan"
PATIENCE = 30  # seconds, for what takes none
Lie = Callable[[Stage, bytes, RecryptDataResponse], Response]


@pytest.fixture
def sealed(stage: Stage) -> bytes:
    """Make the team of Alice, Bob and Carol; give a file that somebody sealed to it."""
    stage.team("bob", "carol")
    for name in ("bob", "carol"):
        stage.does(name, "key", TEAM, "--service", URL)
    return stage.does("dave", "encrypt", "-", "--to", TEAM, "--service", URL, stdin=PLAN)


def entry_of(stage: Stage, name: str) -> UserDecryptionEntry:
    """Give somebody's entry, as the service has it."""
    assert stage.service.state is not None
    (member,) = [
        each
        for each in stage.service.state.members.values()
        if each.account == f"{name}@example.org"
    ]
    return member.entry.entries[0]


def log_row(stage: Stage, seq: int, name: str, result: AuditResult) -> AuditEntry:
    assert stage.service.state is not None
    return AuditEntry(
        seq=seq,
        time=stage.now,
        recrypt_udf=stage.keys(name).profile().identifier,
        member_key_udf=entry_of(stage, "bob").member_key_udf,
        ephemeral_udf=PrivateKey.generate(Curve.X25519).public.udf,
        result=result,
    )


def test_a_member_decrypts_a_file_that_holds_no_recryption(stage: Stage, sealed: bytes) -> None:
    result = stage.run("bob", "decrypt", "-", stdin=sealed)
    assert (result.stdout_bytes, result.stderr) == (PLAN, "")
    assert stage.service.asked[-2:] == ["GetEntry", "RecryptData"]
    (half,) = (stage.home("bob") / "halves").iterdir()
    assert half.stem == entry_of(stage, "bob").member_key_udf


def test_a_post_is_read_so_too(stage: Stage, sealed: bytes) -> None:
    assert sealed
    result = stage.run("bob", "read", stdin=stage.sealed())
    assert result.stdout_bytes.endswith(MESSAGE.partition(b"\r\n\r\n")[2])
    assert "signed by Alice" in result.stderr


def test_it_works_with_a_passphrase(stage: Stage, sealed: bytes) -> None:
    stage.types = lambda _words: "four words nobody guesses"
    stage.does("bob", "profile", "passphrase")
    stage.asked.clear()
    assert stage.does("bob", "decrypt", "-", stdin=sealed) == PLAN
    assert len(stage.asked) == 1


def test_a_file_sealed_to_a_newer_key_than_was_seen_is_opened(stage: Stage, sealed: bytes) -> None:
    stage.does("alice", "rekey", TEAM)
    newer = stage.does("dave", "encrypt", "-", "--to", TEAM, "--service", URL, stdin=PLAN)
    assert stage.does("bob", "decrypt", "-", stdin=newer) == PLAN
    assert stage.service.asked[-3:] == ["GetKey", "GetEntry", "RecryptData"]
    assert stage.does("bob", "decrypt", "-", stdin=sealed) == PLAN  # and what was sealed before
    assert stage.service.asked[-2:] == ["GetEntry", "RecryptData"]


def test_what_asking_after_newer_keys_came_to_is_told(stage: Stage, sealed: bytes) -> None:
    foreign = seal(PLAN, [PrivateKey.generate(Curve.X25519).public]).mmx()
    assert "sealed to keys that aren't here" in stage.fails("bob", "decrypt", "-", stdin=foreign)
    assert stage.service.asked[-1] == "GetKey"
    stage.service.lie = lambda _name, _response: Response(status=503, status_description="Later.")
    words = stage.fails("bob", "decrypt", "-", stdin=foreign)
    assert "sealed to keys that aren't here" in words
    assert "503" in words
    assert sealed


def test_no_service_is_asked_after_newer_keys_of_mail(stage: Stage, sealed: bytes) -> None:
    asked = len(stage.service.asked)
    foreign = seal(MESSAGE, [PrivateKey.generate(Curve.X25519).public], cty="message/rfc822")
    assert "keys that aren't here" in stage.fails("bob", "read", stdin=foreign.mmx())
    assert len(stage.service.asked) == asked
    assert sealed


def test_who_is_no_member_is_told_what_to_do(stage: Stage, sealed: bytes) -> None:
    stage.person("dave")
    words = stage.fails("dave", "decrypt", "-", stdin=sealed)
    assert f"standard input is sealed to {TEAM}" in words
    assert "Only its members can read it" in words


def test_without_a_profile_nobody_is_asked(stage: Stage, sealed: bytes) -> None:
    asked = len(stage.service.asked)
    assert "there is no profile here" in stage.fails("dave", "decrypt", "-", stdin=sealed)
    assert len(stage.service.asked) == asked


def test_who_was_suspended_is_refused(stage: Stage, sealed: bytes) -> None:
    stage.does("alice", "suspend", TEAM, "bob@example.org")
    words = stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert "403" in words
    assert "Ask the group's administrator" in words


def test_who_has_no_entry_for_the_key_is_told_so(stage: Stage, sealed: bytes) -> None:
    stage.service.lie = lambda name, response: (
        GetEntryResponse(entries=()) if name == "GetEntry" else response
    )
    words = stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert "has no entry of yours for its key" in words


def test_when_a_quota_is_used_up_the_services_words_tell_until_when(
    stage: Stage, sealed: bytes
) -> None:
    stage.service.lie = lambda name, response: (
        Response(status=429, status_description="Refused: ask again from 2026-11-23T00:00:00Z on.")
        if name == "RecryptData"
        else response
    )
    words = stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert "ask again from 2026-11-23T00:00:00Z on. Try again later" in words


def test_a_service_that_cannot_be_reached_is_told(stage: Stage, sealed: bytes) -> None:
    def down(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused")

    result = stage.run_against(httpx2.MockTransport(down), "bob", "decrypt", "-", stdin=sealed)
    assert result.exit_code == 1
    assert "connection refused" in result.stderr


# --- lies

LIES: dict[str, tuple[Lie, str]] = {
    "a random partial": (
        lambda _stage, _sealed, answer: but(answer, partial=write_b64url(bytes(range(32)))),
        "WHAT IT ANSWERED DOESN'T OPEN standard input",
    ),
    "a partial of another length": (
        lambda _stage, _sealed, answer: but(answer, partial=write_b64url(bytes(31))),
        "WHAT IT ANSWERED DOESN'T OPEN standard input",
    ),
    "a partial of another member's half": (
        lambda stage, sealed, answer: but(answer, partial=foreign_partial(stage, sealed)),
        "WHAT IT ANSWERED DOESN'T OPEN standard input",
    ),
    "another split": (
        lambda _stage, _sealed, answer: but(answer, split=Split.PRODUCT),
        "another entry than the one that was asked about",
    ),
    "another DecryptionKey": (
        lambda stage, _sealed, answer: but(
            answer, decryption_key=entry_of(stage, "carol").decryption_key
        ),
        "another entry than the one that was asked about",
    ),
    "an encrypted partial, unasked": (
        lambda _stage, _sealed, answer: but(
            answer, partial=None, encrypted_partial=answer.decryption_key
        ),
        "no Partial",
    ),
}


def foreign_partial(stage: Stage, sealed: bytes) -> str:
    """Compute the partial with Carol's half."""
    half = stage.service.halves[entry_of(stage, "carol").member_key_udf]
    return write_b64url(partial(half, read_envelope(sealed).recipients[0].epk))


@pytest.mark.parametrize("what", LIES)
def test_an_answer_that_lies_is_refused(stage: Stage, sealed: bytes, what: str) -> None:
    lie, expected = LIES[what]

    def answer(_name: str, response: Response) -> Response:
        if not isinstance(response, RecryptDataResponse):
            return response
        return lie(stage, sealed, response)

    stage.service.lie = answer
    words = stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert expected in words
    assert not (stage.home("bob") / "halves").exists()


def test_an_entry_that_lies_is_refused_before_anything_is_asked_with_it(
    stage: Stage, sealed: bytes
) -> None:
    mine, carols = entry_of(stage, "bob"), entry_of(stage, "carol")
    other = PrivateKey.generate(Curve.X25519)
    forger = replace(new_person("bob@example.org"), verified=stage.keys("bob").profile())
    (forged,) = new_membership(forger, other).entry.entries  # of a key of the service's own
    for entry, expected in (
        (carols, "sealed to none of the keys here"),
        (but(mine, recryption_public=carols.recryption_public), "don't make up the group's key"),
        (but(mine, split=Split.PRODUCT), "don't make up the group's key"),
        (but(mine, recryption_public=PrivateKey.generate(Curve.P256).public), "don't make up"),
        (but(forged, encryption_key_udf=mine.encryption_key_udf), "don't make up the group's key"),
        (but(mine, decryption_key=forged.decryption_key), "isn't the one its entry names"),
    ):

        def lie(name: str, response: Response, shown: UserDecryptionEntry = entry) -> Response:
            return GetEntryResponse(entries=(shown,)) if name == "GetEntry" else response

        stage.service.lie = lie
        assert expected in stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert "RecryptData" not in stage.service.asked


def shows(stage: Stage, *entries: UserDecryptionEntry) -> None:
    """Let the service answer GetEntry with these."""
    stage.service.lie = lambda name, response: (
        GetEntryResponse(entries=entries) if name == "GetEntry" else response
    )


def test_an_entry_of_who_lists_ones_signature_key_too_is_passed_over(
    stage: Stage, sealed: bytes
) -> None:
    """The service answers for a key: it may be in more profiles than its owner's."""
    bobs, carols = entry_of(stage, "bob"), entry_of(stage, "carol")
    for entries in ((bobs, carols), (carols, bobs)):
        shows(stage, *entries)
        for name in ("bob", "carol"):
            assert stage.does(name, "decrypt", "-", stdin=sealed) == PLAN


def test_an_entry_of_who_lists_ones_encryption_key_too_is_passed_over(
    stage: Stage, sealed: bytes
) -> None:
    """It opens here, but the service recrypts with it for its own member alone."""
    carol = stage.keys("carol").profile().profile
    greedy = new_person(carol.accounts[0]).changed(encryption_keys=carol.encryption_keys)
    carols = entry_of(stage, "carol")
    let_in(stage, greedy)
    assert stage.service.state is not None
    mallory = stage.service.state.members[greedy.udf].entry.entries[0]
    for entries in ((mallory, carols), (carols, mallory)):
        shows(stage, *entries)
        assert stage.does("carol", "decrypt", "-", stdin=sealed) == PLAN
    shows(stage, mallory)
    assert "Only its members can read it" in stage.fails("carol", "decrypt", "-", stdin=sealed)


def test_a_member_whose_online_key_another_lists_asks_by_the_own_profile(
    stage: Stage, sealed: bytes
) -> None:
    let_in(stage, listing(online(stage, "bob")))
    assert stage.does("bob", "decrypt", "-", stdin=sealed) == PLAN


def test_an_x_that_belongs_to_another_group_is_refused(stage: Stage, sealed: bytes) -> None:
    assert stage.does("bob", "decrypt", "-", stdin=sealed) == PLAN
    (half,) = (stage.home("bob") / "halves").iterdir()
    other = PrivateKey.generate(Curve.X25519).public.udf
    half.write_text(json.dumps({"GroupKeyUDF": other}))
    words = stage.fails("bob", "decrypt", "-", stdin=sealed)
    assert "THE SERVICE SHOWS ANOTHER GROUP KEY" in words


def test_content_that_was_changed_is_refused(stage: Stage, sealed: bytes) -> None:
    bent = sealed[:-1] + bytes([sealed[-1] ^ 1])
    assert "it was changed or forged" in stage.fails("bob", "decrypt", "-", stdin=bent)


def test_a_decryption_key_that_is_no_private_key_is_refused(stage: Stage, sealed: bytes) -> None:
    envelope = read_envelope(sealed)
    mine = entry_of(stage, "bob")
    stage.service.lie = lambda name, response: (
        GetEntryResponse(entries=(but(mine, decryption_key=SealedKey(envelope)),))
        if name == "GetEntry"
        else response
    )
    assert "none of the keys here" in stage.fails("bob", "decrypt", "-", stdin=sealed)


# --- what is waited for


class Said(Terminal):
    """A terminal that keeps its notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.has_said = Event()

    def note(self, text: str) -> None:
        """Keep it."""
        self.notes.append(text)
        self.has_said.set()


def test_what_is_waited_for_is_told_on_a_terminal_if_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Said()
    for is_terminal, seconds in ((False, 0), (True, 60)):
        monkeypatch.setattr("sys.stderr.isatty", lambda shown=is_terminal: shown)
        monkeypatch.setattr(terminal, "SLOW_SECONDS", seconds)
        with told.waiting("Asking"):
            pass
    assert told.notes == []
    monkeypatch.setattr(terminal, "SLOW_SECONDS", 0)
    with told.waiting("Asking"):
        assert told.has_said.wait(PATIENCE)
    assert told.notes == ["Asking ..."]


# --- the log


def test_administrators_see_who_asked(stage: Stage) -> None:
    stage.team("bob")
    rows = [
        log_row(stage, 3, "bob", AuditResult.DONE),
        log_row(stage, 4, "alice", AuditResult.QUOTA),
        log_row(stage, 9, "bob", AuditResult.REFUSED),
    ]
    stage.service.log += rows
    told = stage.does("alice", "audit", TEAM).decode().splitlines()
    assert told[0].split() == ["TIME", "ADDRESS", "RESULT", "EPHEMERAL", "KEY"]
    assert [line.split()[1:] for line in told[1:]] == [
        ["bob@example.org", "DONE", rows[0].ephemeral_udf],
        ["alice@example.org", "QUOTA", rows[1].ephemeral_udf],
        ["bob@example.org", "REFUSED", rows[2].ephemeral_udf],
    ]
    value = json.loads(stage.does("alice", "audit", TEAM, "--json"))
    assert [each["Seq"] for each in value["Entries"]] == [3, 4, 9]
    assert value["Entries"][0] == {
        "Seq": 3,
        "Time": f"{rows[0].time:%Y-%m-%dT%H:%M:%SZ}",
        "RecryptUDF": rows[0].recrypt_udf,
        "AccountName": "bob@example.org",
        "MemberKeyUDF": rows[0].member_key_udf,
        "EphemeralUDF": rows[0].ephemeral_udf,
        "Result": "DONE",
    }


def test_only_what_was_asked_since_a_time_is_shown(stage: Stage) -> None:
    stage.team("bob")
    row = log_row(stage, 1, "bob", AuditResult.DONE)
    old = but(row, time=row.time - timedelta(days=2))
    stage.service.log += [old, but(row, seq=2)]
    for since, seqs in (("1d", [2]), ("3d", [1, 2]), ("2026-11-22", [2]), ("2026-11-20", [1, 2])):
        value = json.loads(stage.does("alice", "audit", TEAM, "--since", since, "--json"))
        assert [each["Seq"] for each in value["Entries"]] == seqs


def test_somebody_whom_the_chain_does_not_know_is_shown_by_the_fingerprint(stage: Stage) -> None:
    stage.team("bob")
    stage.person("mallory")
    row = log_row(stage, 1, "mallory", AuditResult.DONE)
    stage.service.log.append(row)
    assert row.recrypt_udf in stage.does("alice", "audit", TEAM).decode()
    value = json.loads(stage.does("alice", "audit", TEAM, "--json"))
    assert value["Entries"][0]["AccountName"] is None


def test_a_log_out_of_order_is_not_followed_for_ever(stage: Stage) -> None:
    stage.team("bob")
    rows = [log_row(stage, seq, "bob", AuditResult.DONE) for seq in (2, 1, 3)]
    stage.service.log += rows
    assert "out of order" in stage.fails("alice", "audit", TEAM)


def test_a_plain_member_cannot_see_it(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    assert "administrators only" in stage.fails("bob", "audit", TEAM)
