"""`recrypt encrypt` and `decrypt`: files and pipes."""

import stat

import pytest

from recrypt_core.envelope import read_envelope
from tests.client.stage import TEAM, URL, Stage


def test_a_file_is_encrypted_and_decrypted_with_the_groups_private_key(stage: Stage) -> None:
    stage.team()
    plain, sealed, opened = (stage.folder / name for name in ("plan", "plan.mmx", "again"))
    plain.write_bytes(bytes(range(256)))
    stage.does("bob", "encrypt", str(plain), "--to", TEAM, "--service", URL, "--out", str(sealed))
    assert bytes(range(256)) not in sealed.read_bytes()
    stage.does("alice", "decrypt", "--out", str(opened), str(sealed))
    assert opened.read_bytes() == bytes(range(256))
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600


def test_pipes_work_from_end_to_end(stage: Stage) -> None:
    stage.team()
    sealed = stage.does("bob", "encrypt", "-", "--to", TEAM, stdin=b"hello")
    assert stage.does("alice", "decrypt", "-", stdin=sealed) == b"hello"


def test_a_member_decrypts_what_the_service_recrypted(stage: Stage) -> None:
    stage.team("bob")
    sealed = stage.does("carol", "encrypt", "-", "--to", TEAM, stdin=b"hello")
    for_bob = stage.service.recrypted(sealed, "bob@example.org")
    assert stage.does("bob", "decrypt", "-", stdin=for_bob) == b"hello"
    assert stage.service.asked.count("RecryptData") == 0


def test_a_group_named_twice_is_one_recipient(stage: Stage) -> None:
    stage.team()
    sealed = stage.does("bob", "encrypt", "-", "--to", TEAM, "--to", TEAM.upper(), stdin=b"hello")
    assert len(read_envelope(sealed).recipients) == 1


def test_first_use_is_told_beside_the_answer(stage: Stage) -> None:
    stage.team()
    result = stage.run("bob", "encrypt", "-", "--to", TEAM, stdin=b"hello")
    assert "trusted on first use" in result.stderr
    assert stage.run("bob", "encrypt", "-", "--to", TEAM, stdin=b"hello").stderr == ""


@pytest.mark.parametrize("out", ["nosuch/file", "."])
def test_an_output_that_cannot_be_written_is_told_in_one_line(stage: Stage, out: str) -> None:
    stage.team()
    stage.does("bob", "key", TEAM)
    words = stage.fails(
        "bob", "encrypt", "-", "--to", TEAM, "--out", str(stage.folder / out), stdin=b"hello"
    )
    assert "Choose another file with --out" in words


def test_a_missing_file_is_told_before_anything_is_asked(stage: Stage) -> None:
    assert "nosuch: No such file" in stage.fails("bob", "encrypt", "nosuch", "--to", TEAM)
    assert stage.service.asked == []
