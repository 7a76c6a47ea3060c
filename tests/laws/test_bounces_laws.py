"""Laws of reading reports: any octets get a verdict, and a status code is a code or nothing."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from listserver.bounces import Verdict, Weight, read_report, weight_of

CASES = [
    path.read_bytes().replace(b"\n", b"\r\n")
    for path in sorted((Path(__file__).parents[1] / "cases" / "bounces").glob("*.eml"))
]
CODE = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
SCRAPS = st.sampled_from(
    [
        *[
            b"\r\n",
            b"\r\n\r\n",
            b"\r\n ",
            b"\n",
            b"--b",
            b"--b--",
            b"<",
            b">",
            b"@",
            b",",
            b"(",
            b":",
        ],
        *[b"From: mailer-daemon@yahoo.example", b"From: Mailer-Daemon@aol.com", b"\0", b"\xff"],
        *[b"From: mailer-daemon@yale.edu", b"From: mailer-daemon@sina.com", b"=41", b"=?", b";"],
        *[b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/plain"],
        *[b"Content-Type: message/delivery-status", b"Content-Transfer-Encoding: base64"],
        *[b"Content-Description: Notification", b"X-Mailer: Novell", b"X-Mailer: <SMTP32 v6>"],
        *[b"X-Failed-Recipients: ", b"bob@example.org", b"Auto-Submitted: auto-replied"],
        *[b"Action: failed", b"Status: 5.1.1", b"Diagnostic-Code: smtp; 550 ", b"5.2.2", b"#5.1"],
        *[b"Transcript of session follows", b"Hi. This is the", b"Message from yahoo.example"],
        *[b"did not reach the following recipient", b"Undeliverable Address: "],
        *[b"Message not delivered to the following", b"could not be delivered"],
        *[b"This Message was undeliverable due to the following reason:", b"the postfix"],
    ]
)
SCRAPPY = st.lists(SCRAPS | st.binary(max_size=4), max_size=40).map(b"".join)
LINES = st.lists(SCRAPS, max_size=30).map(b"\r\n".join)
DAEMON = b"From: mailer-daemon@example.org\r\n"


def check(verdict: Verdict) -> None:
    assert isinstance(verdict.weight, Weight)
    assert verdict.status is None or CODE.fullmatch(verdict.status)


@settings(deadline=None)
@given(st.binary() | SCRAPPY | LINES | LINES.map(DAEMON.__add__))
def test_any_octets_get_a_verdict(raw: bytes) -> None:
    check(read_report(raw))


@settings(deadline=None)
@given(st.sampled_from(CASES), st.data())
def test_a_report_cut_off_or_changed_somewhere_gets_a_verdict(
    raw: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(raw)))
    for hostile in (raw[:at], raw[:at] + data.draw(SCRAPPY) + raw[at:]):
        check(read_report(hostile))


@given(st.none() | st.integers(), st.text() | st.from_regex(r"[245]\.\d\.\d.*"))
def test_any_reply_gets_a_verdict(code: int | None, text: str) -> None:
    check(weight_of(code, text))


@given(st.lists(st.sampled_from(["5.1.1", "5.2.2", "5.6.0"]), min_size=1, max_size=9))
def test_of_several_recipients_the_worst_one_counts_in_any_order(statuses: list[str]) -> None:
    groups = [f"Action: failed\r\nStatus: {status}\r\n" for status in statuses]
    part = "Content-Type: message/delivery-status\r\n\r\n" + "\r\n".join(groups)
    verdict = read_report(part.encode())
    assert verdict.status == min(statuses)
