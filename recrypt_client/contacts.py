"""What this home has met: authors, ids of their messages, and whose each half is (spec §1, §7)."""

from dataclasses import dataclass
from datetime import datetime

from recrypt_client import paths
from recrypt_client.errors import Trouble
from recrypt_client.home import Home
from recrypt_core.authorship import Author
from recrypt_core.documents import VerifiedProfile
from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Recryption
from recrypt_core.errors import NotAuthentic
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, Hash, UdfText


class Contact(Document, frozen=True, kw_only=True):
    """An address, and who was seen to write from it first."""

    address: str
    identifier: UdfText
    since: datetime


class SeenProfile(Document, frozen=True, kw_only=True):
    """The latest time that a profile of this Identifier was updated."""

    updated: datetime


class _Message(Document, frozen=True, kw_only=True):
    """The content that an author's id was first read in."""

    content_id: Hash
    since: datetime


class SeenHalf(Document, frozen=True, kw_only=True):
    """The group key that a half X was first seen with."""

    group_key_udf: UdfText


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an author.

    Attributes:
        since: When the address was first seen with this author; None if that is now.
        other: Who the address belonged to until now, if it was someone else.
    """

    since: datetime | None
    other: Udf | None = None


def meet(home: Home, profile: VerifiedProfile, address: str, *, now: datetime) -> Standing:
    """Pin an author's Identifier to an address on first use; never change it."""
    name = paths.contact_file(address)
    known = home.document(name, Contact)
    if known is None:
        contact = Contact(address=address, identifier=profile.identifier, since=now)
        home.keep_document(name, contact)
        return Standing(since=None)
    other = None if known.identifier == profile.identifier else known.identifier
    return Standing(known.since, other)


def check_not_older(home: Home, profile: VerifiedProfile) -> None:
    """Refuse a profile that is older than one seen of the same Identifier (spec §4).

    Raises:
        NotAuthentic: if it is.
    """
    known = home.document(paths.author_file(profile.identifier), SeenProfile)
    if known is not None and profile.profile.updated < known.updated:
        raise NotAuthentic("a profile older than one that was seen before")


def see(home: Home, profile: VerifiedProfile) -> None:
    """Refuse a profile that is older than one that was seen; remember this one.

    Raises:
        NotAuthentic: if it is older.
    """
    check_not_older(home, profile)
    name, seen = paths.author_file(profile.identifier), SeenProfile(updated=profile.profile.updated)
    if home.document(name, SeenProfile) != seen:
        home.keep_document(name, seen)


def is_replay(home: Home, author: Author, *, group_key: Udf, cid: bytes, now: datetime) -> bool:
    """Remember an author's message id; tell whether it was read in another content before."""
    name = paths.message_file(author.profile.identifier, group_key, author.message_id)
    known = home.document(name, _Message)
    if known is None:
        home.keep_document(name, _Message(content_id=write_b64url(cid), since=now))
        return False
    return known.content_id != write_b64url(cid)


def check_half(home: Home, recryption: Recryption) -> None:
    """Refuse a recryption whose X is known to belong to another group key.

    No X is used for two group keys (spec §1). Who shows one under another name would pass one
    group's mail off as another's.

    Raises:
        Trouble: if it does.
    """
    known = home.document(paths.half_file(recryption.member_key), SeenHalf)
    if known is not None and known.group_key_udf != recryption.group_key:
        raise Trouble(
            f"THE SERVICE SHOWS ANOTHER GROUP KEY, {recryption.group_key}, where your key "
            f"{recryption.member_key} belongs to {known.group_key_udf}",
            "Nothing was shown. Ask the group's administrator by another way",
        )


def keep_half(home: Home, recryption: Recryption) -> None:
    """Remember the group key of an X that has opened something."""
    name = paths.half_file(recryption.member_key)
    if home.document(name, SeenHalf) is None:
        home.keep_document(name, SeenHalf(group_key_udf=recryption.group_key))
