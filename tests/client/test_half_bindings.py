"""The half X of a member belongs to one group key for ever; another one beside it is an alarm."""

from dataclasses import replace

import pytest

from recrypt_core.envelope import read_envelope
from recrypt_core.keys import Curve, PrivateKey
from tests.client.honest_service import in_mail
from tests.client.stage import TEAM, Stage


def recrypted(stage: Stage) -> bytes:
    """Give Bob's `.mmx` of a file for the team."""
    sealed = stage.does("carol", "encrypt", "-", "--to", TEAM, stdin=b"hello")
    return stage.service.recrypted(sealed, "bob@example.org")


def under_another_group(mmx: bytes) -> bytes:
    """Give the same copy as a service would that says it is another group's."""
    envelope = read_envelope(mmx)
    assert envelope.recryption is not None
    other = PrivateKey.generate(Curve.X25519).public.udf
    (recipient,) = envelope.recipients
    header = {name: value for name, value in recipient.header.items() if name != "kid"}
    return replace(
        envelope,
        recipients=(replace(recipient, kid=None, header=header),),
        recryption=replace(envelope.recryption, group_key=other),
    ).mmx()


@pytest.mark.parametrize("command", [("decrypt", "-"), ("read",)])
def test_a_half_that_is_shown_under_another_group_key_is_refused_loudly(
    stage: Stage, command: tuple[str, ...]
) -> None:
    stage.team("bob")
    mmx = recrypted(stage)
    assert stage.does("bob", "decrypt", "-", stdin=mmx) == b"hello"
    result = stage.run("bob", *command, stdin=under_another_group(mmx))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "ANOTHER GROUP KEY" in result.stderr
    assert stage.does("bob", "decrypt", "-", stdin=mmx) == b"hello"


def test_a_copy_that_does_not_open_binds_nothing(stage: Stage) -> None:
    stage.team("bob")
    mmx = recrypted(stage)
    broken = under_another_group(mmx)
    broken = broken[:-1] + bytes([broken[-1] ^ 1])
    assert "content that was changed" in stage.fails("bob", "decrypt", "-", stdin=broken)
    assert stage.does("bob", "decrypt", "-", stdin=mmx) == b"hello"


def test_what_was_read_in_a_mail_binds_too(stage: Stage) -> None:
    stage.team("bob")
    mmx = recrypted(stage)
    assert stage.does("bob", "read", stdin=in_mail(mmx)) == b"hello"
    words = stage.fails("bob", "decrypt", "-", stdin=under_another_group(mmx))
    assert "ANOTHER GROUP KEY" in words
