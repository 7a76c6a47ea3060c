"""The one place where a name from outside becomes the name of a file (spec §8)."""

import hashlib
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import quote

import platformdirs

from recrypt_client.errors import Trouble, about
from recrypt_core.mailboxes import folded, parse_address
from recrypt_core.udf import Udf, read_udf

_GROUP = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?@[a-z0-9.-]{1,180}[a-z0-9]", re.ASCII)


SECRETS: Final = (
    "keys/*.jwk",
    "groups/*.pending",
    "groups/*.rekey",
    "groups/*.trail",
    "groups/*.escrow",
    "groups/*.invitations",
)
"""Which files of a home are sealed: private keys, halves that no service has taken yet, and which
of the keys is to be a group's next, what was last done to a group, to whom, whose its escrow
keys are: by that an escrow key is taken away; and the secrets of its invitations."""

UNFINISHED: Final = ("keys/.*.new", "groups/.*.new")
"""What a writer that was killed leaves beside them."""


def home_folder(chosen: str | None) -> Path:
    """Find the home: --home, else RECRYPT_HOME, else the platform's data folder."""
    folder = chosen or os.environ.get("RECRYPT_HOME")
    return Path(folder) if folder else platformdirs.user_data_path("recrypt")


def group_name(typed: str) -> str:
    """Read a group's name as a person typed it: the address of its list, in lower case.

    Raises:
        Trouble: if it is none.
    """
    name = typed.lower()
    if not _GROUP.fullmatch(name):
        raise Trouble(f"{typed!r} is no group", "A group's name is an address: team@lists.example")
    with about(f"{typed!r} is no group"):
        return str(parse_address(name))


def profile_file() -> str:
    """Name the file of the signed profile."""
    return "profile.json"


def device_file() -> str:
    """Name the file of the public keys of a device that hasn't been added to a profile yet."""
    return "device.json"


def untold_file() -> str:
    """Name the file of the groups whose services don't have the newest profile yet."""
    return "untold.json"


def lock_file() -> str:
    """Name the file that who works in the home has locked."""
    return "lock"


def passphrase_file() -> str:
    """Name the file of the key that secret files are sealed under, itself under a passphrase."""
    return "passphrase.json"


def unfinished_file() -> str:
    """Name the file that says, sealed, that some secret files may not be sealed yet."""
    return "unfinished.json"


def is_secret(name: str) -> bool:
    """Tell whether a file of a home is one of the SECRETS."""
    return any(fnmatchcase(name, pattern) for pattern in SECRETS)


def half_file(member_key: Udf) -> str:
    """Name the file of what a member's half X belongs to."""
    return f"halves/{read_udf(member_key)}.json"


def key_file(udf: Udf) -> str:
    """Name the file of a private key."""
    return f"keys/{read_udf(udf)}.jwk"


def pin_file(name: str) -> str:
    """Name the file of a group's pin."""
    return f"groups/{group_name(name)}.json"


def pending_file(name: str) -> str:
    """Name the file of a CreateGroup that wasn't answered yet."""
    return f"groups/{group_name(name)}.pending"


def rekey_file(name: str) -> str:
    """Name the file of a rekey that is under way."""
    return f"groups/{group_name(name)}.rekey"


def trail_file(name: str) -> str:
    """Name the file of the last changes that were seen of a group."""
    return f"groups/{group_name(name)}.trail"


def escrow_file(name: str) -> str:
    """Name the file of whose a group's escrow keys are."""
    return f"groups/{group_name(name)}.escrow"


def invitations_file(name: str) -> str:
    """Name the file of a group's invitations that were sent from here."""
    return f"groups/{group_name(name)}.invitations"


def letter_file(address: str) -> str:
    """Name the file of a letter to an address, for one's mail program."""
    return f"{quote(address, safe='@+')}.eml"


def contact_file(address: str) -> str:
    """Name the file of an author's address, which may be any text."""
    return f"contacts/{_digest(folded(address))}.json"


def author_file(identifier: Udf) -> str:
    """Name the file of what is known of a profile."""
    return f"profiles/{read_udf(identifier)}.json"


def message_file(author: Udf, group_key: Udf, message_id: str) -> str:
    """Name the file of a message that was read."""
    return f"messages/{_digest(f'{author} {group_key} {message_id}')}.json"


def bridge_file() -> str:
    """Name the file of the password of `recrypt bridge`."""
    return "bridge.json"


def sync_file(source: str) -> str:
    """Name the file, in a Maildir, of how far a folder of an account was read."""
    return f".recrypt-{_digest(source)[:32]}.json"


def sync_lock_file() -> str:
    """Name the file that who writes to a Maildir has locked."""
    return ".recrypt-lock"


def maildir_file(key: str) -> str:
    """Name the file of a mail in a Maildir, before what readers add to it."""
    return f"{key}.recrypt"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
