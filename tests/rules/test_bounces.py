"""What a failure report says about an address, and that none of it can harm.

Each case is a file in tests/cases/bounces, with LF lines there and CRLF lines as it is read. Its
first field, X-Expect, holds the weight and, if the report gave one, the status code. They are
written after the formats of the programs that they are named for; people and hosts are invented.
"""

import base64
from pathlib import Path

import pytest

from listserver import bounces, reports
from listserver.bounces import Verdict, Weight, read_report, weight_of
from listserver.reports import PlainPart, PlainReport, failure_in

CASES = Path(__file__).parents[1] / "cases" / "bounces"
NAMES = sorted(path.stem for path in CASES.glob("*.eml"))
DAEMON = b"From: Mailer-Daemon@example.org\r\n"
QSBMF = b"Hi. This is the mail program.\r\n\r\n<bob@example.org>:\r\nNo such user.\r\n"


def words(verdict: Verdict) -> str:
    return f"{verdict.weight.name.lower()} {verdict.status or ''}".strip()


def multipart(*parts: bytes, boundary: bytes = b"b", header: bytes = DAEMON) -> bytes:
    head = header + b"Content-Type: multipart/report; boundary=" + boundary + b"\r\n\r\n"
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + b"--" + boundary + b"--\r\n"


def status_part(fields: bytes = b"Action: failed\r\nStatus: 5.1.1\r\n") -> bytes:
    return b"Content-Type: message/delivery-status\r\n\r\n" + fields


def nested(inside: bytes, depth: int) -> bytes:
    for level in range(depth):
        inside = multipart(inside, boundary=b"level-%04d" % level, header=b"")
    return inside


def test_the_cases_are_found() -> None:
    assert len(NAMES) >= 70


@pytest.mark.parametrize("name", NAMES)
def test_each_case_is_read_as_expected(name: str) -> None:
    raw = (CASES / f"{name}.eml").read_bytes()
    expected = raw.partition(b"\n")[0].removeprefix(b"X-Expect: ").decode("ascii")
    assert words(read_report(raw.replace(b"\n", b"\r\n"))) == expected


@pytest.mark.parametrize(
    ("status", "weight"),
    [
        ("4.2.2", Weight.SOFT),
        ("4.1.8", Weight.NOTHING),
        ("4.3.1", Weight.SOFT),
        ("4.3.4", Weight.NOTHING),
        ("4.4.1", Weight.SOFT),
        ("4.5.3", Weight.NOTHING),
        ("4.7.1", Weight.NOTHING),
        ("5.1.0", Weight.HARD),
        ("5.1.1", Weight.HARD),
        ("5.1.2", Weight.HARD),
        ("5.1.5", Weight.NOTHING),
        ("5.1.6", Weight.HARD),
        ("5.1.7", Weight.NOTHING),
        ("5.1.8", Weight.NOTHING),
        ("5.1.10", Weight.HARD),
        ("5.2.0", Weight.HARD),
        ("5.2.1", Weight.HARD),
        ("5.2.2", Weight.SOFT),
        ("5.2.3", Weight.NOTHING),
        ("5.2.4", Weight.SOFT),
        ("5.3.0", Weight.SOFT),
        ("5.3.4", Weight.NOTHING),
        ("5.4.1", Weight.HARD),
        ("5.4.4", Weight.HARD),
        ("5.4.6", Weight.SOFT),
        ("5.5.1", Weight.NOTHING),
        ("5.6.7", Weight.NOTHING),
        ("5.7.1", Weight.NOTHING),
        ("5.7.26", Weight.NOTHING),
        ("5.9.1", Weight.NOTHING),
        ("2.1.5", Weight.NOTHING),
    ],
)
def test_a_status_weighs_in_a_report(status: str, weight: Weight) -> None:
    fields = f"Action: failed\r\nStatus: {status}\r\n".encode()
    assert read_report(multipart(status_part(fields))) == Verdict(weight, status)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("smtp; 550 relay not permitted", "nothing 5.0.0"),
        ("smtp; 550 sorry, that domain isn't in my list (#5.7.1)", "nothing 5.7.1"),
        ("smtp; 550 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "hard 5.1.1"),
        ("smtp; 550 5.0.0 Sender verify failed", "nothing 5.0.0"),
        ("smtp; 550 <relay@sender.example> no longer here", "hard 5.0.0"),
        ("smtp; 550 Unrouteable address", "hard 5.0.0"),
        ("smtp; 554 Blocked by a policy", "nothing 5.0.0"),
        ("smtp; 550 5.1.1 <relay@sender.example>: Sender address rejected", "nothing 5.1.1"),
        ("smtp; 550 5.1.1 the sender gave an unknown user", "hard 5.1.1"),
    ],
)
def test_a_report_without_a_good_status_says_by_its_reply_whom_it_blames(
    said: str, expected: str
) -> None:
    fields = f"Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: {said}\r\n".encode()
    assert words(read_report(multipart(status_part(fields)))) == expected


@pytest.mark.parametrize(
    ("status", "weight"),
    [
        ("5.1.1", Weight.HARD),
        ("5.1.2", Weight.HARD),
        ("5.1.3", Weight.HARD),
        ("5.1.6", Weight.HARD),
        ("5.1.10", Weight.HARD),
        ("5.1.5", Weight.NOTHING),
        ("5.1.7", Weight.NOTHING),
        ("5.1.8", Weight.NOTHING),
        ("5.2.0", Weight.HARD),
        ("5.2.1", Weight.HARD),
        ("5.2.2", Weight.SOFT),
        ("5.2.3", Weight.NOTHING),
        ("4.1.1", Weight.SOFT),
        ("4.1.8", Weight.NOTHING),
        ("4.2.2", Weight.SOFT),
        *[
            (f"{kind}.{subject}", Weight.NOTHING)
            for kind in "45"
            for subject in ("3.0", "3.1", "3.2", "3.4", "4.4", "4.6", "5.1", "6.0", "7.1", "7.26")
        ],
    ],
)
def test_of_the_relay_host_only_a_status_of_the_address_counts(status: str, weight: Weight) -> None:
    code = int(f"{status[0]}50")
    for text in (f"{code} {status} <bob@example.org> no such user", f"{status} refused",
                 f"sorry, no such user (#{status})"):  # fmt: skip
        assert weight_of(code, text) == Verdict(weight, status), text


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (550, "550 No such user here", "hard"),
        (550, "No such user here", "hard"),
        (550, "<bob@example.org>: Recipient address rejected: User unknown", "hard"),
        (550, "550-The email account that you tried to reach\n550 does not exist", "hard"),
        (550, "Unrouteable address", "hard"),
        (550, "unknown local part bob in <bob@example.org>", "hard"),
        (550, "sorry, no mailbox here by that name.", "hard"),
        (550, "Requested action not taken: mailbox unavailable", "hard"),
        (550, "550 invalid recipient <bob@example.org>", "hard"),
        (550, "550 Address rejected.", "hard"),
        (550, "550 #5.1.0 Address rejected.", "hard 5.1.0"),
        (550, "5.4.1 <bob@example.org>: Recipient address rejected: Access denied", "hard 5.4.1"),
        (550, "This account has been disabled or suspended", "hard"),
        (551, "551 User not local", "hard"),
        (553, "553 Mailbox name not allowed", "hard"),
        (554, "delivery error: dd This user doesn't have an account", "soft"),
        (556, "556 No mail for this domain", "hard"),
        (450, "450 Mailbox unavailable", "soft"),
        (552, "552 Over quota", "soft"),
        (452, "452 The mailbox is full", "soft"),
        (450, "450 4.2.0 Greylisted", "soft 4.2.0"),
        (550, "550-5.1.1 The account\n550 5.1.1 does not exist", "hard 5.1.1"),
        (550, "550 5.5.0 Mailbox unavailable", "hard 5.5.0"),
        (550, "550 #5.2.2 Over quota", "soft 5.2.2"),
        (550, "550 bob@5.3.4.example.org is unknown: no such user", "hard"),
        (550, "550 5.1.1.7 is no status, unknown user", "hard"),
    ],
)
def test_of_the_relay_host_words_about_the_address_count(
    code: int, text: str, expected: str
) -> None:
    assert words(weight_of(code, text)) == expected


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (550, "", None),
        (550, "550 relay not permitted", None),
        (550, "550 Relaying denied for user <bob@example.org>", None),
        (550, "550 unable to relay recipient in non-accepted domain", None),
        (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "5.7.1"),
        (553, "sorry, that domain isn't in my list of allowed rcpthosts", None),
        (554, "5.7.1 <bob@example.org>: Relay access denied", "5.7.1"),
        (550, "5.4.1 [bob@example.org]: Relay Access Denied", "5.4.1"),
        (550, "550-Verification failed for <x@lists.example>\n550-Called: 192.0.2.1\n"
              "550-Response: 550 No such user\n550 Sender verify failed", None),
        (550, "5.7.1 <bob@example.org>: Recipient address rejected: client host is on a list",
         "5.7.1"),
        (550, "<bob@example.org>: Recipient address rejected: Service unavailable", None),
        (550, "Too many invalid recipients", None),
        (550, "Your account has been suspended", None),
        (550, "5.2.1 Your account is disabled for sending", "5.2.1"),
        (550, "5.1.1 <team-bounces@lists.example>: Sender address rejected: User unknown", "5.1.1"),
        (550, "5.1.1 <bob@example.org>: unknown sender", "5.1.1"),
        (550, "Daily quota exceeded for this account", None),
        (552, "5.2.2 Submission quota exceeded", "5.2.2"),
        (452, "4.2.2 you have exceeded your hourly limit, quota is 100", "4.2.2"),
        (550, "Sending quota exceeded", None),
        (550, "550 <unknown.user@no-such-user.example> rejected", None),
        (550, "550 [no such user] is not served", None),
        (550, "Authentication is required for unknown users", None),
        (554, "554 Transaction failed", None),
        (554, "554 5.0.0 Service unavailable", "5.0.0"),
        (501, "501 Syntax error", None),
        (521, "521 This host takes no mail", None),
        (530, "530 Authentication required", None),
        (421, "421 Shutting down", None),
        (452, "452 Insufficient system storage", None),
        (451, "451 Local error in processing", None),
        (None, "the connection broke", None),
        (None, "5.1.1 said nobody", None),
    ],
)  # fmt: skip
def test_of_the_relay_host_what_is_about_itself_or_us_says_nothing(
    code: int | None, text: str, status: str | None
) -> None:
    assert weight_of(code, text) == Verdict(Weight.NOTHING, status)


def test_a_refusal_of_any_length_is_weighed_at_once() -> None:
    for scrap in ("no such ", "user ", "<", "[", "@", "(#", "address a b c d ", "\xa0-'"):
        for text in (scrap * 10**6, "x(#5.1.1" + scrap * 10**6):
            assert weight_of(550, text).weight is Weight.NOTHING


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\0",
        b"\xff" * 1000,
        b"Subject: \0\r\n" + multipart(status_part()),
        b"Subject: a\nStatus: 5.1.1\r\n" + multipart(status_part()),
        b"A: " + b"a" * 2**16 + b"\r\n" + multipart(status_part()),
        b"A: a\r\n" * 1001 + multipart(status_part()),
        nested(status_part(), 1000),
        multipart(*[b"\r\nx"] * bounces.LEAVES, status_part()),
        multipart(b"A: " + b"a" * 2**16 + b"\r\n\r\nx", status_part()),
        multipart(b"\r\n--bb\r\n" * 10000, status_part()),
        multipart(status_part()).replace(b"boundary=b", b"boundary=" + b"b" * 71),
        multipart(status_part()).replace(b"; boundary=b", b"; a=b" * 101 + b"; boundary=b"),
        multipart(status_part(b"x" * bounces.PART_OCTETS + b"\r\nAction: failed\r\n")),
        multipart(status_part(b"a: b\r\n\r\n" * bounces.GROUPS + b"Action: failed\r\n")),
        multipart(status_part(b"\0" * 60000)),
        multipart(status_part(b" " * 60000 + b"Action: failed\r\n")),
        DAEMON.replace(b"Mailer", b"(" * 50000) + b"\r\n" + QSBMF,
        DAEMON + b"\r\n" + b"x\r\n" * reports.LINES + QSBMF,
    ],
)
def test_what_is_hostile_or_hidden_behind_a_limit_says_nothing(raw: bytes) -> None:
    assert read_report(raw) == Verdict(Weight.NOTHING)


def test_eight_bit_octets_and_nuls_beside_the_fields_are_passed_over() -> None:
    fields = b"X: \0\xff\xfe\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: \0\xe9\r\n"
    assert words(read_report(multipart(status_part(fields)))) == "hard 5.1.1"


def test_text_is_read_whatever_follows_it() -> None:
    raw = DAEMON + b"\r\n" + QSBMF + b"x" * 2**20 + b"\0\xff"
    assert read_report(raw) == Verdict(Weight.HARD)


def test_what_stands_behind_the_report_may_be_broken() -> None:
    whole = multipart(status_part(), b"Content-Type: message/rfc822\r\n\r\n" + b"x" * 2**20)
    for raw in (whole[:-5], whole[:500], whole.replace(b"message/rfc822", b"?")):
        assert words(read_report(raw)) == "hard 5.1.1"


def test_a_report_whose_status_is_broken_is_not_asked_for_its_text() -> None:
    text = b"Content-Type: text/plain\r\n\r\n" + QSBMF
    raw = multipart(text, status_part(b"Action: delayed\r\n"))
    for other in (raw, raw.replace(b"multipart/report", b"multipart/mixed")):
        assert read_report(other) == Verdict(Weight.NOTHING)


@pytest.mark.parametrize("sender", [b"Mailer-Daemon@x.example", b"M <POSTMASTER@x.example>"])
def test_text_of_a_mail_system_is_believed(sender: bytes) -> None:
    raw = b"From: " + sender + b"\r\n\r\n" + QSBMF
    assert read_report(raw) == Verdict(Weight.HARD)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"From: bob@example.org\r\n",
        b"From: <>\r\n",
        b"From: Mailer-Daemon\r\n",
        b"From: bob@example.org (postmaster@example.org)\r\n",
        DAEMON + b"Auto-Submitted: Auto-Replied\r\n",
    ],
)
def test_text_of_anybody_else_is_not(header: bytes) -> None:
    assert read_report(header + b"\r\n" + QSBMF) == Verdict(Weight.NOTHING)


def test_only_text_of_few_and_short_lines_reaches_the_detectors() -> None:
    long = ",\n".join(["," * 8000 + "@" * 8000] * 1000) + "\x0b\x85\u2028é"
    parts = tuple(PlainPart("text/plain", True, long) for _ in range(10))
    report = PlainReport("multipart/mixed", "", "bob@example.org", "", parts)
    text = failure_in(report)
    assert text is not None
    assert len(text) <= (reports.LINE_CHARACTERS + 1) * reports.LINES + len(parts)
    assert max(map(len, text.splitlines())) == reports.LINE_CHARACTERS


def test_a_code_in_the_returned_mail_is_not_taken_for_the_reports() -> None:
    raw = DAEMON + b"\r\n" + QSBMF + b"\r\n" * reports.LINES + b"552 5.2.2 x\r\n"
    assert read_report(raw) == Verdict(Weight.HARD)


def test_a_large_returned_mail_is_not_looked_at() -> None:
    mail = b"Content-Type: application/octet-stream\r\n\r\n" + b"--c\r\n" * 200000
    raw = multipart(status_part(), mail)
    assert words(read_report(raw)) == "hard 5.1.1"


def test_a_status_may_be_base64() -> None:
    fields = base64.encodebytes(b"Action: failed\nStatus: 5.1.1\n").replace(b"\n", b"\r\n")
    part = b"Content-Transfer-Encoding: base64\r\n" + status_part(fields)
    assert words(read_report(multipart(part))) == "hard 5.1.1"
