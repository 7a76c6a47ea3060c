"""A list of Alice's with Bob in it, and the ways that mail goes between them."""

import base64
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid
from itertools import count
from typing import Final

from tests.end_to_end.network import MailHost, Tap
from tests.end_to_end.programs import ListServer, Person
from tests.end_to_end.team import send
from tests.mails import message_of
from tests.plugin.mail_program import ADDRESS, MailProgram
from tests.plugin.post_office import PostOffice

TEAM: Final = "team@lists.example"
MARKER: Final = "thirdflowerpot"
"""Stands in every text that is to stay secret."""


@dataclass
class Membership:
    """Alice has `recrypt`, Bob has Thunderbird; taps hear what it says to both its servers."""

    alice: Person
    host: MailHost
    server: ListServer
    office: PostOffice
    imap: Tap
    smtp: Tap
    _bob: MailProgram | None = None
    _fetched: int = 0
    _kept: dict[str, list[bytes]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def bob(self) -> MailProgram:
        """Bob."""
        assert self._bob is not None, "nobody sits there yet"
        return self._bob

    def seat(self, bob: MailProgram) -> None:
        """Have Bob sit in front of his Thunderbird."""
        self._bob = bob

    def found(self) -> None:
        """Start the server, and let Alice found the list."""
        self.server.authorize(self.alice.profile)
        self.server.start()
        self.alice.recrypt("create", TEAM, "--service", self.server.url)

    def join(self) -> None:
        """Let Bob come onto the list by an invitation, with Thunderbird alone."""
        bob = self.bob
        bob.do("settings", "Make my profile")
        bob.keep_picture("01-no-profile-yet")
        bob.do("set", "click", "#create button")
        bob.do("settings", "Your fingerprint")
        self.alice.recrypt("invite", TEAM, ADDRESS)
        bob.do("show", self.deliver(self.next_mail()), "An invitation to the list")
        bob.keep_picture("02-invited")
        bob.do("click", "Join this list", "An invitation")
        bob.do("opened", "#join textarea", "recrypt:join/")
        bob.do("settings", "Ask to join")
        bob.do("set", "click", "#join button")
        bob.do("settings", "A letter comes to")
        bob.do("settings", "No mail for now")
        bob.keep_picture("03-asked-to-join")
        bob.do("show", self.deliver(self.next_mail()), "Yes, I want to be on the list")
        bob.keep_picture("04-the-letter")
        bob.do("click", "Yes, I want", "An administrator decides")
        self.alice.recrypt("watch", TEAM, "--approve", "invited", "--once")

    def stop(self) -> None:
        """Stop all that runs."""
        for part in (self.server, self.imap, self.smtp, self.host, self.office):
            part.stop()

    def post(self, message: EmailMessage, to: str = TEAM) -> dict[str, bytes]:
        """Let Alice post a message; give the copies by whose they are."""
        post = self.alice.recrypt("seal", "--to", to, stdin=message.as_bytes())
        send(self.server, to, post)
        return {ADDRESS: self.next_mail(), self.alice.address: self.next_mail(self.alice.address)}

    def next_mail(self, recipient: str = ADDRESS) -> bytes:
        """Give the next mail of the list's server for somebody, as soon as it is there."""
        kept = self._kept.setdefault(recipient, [])
        while not kept:
            mail = self.host.wait_for(self._fetched + 1)[self._fetched]
            self._fetched += 1
            self._kept.setdefault(mail.recipient, []).append(mail.content)
        return kept.pop(0)

    def deliver(self, mail: bytes) -> str:
        """Put a mail into Bob's post box; give its id."""
        self.office.put(mail)
        return str(message_of(mail)["Message-ID"]).strip("<>")

    def leaks(self) -> list[str]:
        """Find where the marker stands in clear: in the profile, the post box, or on the wire."""
        forms = spellings(MARKER)
        found = [
            each for each, heard in (("imap", self.imap.heard), ("smtp", self.smtp.heard))
            if any(form in bytes(heard) for form in forms)
        ]  # fmt: skip
        files = [*self.bob.profile.rglob("*"), *self.office.mail.rglob("*")]
        for file in files:
            if file.is_file() and not file.is_relative_to(self.bob.saved):
                octets = file.read_bytes()
                if any(form in octets for form in forms):
                    found.append(str(file))
        return found


def spellings(word: str) -> list[bytes]:
    """Give the ways in which a word may stand in a file: plain, in UTF-16, in base64."""
    plain = word.encode()
    coded = [base64.b64encode(b"\0" * at + plain)[at + (at > 0) :][:-4] for at in range(3)]
    return [plain, word.encode("utf-16-le"), *coded]


def new_message(subject: str, text: str, to: str = TEAM) -> EmailMessage:
    """Write a message of Alice's."""
    message = EmailMessage(SMTP)
    message["From"], message["To"] = "Alice <alice@example.org>", to
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="alice.example")
    message.set_content(text)
    return message
