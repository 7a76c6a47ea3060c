"""What gets an automatic answer: a table of mails, each with one thing that forbids it or not."""

import pytest

from listserver import mime
from listserver.manners import is_automatic, may_be_answered

BOB = "bob@example.org"

SILENT = [
    "Auto-Submitted: auto-replied",
    "auto-submitted: Auto-Generated",
    "Auto-Submitted: auto-notified; owner-email=bob@example.org",
    "Auto-Submitted: what is this",
    "Auto-Submitted:",
    "Precedence: bulk",
    "Precedence: JUNK",
    "Precedence:  list ",
    "List-Id: <other.lists.example>",
    "List-Unsubscribe: <https://news.example/u>",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "Content-Type: Multipart/Report",
    *["\r\n".join(["Received: by a.example"] * 51)],
]
ANSWERED = [
    "Subject: hello",
    "Auto-Submitted: no",
    "Auto-Submitted: No; by=person",
    "Precedence: first-class",
    "Content-Type: text/plain",
    "X-List: yes",
    *["\r\n".join(["Received: by a.example"] * 50)],
]
NO_PEOPLE = [
    "",
    "postmaster@example.org",
    "MAILER-DAEMON@mx.example",
    "team-bounces@lists.example",
    "team-bounces+abc@lists.example",
    "bounce-17@news.example",
    "team-request@lists.example",
    "owner-team@lists.example",
    "team-owner@lists.example",
    "noreply@example.org",
    "no-reply@example.org",
    "do_not_reply@example.org",
]
PEOPLE = [BOB, "Bob+lists@example.org", "owner@example.org", "bob.request@example.org"]


def fields_of(*lines: str) -> mime.Fields:
    """Read a mail with these header fields."""
    whole = "".join(f"{line}\r\n" for line in ("From: bob@example.org", *lines))
    return mime.read_message(whole.encode() + b"\r\nHello\r\n").fields


@pytest.mark.parametrize("line", SILENT)
def test_what_a_program_or_a_list_sent_is_not_answered(line: str) -> None:
    assert not may_be_answered(fields_of(line), BOB)
    assert not may_be_answered(fields_of("Subject: help", line, "X-Last: 1"), BOB)


@pytest.mark.parametrize("line", ANSWERED)
def test_what_a_person_seems_to_have_sent_may_be_answered(line: str) -> None:
    assert may_be_answered(fields_of(line), BOB)
    assert not is_automatic(fields_of(line))


@pytest.mark.parametrize("sender", NO_PEOPLE)
def test_an_address_that_no_person_reads_is_not_answered(sender: str) -> None:
    assert not may_be_answered(fields_of(), sender)


@pytest.mark.parametrize("sender", PEOPLE)
def test_an_address_of_a_person_may_be(sender: str) -> None:
    assert may_be_answered(fields_of(), sender)
