"""Messages are padded before they are sealed: Padmé (spec §7)."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recrypt_client import mail
from recrypt_core import limits
from recrypt_core.envelope import read_envelope
from recrypt_core.padding import FIELD, HEADER_OCTETS, padding, padme
from tests.client.stage import TEAM, URL, Stage

MIB = 2**20
# Worked out from the definition by hand: E = floor(log2 L), S = floor(log2 E) + 1, and the last
# E - S bits are to be zero.
PADME = {
    1: 1,
    2: 2,
    8: 8,
    9: 10,
    15: 16,
    100: 104,
    1000: 1024,
    1025: 1088,
    4097: 4352,
    10_000: 10_240,
    65_537: 67_584,
    10**6: 1_015_808,
    MIB + 1: MIB + 2**15,
    64 * MIB: 64 * MIB,
}


@pytest.mark.parametrize(("octets", "padded"), PADME.items())
def test_padme_sizes(octets: int, padded: int) -> None:
    assert padme(octets) == padded


@given(st.integers(1, 2**40))
def test_padme_adds_twelve_percent_at_most_and_only_once(octets: int) -> None:
    padded = padme(octets)
    assert octets <= padded <= octets * 1.12
    assert padme(padded) == padded


def test_few_sizes_are_left() -> None:
    assert len({padme(octets) for octets in range(1, 2**16)}) < 250


@given(st.integers(400, limits.CONTENT_OCTETS), st.integers(200, 40_000))
def test_a_padded_message_has_one_of_these_sizes_and_short_lines(octets: int, header: int) -> None:
    field, tail = padding(octets, header=header, most=2**40)
    whole = octets + len(field) + len(tail)
    assert padme(whole) == whole <= octets * 1.12
    assert len(field) <= max(HEADER_OCTETS - header, 20)
    lines = [each for part in (field, tail) for each in part.split(b"\r\n")]
    assert all(len(line) <= 78 for line in lines)
    assert field.startswith(b"Recrypt-Padding: =")
    assert all(line.startswith(b" =") for line in field.split(b"\r\n")[1:-1])
    assert not tail.strip()
    assert tail[-2:] in (b"", b"\r\n")


def test_padding_makes_nothing_too_large() -> None:
    octets = limits.CONTENT_OCTETS - 1000
    field, tail = padding(octets, header=400, most=limits.CONTENT_OCTETS)
    assert len(field) + len(tail) == 1000
    field, tail = padding(limits.CONTENT_OCTETS, header=400, most=limits.CONTENT_OCTETS)
    assert (len(field), tail) == (20, b"")


def message(text: str, *, attached: int = 0) -> bytes:
    made = EmailMessage(email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = "alice@example.org", TEAM, "Hello"
    made["Message-ID"], made["Date"] = "<1@example.org>", "Sun, 22 Nov 2026 14:00:00 +0000"
    made.set_content(text)
    if attached:
        made.add_attachment(b"\xa7" * attached, "application", "pdf", filename="plan.pdf")
    return made.as_bytes()


def sealed_octets(post: bytes) -> int:
    return len(read_envelope(mail.envelope_in(post)).ciphertext)


def test_posts_of_near_lengths_are_sealed_to_one_size(stage: Stage) -> None:
    stage.team("bob")
    sizes = {sealed_octets(stage.sealed(message("x" * 40 + "y" * n))) for n in range(0, 40, 7)}
    assert len(sizes) <= 2
    assert all(padme(size) == size for size in sizes)


def test_who_has_no_profile_pads_too(stage: Stage) -> None:
    stage.team("bob")
    stage.does("dave", "key", TEAM, "--service", URL)
    size = sealed_octets(stage.sealed(message("Hello"), by="dave"))
    assert padme(size) == size


@pytest.mark.parametrize("attached", [0, 1000, 2 * MIB], ids=["text", "small", "large"])
def test_a_mail_program_sees_nothing_of_it_and_the_signature_is_good(
    stage: Stage, attached: int
) -> None:
    stage.team("bob")
    sent = message("Hello\n", attached=attached)
    done = stage.run("bob", "read", stdin=stage.copy(stage.sealed(sent), "bob"))
    assert done.exit_code == 0, done.stderr
    assert "signed by" in done.stderr
    before, after = (
        email.message_from_bytes(x, policy=email.policy.default) for x in (sent, done.stdout_bytes)
    )
    parts = [
        [part.get_content() for part in each.walk() if not part.is_multipart()]
        for each in (before, after)
    ]
    assert parts[0] == parts[1]
    assert len(after.get_all(FIELD, [])) == 1
    assert not after.defects


def test_padding_of_a_message_that_was_read_does_not_grow(stage: Stage) -> None:
    stage.team("bob")
    once = stage.does("bob", "read", stdin=stage.copy(stage.sealed(message("Hello")), "bob"))
    again = stage.does("bob", "read", stdin=stage.copy(stage.sealed(once), "bob"))
    assert again.count(b"Recrypt-Padding:") == 1
    assert len(again) == len(once)
