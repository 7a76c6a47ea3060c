"""Flow of `recrypt sync`: list mail of an account's folder into a Maildir, each once.

How far it came is kept in the Maildir, by UIDVALIDITY and UID (RFC 9051 §2.3.1.1), after each
mail. One that is killed goes on where it was: a mail that was brought to disk just before is known
by its octets, also when the account numbers its mail anew.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from recrypt_client.errors import Trouble, is_passing
from recrypt_client.maildirs import Maildir, Progress

if TYPE_CHECKING:
    from recrypt_client.accounts import Listed  # which loads much

MAIL_OCTETS: Final = 96 * 2**20  # an envelope of 64 MiB in base64, and some; larger can't be read
WAITING: Final = 100  # mails that couldn't be read and are tried again; ours

ADDED: Final = "added"  # what became of a mail
UNREAD: Final = "unread"

Read: TypeAlias = Callable[[bytes], bytes]
"""Makes a plain mail of one that came; raises Trouble if that can't be done."""


class Source(Protocol):
    """A folder of mail, as `MailFolder` is one."""

    uid_validity: int

    def since(self, uid: int) -> Iterator["list[Listed]"]:
        """List the mails from a UID on, in their order, some at once."""

    def mail(self, uid: int) -> bytes | None:
        """Fetch a mail; None if it is there no more."""


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a mail: ADDED, or UNREAD and why."""

    what: str
    uid: int
    words: str


class Sync:
    """One folder of an account, on its way into a Maildir."""

    def __init__(self, source: Source, maildir: Maildir, name: str, *, read: Read) -> None:
        """Take a source whose name is its own among those of the Maildir."""
        self._source = source
        self._maildir = maildir
        self._name = name
        self._read = read
        known = maildir.progress(name)
        if known is None or known.uid_validity != source.uid_validity:
            known = Progress(uid_validity=source.uid_validity, next_uid=1, waiting=())
        self._progress = known

    def run(self, *, again: bool = True) -> Iterator[Event]:
        """Read what is new; before that, with `again`, what couldn't be read.

        Raises:
            Trouble: if the account or the Maildir fails; what was done is kept.
        """
        for uid in self._progress.waiting if again else ():
            yield from self._told(self._take(uid))
        for batch in self._source.since(self._progress.next_uid):
            for listed in batch:
                if listed.is_sealed:
                    yield from self._told(self._look_at(listed))
            self._keep(batch[-1].uid if batch else 0, self._progress.waiting)

    def _look_at(self, listed: "Listed") -> Event | None:
        if listed.octets <= MAIL_OCTETS:
            return self._take(listed.uid)
        self._passed(listed.uid)
        words = f"a mail of {listed.octets} octets, over {MAIL_OCTETS}: it is not read"
        return Event(UNREAD, listed.uid, words)

    def _take(self, uid: int) -> Event | None:
        """Bring a mail into the Maildir; None if it is there, or nowhere."""
        octets = self._source.mail(uid)
        key = "" if octets is None else hashlib.sha256(octets).hexdigest()
        if octets is None or self._maildir.has(key):
            self._passed(uid)
            return None
        try:
            made = self._read(octets)
        except Trouble as trouble:
            if is_passing(trouble):
                raise
            self._passed(uid, waits=True)
            return Event(UNREAD, uid, str(trouble))
        self._maildir.add(key, made)
        self._passed(uid)
        return Event(ADDED, uid, "added")

    def _passed(self, uid: int, *, waits: bool = False) -> None:
        """Remember that a mail was looked at, and whether that is to be done again."""
        others = tuple(each for each in self._progress.waiting if each != uid)
        self._keep(uid, tuple(sorted((*others, uid)))[-WAITING:] if waits else others)

    def _keep(self, uid: int, waiting: tuple[int, ...]) -> None:
        known = self._progress
        self._progress = Progress(
            uid_validity=known.uid_validity,
            next_uid=max(known.next_uid, uid + 1),
            waiting=waiting,
        )
        if self._progress != known:
            self._maildir.keep_progress(self._name, self._progress)

    def _told(self, event: Event | None) -> Iterator[Event]:
        """Give an event, if there is one."""
        if event is not None:
            yield replace(event, words=f"mail {event.uid}: {event.words}")
