"""The law of a copy's header: whatever stands in a post's, only the allow-list comes out."""

import dataclasses
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from listserver import copies
from listserver.letterheads import Letterhead
from listserver.links import Links
from listserver.model import House, ListId, MemberId, PostId, StoredList, StoredPost
from listserver.posts import read_post
from listserver.preparing import Prepared, finished, prepare
from listserver.vault import Vault
from recrypt_core.envelope import read_post_envelope
from recrypt_core.policy import FromPolicy, Policy, ReplyTo
from tests.builders import NOW, TEAM, URL, new_group, new_history, new_person
from tests.fakes import administrator
from tests.mails import mail, message_of, sealed
from tests.stored import half_of

ALLOWED = {
    *("from", "to", "subject", "date", "message-id", "in-reply-to", "references"),
    *("auto-submitted", "reply-to", "precedence", "mime-version", "content-type"),
    *("list-id", "list-post", "list-help", "list-subscribe", "list-owner"),
    *("list-unsubscribe", "list-unsubscribe-post"),
}
ONCE = {"from", "to", "subject", "date", "message-id", "list-id", "list-unsubscribe"}
ODD = [
    *("Received", "Return-Path", "Delivered-To", "Sender", "Cc", "Bcc", "To", "Subject", "Date"),
    *("Reply-To", "Resent-From", "Resent-To", "Errors-To", "Return-Receipt-To", "Importance"),
    *("Disposition-Notification-To", "X-Originating-IP", "X-Mailer", "User-Agent", "Autocrypt"),
    *("DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "Authentication-Results", "Comments"),
    *("Thread-Index", "Thread-Topic", "Keywords", "Precedence", "Organization", "Face", "Expires"),
    *("Message-ID", "In-Reply-To", "References", "Auto-Submitted", "Content-Language"),
    *("List-Id", "List-Post", "List-Help", "List-Owner", "List-Archive", "List-Unsubscribe"),
    *("List-Subscribe", "List-Unsubscribe-Post", "Archived-At", "Original-Recipient", "X", "x-y"),
]
# It is in every field that the author's program, or anybody on the way, wrote.
MARK = "intruder"

GROUP, ALICE = new_group(), new_person("alice@example.org")
MEMBERSHIP = administrator(ALICE, GROUP)
STATE = new_history(GROUP, MEMBERSHIP, authorised=ALICE).state
ENVELOPE = sealed(GROUP.key.public)
HOUSE = House("lists.example", URL, 200_000)

words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=40)
fields = st.builds(
    lambda name, value, end: f"{name}: {value}<{MARK}@example.org>{end}",
    st.sampled_from(ODD),
    words,
    st.sampled_from(["", " x", "\r\n folded", ", <b@x>", "=?utf-8?q?=0D=0ABcc=3A?="]),
)
policies = st.builds(
    Policy,
    from_=st.sampled_from(FromPolicy),
    reply_to=st.sampled_from(ReplyTo),
    notice=st.booleans(),
    subject=st.sampled_from(["[...]", "[team] [...]"]),
)


def copy_of(post: bytes, policy: Policy) -> bytes:
    """Make a copy for Alice of a post, as the server does."""
    state = dataclasses.replace(STATE, policy=policy)
    found = StoredList(ListId(1), state, bytes(32))
    read = read_post(post)
    prepared = prepare(
        Letterhead(found, HOUSE), read.headers, read_post_envelope(read.encrypted), now=NOW
    )
    assert isinstance(prepared, Prepared)
    half = half_of(MEMBERSHIP)
    stored = finished(prepared, longest_own=copies.recryption_octets(half), poster=None)
    assert isinstance(stored, StoredPost)
    ((_, own),) = Links(Vault(bytes(32)), URL).of_copies(TEAM, PostId(1), [(MemberId(1), 0)])
    frame = copies.make_frame(stored, prepared.envelope.ciphertext)
    return b"".join(copies.make_copy(frame, half, fields=own))


@settings(max_examples=40, deadline=None)
@given(st.lists(fields, min_size=0, max_size=300), policies)
def test_a_copy_has_no_field_and_no_words_of_its_post(odd: Sequence[str], policy: Policy) -> None:
    raw = mail(ENVELOPE.mmx(), fields=[each for each in odd if not each.startswith("List-Id")])
    copy = copy_of(raw, policy)
    head = copy.partition(b"\r\n\r\n")[0]
    names = [name.lower() for name in message_of(copy)]
    assert set(names) <= ALLOWED | {"content-disposition", "content-transfer-encoding"}
    assert all(names.count(name) == 1 for name in set(names))
    assert set(names) >= ONCE
    assert MARK.encode() not in head.lower()
    assert b"example.org" not in head
    assert head.isascii()
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))


def test_a_list_may_show_who_says_to_have_written_and_a_tag() -> None:
    copy = copy_of(mail(ENVELOPE.mmx()), Policy(from_=FromPolicy.VIA, subject="[team] [...]"))
    assert b"\r\nFrom: Bob via team <team@lists.example>\r\n" in copy
    assert b"\r\nSubject: [team] [...]\r\n" in copy
