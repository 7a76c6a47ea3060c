"""Laws of copies: whatever the post and the members, one size, and each reads its own."""

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from listserver import copies
from recrypt_core.keys import Curve
from recrypt_core.limits import ENVELOPE_LINE_OCTETS
from recrypt_core.opening import open_recrypted
from tests.builders import new_group, new_membership, new_person
from tests.mails import attachment, envelope_of, sealed
from tests.stored import copies_of, copy_octets, half_of, stored_post


@settings(max_examples=40)
@given(
    content=st.binary(max_size=400),
    curve=st.sampled_from(Curve),
    devices=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    notice=st.booleans(),
)
def test_every_member_reads_a_copy_of_one_size(
    content: bytes, curve: Curve, devices: list[int], notice: bool
) -> None:
    key = new_group(curve=curve).key
    people = [new_person(f"m{at}@example.org", devices=n) for at, n in enumerate(devices)]
    halves = [half_of(new_membership(each, key)) for each in people]
    envelope = sealed(key.public, content=content)
    made = copies_of(envelope, *halves, notice=notice)
    post = stored_post(envelope, *halves, notice=notice)
    for person, copy in zip(people, made, strict=True):
        octets = b"".join(copy)
        assert open_recrypted(envelope_of(copy), [person.devices[-1]]) == content
        assert len(octets) == copy_octets(post, envelope)
        assert attachment(octets).find(b"\n") + 1 == post.line_octets
        assert not any(line.startswith(b".") for line in octets.split(b"\r\n"))


@given(st.integers(2, 30_000), st.integers(0, 2_000))
def test_a_line_is_filled_to_the_smallest_size_of_all(line: int, own: int) -> None:
    size = copies.line_octets(b"x" * line, own)
    needed = line + len(b',"recryption":') + own + len(b"}\n")
    allowed = [2052 * 2**k for k in range(10) if 2052 * 2**k <= ENVELOPE_LINE_OCTETS]
    assert size == min(filter(partial(int.__le__, needed), allowed))


def encoded(octets: bytes) -> bytes:
    return b"".join(copies._base64_lines(octets))


@given(st.binary(max_size=700))
def test_the_parts_of_a_copy_join_to_whole_base64_lines(ciphertext: bytes) -> None:
    lines = encoded(ciphertext).split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) == 76 for line in lines[:-1])
    front = encoded(bytes(57 * 3))
    assert front + encoded(ciphertext) == encoded(bytes(57 * 3) + ciphertext)
