"""What is a post and what is refused (spec §7).

Each case is two files in tests/cases/posts: NAME.eml is the message, with LF lines here and CRLF
lines as it is read; NAME.expect has the class in its first line, `accepted` or the reason of the
refusal. After `accepted` follow `key: value` lines; a header fact without a line must be absent.
"""

from pathlib import Path

import pytest

from listserver import mime, posts
from listserver.posts import Kind, PostHeaders, PostRefused, Reason, read_post

CASES = Path(__file__).parents[1] / "cases" / "posts"
NAMES = sorted(path.stem for path in CASES.glob("*.eml"))
ENVELOPE = b"Content-Type: application/vnd.recrypt\r\n\r\noctets"


def refusal(raw: bytes) -> Reason:
    with pytest.raises(PostRefused) as caught:
        read_post(raw)
    return caught.value.reason


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n"
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + b"--" + boundary + b"--\r\n"


def nested(inside: bytes, depth: int) -> bytes:
    for level in range(depth):
        inside = multipart(inside, boundary=b"level-%03d" % level)
    return inside


def facts_of(headers: PostHeaders) -> dict[str, str]:
    listed = {
        "message-id": headers.message_id or "",
        "references": " ".join(headers.references),
        "in-reply-to": " ".join(headers.in_reply_to),
        "auto-submitted": headers.auto_submitted or "",
        "list-ids": " ".join(headers.list_ids),
        "hops": str(headers.hops or ""),
    }
    return {name: value for name, value in listed.items() if value}


def test_the_cases_are_found_and_complete() -> None:
    assert len(NAMES) >= 30
    assert sorted(path.stem for path in CASES.glob("*.expect")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_case_is_read_as_expected(name: str) -> None:
    raw = (CASES / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")
    verdict, *lines = (CASES / f"{name}.expect").read_text("utf-8").splitlines()
    if verdict == "accepted":
        expected = dict(line.split(": ", 1) for line in lines)
        post = read_post(raw)
        assert post.kind.name == expected.pop("kind")
        assert post.encrypted == expected.pop("encrypted").encode()
        assert facts_of(post.headers) == expected
    else:
        assert refusal(raw) is Reason[verdict.upper().replace("-", "_")]
        assert lines == []


def test_a_refusal_quotes_nothing_of_the_post() -> None:
    with pytest.raises(PostRefused) as caught:
        read_post(b"Subject: the merger\r\n\r\nWe buy Example Inc.\r\n")
    assert str(caught.value) == Reason.IN_CLEAR.value


def test_a_post_does_not_print_its_envelope() -> None:
    assert "octets" not in repr(read_post(ENVELOPE))


def test_eight_kibibytes_of_text_are_taken_beside_the_envelope_and_no_octet_more() -> None:
    most = posts.NOTICE_OCTETS
    for parts in ([most], [most // 2, most // 2]):
        texts = [b"Content-Type: text/plain\r\n\r\n" + b"x" * size for size in parts]
        assert read_post(multipart(ENVELOPE, *texts)).encrypted == b"octets"
        assert refusal(multipart(ENVELOPE, b"\r\nx", *texts)) is Reason.BESIDE


@pytest.mark.parametrize("place", ["preamble", "epilogue"])
def test_text_outside_the_parts_counts_as_text_beside_the_envelope(place: str) -> None:
    def beside(text: bytes) -> bytes:
        post = multipart(ENVELOPE)
        return (
            post + text
            if place == "epilogue"
            else post.replace(b"\r\n\r\n--b", b"\r\n\r\n" + text + b"\r\n--b")
        )

    assert read_post(beside(b"x" * posts.NOTICE_OCTETS)).kind is Kind.MMX
    assert refusal(beside(b"x" * (posts.NOTICE_OCTETS + 1))) is Reason.BESIDE


def test_a_hundred_parts_are_read_and_no_more() -> None:
    text = b"\r\nx"
    assert read_post(multipart(ENVELOPE, *[text] * (mime.PARTS - 1))).encrypted == b"octets"
    assert refusal(multipart(ENVELOPE, *[text] * mime.PARTS)) is Reason.TOO_COMPLEX


def test_ten_multiparts_inside_each_other_are_read_and_no_more() -> None:
    assert read_post(nested(ENVELOPE, mime.DEPTH)).encrypted == b"octets"
    assert refusal(nested(ENVELOPE, mime.DEPTH + 1)) is Reason.TOO_COMPLEX


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"A: " + b"a" * 2**16 + b"\r\n" + ENVELOPE, Reason.HEADER_TOO_LARGE),
        (b"A: a\r\n" * 1001 + ENVELOPE, Reason.HEADER_TOO_LARGE),
        (b"A: a\r\n " + b"\r\n a" * 1001 + b"\r\n" + ENVELOPE, Reason.HEADER_TOO_LARGE),
        (b"no empty line: " + b"a" * 2**20, Reason.HEADER_TOO_LARGE),
        (b"Content-Type: a/b" + b"; a=b" * 101 + b"\r\n\r\n", Reason.HEADER_TOO_LARGE),
        (b"Content-Type: a/b;" + b"\r\n a*0=b;" * 150000 + b"\r\n\r\n", Reason.HEADER_TOO_LARGE),
        (b"Content-Type: a/b; a=" + b'"' * 4097 + b"\r\n\r\n", Reason.HEADER_TOO_LARGE),
        (b"Content-Type: " + b"(" * 4000 + b"a/b" + b")" * 90 + b"\r\n\r\n", Reason.BROKEN_MIME),
        (b"To: " + b"(" * 50000 + b"\r\n\r\nHello", Reason.IN_CLEAR),
        (multipart(nested(ENVELOPE, 1000)), Reason.TOO_COMPLEX),
        (multipart(*[ENVELOPE] * 100000), Reason.TOO_COMPLEX),
        (multipart(ENVELOPE, b"--bb\r\n" * 100000), Reason.BROKEN_MIME),
    ],
)
def test_what_is_dangerous_to_parse_is_refused_by_its_bounds(raw: bytes, reason: Reason) -> None:
    assert refusal(raw) is reason


@pytest.mark.parametrize("octets", [b"\r", b"\n", b"\0"])
def test_a_bare_line_end_or_nul_in_a_header_is_refused(octets: bytes) -> None:
    assert refusal(b"Subject: a" + octets + b"Bcc: b\r\n" + ENVELOPE) is Reason.BROKEN_MIME


@pytest.mark.parametrize("field", [b"Message-ID", b"References", b"In-Reply-To"])
@pytest.mark.parametrize(
    "value",
    [b"<a b@x>", b"<a\r\n b@x>", b"<a\xe9@x>", b"<" + b"a" * 249 + b">", b"a@x", b"<>", b"<<", b""],
)
def test_what_is_no_message_id_is_ignored(field: bytes, value: bytes) -> None:
    headers = read_post(field + b": " + value + b"\r\n" + ENVELOPE).headers
    assert (headers.message_id, headers.references, headers.in_reply_to) == (None, (), ())


def test_of_many_references_the_first_and_the_last_nineteen_are_kept() -> None:
    ids = [f"<{n}@example.org>" for n in range(300)]
    raw = b"References: " + "\r\n ".join(ids).encode() + b"\r\n" + ENVELOPE
    assert read_post(raw).headers.references == (ids[0], *ids[-19:])


def test_fifty_hops_are_taken_and_no_more() -> None:
    hop = b"Received: from a.example by b.example\r\n"
    assert read_post(hop * posts.HOPS + ENVELOPE).headers.hops == posts.HOPS
    assert refusal(hop * (posts.HOPS + 1) + ENVELOPE) is Reason.LOOP


def test_every_list_id_is_seen_so_that_none_can_hide_another() -> None:
    raw = b"List-Id: <x.example>\r\nList-Id: Team <Team.lists.EXAMPLE>\r\n" + ENVELOPE
    assert read_post(raw).headers.list_ids == ("x.example", "team.lists.example")


def test_a_delimiter_may_follow_its_predecessor_at_once() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n" + ENVELOPE + b"\r\n--b--"
    )
    assert read_post(raw).encrypted == b"octets"
