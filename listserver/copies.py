"""A member's copy of a post: octets common to all copies, and one part of its own (spec §7).

Common are the header, the notice and the base64 lines of the ciphertext. A member's own is the JSON
line with the recryption, filled with spaces to one size for all copies. This room never sees two
members at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from listserver.catalogue import Texts
from listserver.model import Half, StoredPost
from listserver.plain_text import text_entity
from recrypt_core import limits
from recrypt_core.agreement import partial
from recrypt_core.encoding import write_b64url, write_base64_lines, write_json
from recrypt_core.envelope import Envelope, Recipient
from recrypt_core.errors import Malformed
from recrypt_core.keys import Curve
from recrypt_core.moderation import HeldName

LINE_OCTETS: Final = 2052  # spec §7: times a power of two; 36 lines of base64 of 57 octets each
_BASE64_OCTETS: Final = 57  # of content in a line of 76 characters (RFC 2045 §6.8)
_CHUNK: Final = _BASE64_OCTETS * 4096  # what is encoded at once
_BOUNDARY: Final = "=_recrypt"  # base64 and `text_entity` have no "=_" in them
_RECRYPTION: Final = b',"recryption":'
_PARTIAL_LETTERS: Final = {Curve.X25519: 43, Curve.X448: 75, Curve.P256: 43}  # in base64url

_PART: Final = (
    'Content-Type: application/vnd.recrypt; name="message.mmx"\r\n'
    'Content-Disposition: attachment; filename="message.mmx"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\n"
)
_BEFORE: Final = (
    f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\r\n\r\n'
    f"--{_BOUNDARY}\r\n"
    "%s\r\n"
    f"--{_BOUNDARY}\r\n"
)
_END: Final = f"--{_BOUNDARY}--\r\n".encode("ascii")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Frame:
    """What all copies of one post have in common; the parts are shared, never joined.

    It equals itself alone.
    """

    post: StoredPost
    head: bytes = field(repr=False)
    body: tuple[bytes, ...] = field(repr=False)
    tail: bytes = field(repr=False)


def common_line(envelope: Envelope, recipient: Recipient) -> bytes:
    """Rebuild the JSON line of a copy for the list's one recipient, without its closing brace.

    What the sender put beside these members, or into the epk, doesn't pass (spec §7).
    """
    ours = recipient.json()
    if "epk" in recipient.header:
        ours["header"] = {**recipient.header, "epk": recipient.epk.jwk()}
    return write_json(envelope.sealed_head([ours]))[:-1]


def recryption_octets(half: Half) -> int:
    """Tell how many octets a recryption by this half takes in a copy's line."""
    blank = b"\0" * (_PARTIAL_LETTERS[half.recryption.curve] * 3 // 4)
    return len(_recryption(half, blank))


def line_octets(line: bytes, longest_own: int) -> int:
    """Choose the one size of the JSON line in all copies of a post (spec §7).

    Raises:
        Malformed: if the line would be over 64 KiB.
    """
    needed = len(line) + len(_RECRYPTION) + longest_own + len(b"}\n")
    size = LINE_OCTETS
    while size < needed:
        size *= 2
    if size > limits.ENVELOPE_LINE_OCTETS:
        raise Malformed("The envelope has too much beside its ciphertext.")
    return size


def copy_octets(post: StoredPost, ciphertext_octets: int, *, around: int) -> int:
    """Tell how long a finished copy is.

    around: the octets of `wrapping`, and of fields of the copy's own.
    """
    lines = -(-(post.line_octets + ciphertext_octets) // _BASE64_OCTETS)
    letters = -(-(post.line_octets + ciphertext_octets) // 3) * 4
    return len(post.header) + around + letters + 2 * lines


def wrapping(notice: Sequence[str] | None) -> tuple[bytes, bytes]:
    """Give what stands before and after the base64 of all copies, their header aside.

    notice: its lines; None where the encrypted part stands alone.
    """
    text = "" if notice is None else _BEFORE % "\r\n".join(text_entity(notice))
    before = f"MIME-Version: 1.0\r\n{text}{_PART}".encode("ascii")
    return before, b"" if notice is None else _END


def make_frame(post: StoredPost, ciphertext: bytes) -> Frame:
    """Make what all copies of a post have in common, once."""
    before, after = wrapping(shown_notice(post))
    return Frame(post, post.header + before, tuple(_base64_lines(ciphertext)), after)


def frame_octets(frame: Frame) -> int:
    """Tell how much memory a frame takes."""
    return len(frame.head) + sum(map(len, frame.body))


def make_copy(frame: Frame, half: Half, *, fields: bytes = b"") -> tuple[bytes, ...]:
    """Make one member's copy, in parts of which only those around the head are its own.

    It computes the partial, which is all that is done with r.

    fields: header fields of this copy alone, CRLF lines; they come first.

    Raises:
        Malformed: if the half isn't of the post's curve.
    """
    post = frame.post
    own = _recryption(half, partial(half.recryption, post.epk))
    line = post.line + _RECRYPTION + own + b"}"
    # An entry that grew after acceptance may not fit: then this copy alone is longer.
    size = max(post.line_octets, line_octets(post.line, len(own)))
    own_lines = write_base64_lines(line.ljust(size - 1) + b"\n")
    return (fields, frame.head, own_lines, *frame.body, frame.tail)


def notice(texts: Texts, held: HeldName | None = None) -> tuple[str, ...]:
    """Write what stands before the envelope; of a held post, for moderators, with its name."""
    if held is not None:
        return texts.lines("held-copy", number=held.number, post=str(held))
    return texts.lines("copy")


def shown_notice(post: StoredPost) -> Sequence[str] | None:
    """Give the notice of a post's copies, if they have one; moderators are told in any list."""
    if post.held is None and not post.notice:
        return None
    held = None if post.held is None else HeldName(post.held)
    return post.text or notice(Texts(list_address=post.list_address), held)


def _recryption(half: Half, part: bytes) -> bytes:
    """Write what RecryptData would answer (spec §6, §7); every value is known to be plain ASCII."""
    before = (
        f'{{"GroupKeyID":"{half.group_key}","MemberKeyUDF":"{half.member_key}",'
        f'"Split":"{half.split.value}","Partial":"{write_b64url(part)}","DecryptionKey":'
    )
    return before.encode("ascii") + half.decryption_key + b"}"


def _base64_lines(octets: bytes) -> Iterator[bytes]:
    """Encode in lines, many at once."""
    view = memoryview(octets)
    for at in range(0, len(octets), _CHUNK):
        yield write_base64_lines(view[at : at + _CHUNK])
