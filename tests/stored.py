"""The server's own values for the rules' tests: halves, posts, copies, without a store."""

from listserver import copies
from listserver.headers import CopyFacts, ListFacts, ListHeader
from listserver.model import Half, StoredPost
from recrypt_core.agreement import Split
from recrypt_core.encoding import write_json
from recrypt_core.envelope import Envelope
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.sealing import seal
from tests.builders import NOW, TEAM, Membership, Person

HEADER = ListHeader(ListFacts("team", "lists.example")).block(
    CopyFacts(NOW, "<m.aaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbb@lists.example>")
)


def half_of(membership: Membership) -> Half:
    """Give a member's half as the store has it."""
    (entry,) = membership.entry.entries
    return Half(
        address=membership.entry.account_name or "",
        group_key=entry.encryption_key_udf,
        member_key=entry.member_key_udf,
        split=entry.split,
        recryption=membership.halves[entry.member_key_udf],
        decryption_key=write_json(entry.decryption_key.envelope.json()),
    )


def product_half(person: Person, group: PublicKey, r: PrivateKey, x: PrivateKey) -> Half:
    """Give a half of a product split, whose x some program drew and sealed (spec §1)."""
    wrapped = seal(
        write_json(x.to_secret_jwk()), person.verified.profile.encryption_keys, named=False
    )
    return Half(
        address=person.address,
        group_key=group.udf,
        member_key=x.public.udf,
        split=Split.PRODUCT,
        recryption=r,
        decryption_key=write_json(wrapped.json()),
    )


def stored_post(envelope: Envelope, *halves: Half, notice: bool = True) -> StoredPost:
    """Give a post as it is stored when these are the halves of those who are to have a copy."""
    (recipient,) = [each for each in envelope.recipients if each.kid == halves[0].group_key]
    line = copies.common_line(envelope, recipient)
    longest = max(copies.recryption_octets(half) for half in halves)
    return StoredPost(
        header=HEADER,
        line=line,
        line_octets=copies.line_octets(line, longest),
        group_key=halves[0].group_key,
        epk=recipient.epk,
        notice=notice,
        list_address=TEAM,
        accepted=NOW,
    )


def copies_of(
    envelope: Envelope, *halves: Half, notice: bool = True
) -> tuple[tuple[bytes, ...], ...]:
    """Make the copies of a post, one for each half."""
    post = stored_post(envelope, *halves, notice=notice)
    frame = copies.make_frame(post, envelope.ciphertext)
    return tuple(copies.make_copy(frame, half) for half in halves)


def copy_octets(post: StoredPost, envelope: Envelope, *, own_octets: int = 0) -> int:
    """Tell how long each copy of a post will be."""
    around = own_octets + sum(map(len, copies.wrapping(copies.shown_notice(post))))
    return copies.copy_octets(post, len(envelope.ciphertext), around=around)
