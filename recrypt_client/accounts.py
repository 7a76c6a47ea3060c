"""An IMAP account (RFC 9051): which mails of a folder have a sealed part, and these mails.

It is only ever read: folders are opened with EXAMINE, and mail is taken by BODY.PEEK, so that
nothing is marked as seen. Of mail that has no sealed part nothing but its structure is fetched.
"""

import imaplib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from recrypt_client import mail
from recrypt_client.errors import Passing, Trouble
from recrypt_client.mail_servers import MailServer, Security

TIMEOUT_SECONDS: Final = 60
BATCH: Final = 50  # mails whose structure is asked for at once; ours
SEARCHED: Final = 10_000  # mails searched at once: an answer is a line, of 1 MB at most for imaplib

Structure: TypeAlias = Sequence[object]
"""A BODYSTRUCTURE as it was parsed: a multipart begins with the list of its parts."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A mail of a folder: its UID, size in octets, and whether it has a sealed part."""

    uid: int
    octets: int
    is_sealed: bool


class MailFolder:
    """A folder of an account, open for reading."""

    def __init__(self, client: IMAPClient, name: str) -> None:
        self._client = client
        answer = client.select_folder(name, readonly=True)
        if b"UIDVALIDITY" not in answer:  # RFC 9051 §6.3.2 asks for it
            raise Trouble(f"{name}: the server numbers no mail there", "Check --folder")
        self.uid_validity = int(answer[b"UIDVALIDITY"])
        self._count = int(answer.get(b"EXISTS", 0))

    def since(self, uid: int) -> Iterator[list[Listed]]:
        """List the mails from a UID on, in their order, some at once."""
        found = self._uids(uid)
        for start in range(0, len(found), BATCH):
            batch = found[start : start + BATCH]
            listed = self._client.fetch(batch, ["BODYSTRUCTURE", "RFC822.SIZE"])
            yield [_listed(each, listed[each]) for each in batch if each in listed]

    def _uids(self, uid: int) -> list[int]:
        """Find the UIDs from one on.

        From the last mail on: when one is taken away meanwhile, those behind it move down, to where
        they are found still.
        """
        found, last = set[int](), "*"
        for below in reversed(range(0, self._count, SEARCHED)):
            found.update(self._client.search([f"{below + 1}:{last}", "UID", f"{uid}:*"]))
            last = str(below)
        # n:* names the last mail too, if its UID is below n (RFC 9051 §9, seq-range).
        return sorted(each for each in found if each >= uid)

    def mail(self, uid: int) -> bytes | None:
        """Fetch a mail; None if it is there no more."""
        answer = self._client.fetch([uid], ["BODY.PEEK[]"]).get(uid, {}).get(b"BODY[]")
        return answer if isinstance(answer, bytes) else None


@contextmanager
def open_folder(server: MailServer, password: str, name: str) -> Iterator[MailFolder]:
    """Log in, and open a folder.

    Raises:
        Trouble: if that can't be done, or the connection breaks.
    """
    server.check()
    with _in_words(server):
        client = IMAPClient(
            server.host,
            server.port,
            ssl=server.security is Security.TLS,
            ssl_context=server.tls(),
            timeout=TIMEOUT_SECONDS,
        )
        try:
            if server.security is Security.STARTTLS:
                client.starttls(server.tls())
            client.login(server.user, password)
            yield MailFolder(client, name)
        finally:
            with suppress(OSError):
                client.shutdown()  # nothing was changed that a logout would bring home


def is_sealed(structure: Structure) -> bool:
    """Tell whether a mail has a part that may be sealed to a list or a profile (spec §7)."""
    if isinstance(structure[0], list):
        return any(is_sealed(part) for part in structure[0])
    kind, subtype = (_text(each).lower() for each in structure[:2])
    if f"{kind}/{subtype}" in mail.ENVELOPES:
        return True
    named = f"{kind}/{subtype}" == "application/octet-stream"
    return named and any(mail.words(each).lower().endswith(".mmx") for each in _texts(structure))


def _listed(uid: int, answer: Mapping[bytes, object]) -> Listed:
    structure, octets = answer.get(b"BODYSTRUCTURE"), answer.get(b"RFC822.SIZE")
    sealed = isinstance(structure, tuple) and bool(structure) and is_sealed(structure)
    return Listed(uid, octets if isinstance(octets, int) else 0, sealed)


def _texts(value: object) -> Iterator[str]:
    """Give every text in a part's structure: its file's name is one of them."""
    if isinstance(value, tuple | list):
        yield from itertools.chain.from_iterable(_texts(each) for each in value)
    elif isinstance(value, bytes):
        yield _text(value)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


@contextmanager
def _in_words(server: MailServer) -> Iterator[None]:
    """Put what goes wrong with a server into words; what it said is only quoted."""
    try:
        yield
    except LoginError as problem:
        raise Trouble(
            f"{server}: it doesn't let {server.user} in: {problem}",
            "Check --user and the password: some providers want one made for mail programs",
        ) from problem
    except imaplib.IMAP4.abort as problem:
        raise Passing(f"{server}: {problem}", "Try again: what was read is kept") from problem
    except imaplib.IMAP4.error as problem:
        raise Trouble(
            f"{server}: {problem}", "Check --folder, and what the server can"
        ) from problem
    except OSError as problem:
        raise Passing(
            f"{server} can't be reached: {problem}", "Check --host, --port and --security"
        ) from problem
