"""Invitations: what an administrator gives somebody, and what comes back of it (spec §6, Inviting).

The token carries all that is needed to ask in without trust on first use, and a secret. It proves
that who asks had it: nothing about whose the address is, and nothing to whoever has mailed it.
"""

import hmac
import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from recrypt_core import _random, limits
from recrypt_core.documents import Account
from recrypt_core.encoding import read_b64url, read_json, write_b64url, write_json
from recrypt_core.errors import Malformed
from recrypt_core.records import GroupId
from recrypt_core.udf import Udf
from recrypt_core.wire import Document, Hash, UdfText, from_json, to_json

URI: Final = "recrypt:join/"
SECRET_OCTETS: Final = 32

LETTER: Final = """\
{name}: you are invited to a confidential mailing list

An administrator of the mailing list {list}
invites {account} to it. What is written there only its
members can read, and nobody is told who they are.

To ask to be a member, with the program recrypt, run once

  recrypt profile create {account}

unless you have a profile with this as its first address (`recrypt profile
address` makes it that), and then, with this whole mail saved as LETTER,

  recrypt join --invitation LETTER

In Thunderbird, with the extension Recrypt for Thunderbird, open this mail
and press "Join this list" instead.

It finds the invitation by this line, which is good for
{days} days and for one person:

{token}

Keep it to yourself: whoever has it can ask in your place. If you don't
want to be a member, do nothing; nobody is told.
"""
"""Of an invitation: the subject, an empty line, and what it says."""

_SHORTEST: Final = 200  # letters of a token, at least; a file name of so many is none of ours
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_Url = Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[!-~]{1,250}\Z")]
_Token = Annotated[
    str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z", max_length=limits.INVITATION_LETTERS)
]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a token says: which group, where, by which fingerprint; and a secret."""

    group_name: str
    service: str
    identifier: Udf
    secret: bytes = field(repr=False)


class _Stated(Document, frozen=True, kw_only=True):
    """The JSON in a token."""

    invitation_version: Literal[1] = 1
    group_name: Account
    service: _Url
    identifier: UdfText
    secret: Hash


class Invited(Document, frozen=True, kw_only=True):
    """Who is to be mailed which token."""

    account_name: Account
    token: _Token

    def __repr__(self) -> str:
        return "Invited(...)"


class Invite(Document, frozen=True, kw_only=True):
    """Have the service mail invitations to a group."""

    transaction: ClassVar[str] = "Invite"
    group_id: GroupId
    invitations: Annotated[
        tuple[Invited, ...], msgspec.Meta(min_length=1, max_length=limits.REQUEST_INVITATIONS)
    ]


def new_secret() -> bytes:
    """Draw the secret of one invitation."""
    return _random.octets(SECRET_OCTETS)


def write_token(invitation: Invitation) -> str:
    """Write a token: one line of base64url.

    Raises:
        Malformed: if a name in it is too long, or isn't one.
    """
    stated = _Stated(
        group_name=invitation.group_name,
        service=invitation.service,
        identifier=invitation.identifier,
        secret=write_b64url(invitation.secret),
    )
    token = write_b64url(write_json(to_json(stated)))
    read_token(token)
    return token


def read_token(text: str) -> Invitation:
    """Read a token, alone or as a `recrypt:` URI.

    Raises:
        Malformed: if it is none.
    """
    token = text.removeprefix(URI)
    if not _TOKEN.fullmatch(token) or len(token) > limits.INVITATION_LETTERS:
        raise Malformed("no invitation")
    octets = read_b64url(token)
    stated = from_json(_Stated, read_json(octets, limit=limits.INVITATION_LETTERS))
    return Invitation(
        stated.group_name, stated.service, stated.identifier, read_b64url(stated.secret)
    )


def is_token(text: str) -> bool:
    """Tell a token, alone or as a URI, from the name of a file that one stands in."""
    return text.startswith(URI) or (len(text) > _SHORTEST and bool(_TOKEN.fullmatch(text)))


def proof(secret: bytes, identifier: Udf, account: str) -> str:
    """Give what shows that who asks in, as this profile and address, has the secret."""
    message = f"recrypt-invitation:{identifier}:{account}".encode()
    return write_b64url(hmac.digest(secret, message, "sha256"))


def proves(stated: str, secret: bytes, identifier: Udf, account: str) -> bool:
    """Tell whether a proof was made with this secret, for this profile and address."""
    return hmac.compare_digest(stated.encode(), proof(secret, identifier, account).encode())


def subject(group: str) -> str:
    """Give the subject of the letter, which is in clear: who is invited has no keys."""
    return LETTER.partition("\n")[0].format(name=group.partition("@")[0])


def words(group: str, token: str, account: str) -> tuple[str, ...]:
    """Give the lines of that letter, the same from a service and from a mail program."""
    text = LETTER.partition("\n\n")[2].format(
        list=group, account=account, token=f"{URI}{token}", days=limits.INVITATION_LIFE.days
    )
    return tuple(text.splitlines())
