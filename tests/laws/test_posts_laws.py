"""Laws of reading posts: any octets get an answer, and an envelope comes back as it was put in."""

import base64
import binascii
import re
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listserver.mime import Span, Unreadable, from_base64
from listserver.posts import Kind, Post, PostRefused, read_post

# RFC 4648 §4, but for bits that are left over: those may be anything.
BASE64 = re.compile(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

SCRAPS = st.sampled_from(
    [
        *[
            b"\r\n",
            b"\r\n\r\n",
            b"\r\n ",
            b"--",
            b"b",
            b'"',
            b"=",
            b";",
            b"*",
            b"*0",
            b"=?",
            b"?=",
            b"?q?",
        ],
        *[b"Content-Type:", b"multipart/mixed; boundary=b", b"application/octet-stream; name"],
        *[
            b"application/vnd.recrypt",
            b"application/jose+json",
            b"text/plain",
            b".mmx",
            b"utf-8''%2e",
        ],
        *[b"\r\n--b\r\n", b"\r\n--b--\r\n", b"Content-Disposition: attachment; filename"],
        *[
            b"Content-Transfer-Encoding: base64",
            b"quoted-printable",
            b"?b?",
            b"Message-ID: <",
            b"@x>",
        ],
    ]
)
SCRAPPY = st.lists(SCRAPS | st.binary(max_size=4), max_size=40).map(b"".join)


def encoded(octets: bytes, encoding: str) -> bytes:
    match encoding:
        case "base64":
            return base64.encodebytes(octets).replace(b"\n", b"\r\n")
        case "quoted-printable":
            return binascii.b2a_qp(octets, istext=False).replace(b"=\n", b"=\r\n")
        case _:
            return octets


@st.composite
def posts(draw: st.DrawFn) -> tuple[bytes, Post]:
    """Draw a post and what it must be read as: its envelope in some encoding, some levels deep."""
    octets = draw(st.binary(max_size=300)).replace(b"--level", b"")
    kind = draw(st.sampled_from(Kind))
    encoding = draw(st.sampled_from(["7bit", "8bit", "binary", "base64", "quoted-printable"]))
    entity = f"Content-Type: {kind.value}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    entity += encoded(octets, encoding)
    for level in range(draw(st.integers(0, 10))):
        mark = b"\r\n--level %d" % level
        padding = draw(st.sampled_from([b"", b" ", b"\t "]))
        pieces = [b"\r\n" + draw(st.sampled_from([b"", b"A notice.", b"--"])), entity]
        if draw(st.booleans()):
            pieces.reverse()
        entity = b'Content-Type: multipart/x;\r\n boundary="level %d"\r\n\r\nPreamble' % level
        entity += b"".join(mark + padding + b"\r\n" + piece for piece in pieces)
        entity += mark + b"--" + draw(st.sampled_from([b"", b"\r\n", b" \r\nEpilogue"]))
    return entity, Post(kind, octets, read_post(b"Content-Type: " + kind.value.encode()).headers)


@settings(deadline=None)
@given(st.binary() | SCRAPPY | SCRAPPY.map(b"Content-Type: ".__add__))
def test_any_octets_are_a_post_or_refused(raw: bytes) -> None:
    try:
        post = read_post(raw)
    except PostRefused:
        return
    assert isinstance(post.encrypted, bytes)


@settings(deadline=None)
@given(posts())
def test_an_envelope_comes_back_to_the_octet(drawn: tuple[bytes, Post]) -> None:
    raw, expected = drawn
    assert read_post(raw) == expected


@settings(deadline=None)
@given(posts(), st.data())
def test_a_post_cut_off_or_changed_somewhere_is_a_post_or_refused(
    drawn: tuple[bytes, Post], data: st.DataObject
) -> None:
    raw, _ = drawn
    at = data.draw(st.integers(0, len(raw)))
    for hostile in (raw[:at], raw[:at] + data.draw(SCRAPPY) + raw[at:]):
        try:
            read_post(hostile)
        except PostRefused:
            continue


@settings(deadline=None)
@given(
    st.binary(max_size=500), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
)
def test_what_the_standard_library_attaches_is_read(octets: bytes, name: str) -> None:
    message = EmailMessage()
    message.set_content("A notice.")
    message.add_attachment(octets, "application", "octet-stream", filename=f"{name}.mmx")
    raw = message.as_bytes().replace(b"\n", b"\r\n")
    assert read_post(raw).encrypted == octets


@settings(max_examples=500)
@given(st.binary(max_size=60), st.integers(1, 80), st.integers(0, 90), st.sampled_from(b"=A \r\n-"))
def test_base64_in_pieces_is_what_it_is_in_one(
    octets: bytes, width: int, at: int, scrap: int
) -> None:
    text = base64.b64encode(octets)
    lines = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    for given_text in (lines, lines + b"\r\n", lines[:at] + bytes([scrap]) + lines[at:]):
        whole = given_text.replace(b"\r\n", b"")
        if BASE64.fullmatch(whole):
            expected = binascii.a2b_base64(whole)
            assert from_base64(given_text, Span(0, len(given_text)), at_once=17) == expected
        else:
            with pytest.raises(Unreadable):
                from_base64(given_text, Span(0, len(given_text)), at_once=17)
