"""A running list server with a list that the independent client has founded."""

import json
import smtplib
from collections.abc import Iterable
from dataclasses import dataclass

from tests.end_to_end.independent import Person, make_post, new_person
from tests.end_to_end.independent_group import Group, clock, new_group
from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import DOMAIN, ListServer


@dataclass(frozen=True)
class Team:
    """The server, the list, and its members by address."""

    server: ListServer
    group: Group
    members: dict[str, Person]

    def sealed(self, content: bytes) -> bytes:
        """Make a post."""
        return make_post(self.group.name, self.group.public, content)

    def send(self, post: bytes) -> None:
        """Hand in a post; an answer that isn't 250 raises."""
        send(self.server, self.group.name, post)


def send(server: ListServer, to: str, post: bytes) -> None:
    """Hand a post to a server; an answer that isn't 250 raises."""
    with smtplib.SMTP(LOCALHOST, server.smtp_port) as smtp:
        smtp.sendmail("sender@example.org", [to], post)


def found_team(server: ListServer, addresses: Iterable[str]) -> Team:
    """Start a server, and found team@ there; the first address is the administrator's."""
    now = clock()
    people = [new_person(address, now) for address in addresses]
    group = new_group(server.url, f"team@{DOMAIN}", people[0], now)
    profile = server.folder / "founder.json"
    profile.write_text(json.dumps(people[0].profile))
    server.authorize(profile)
    server.start()
    group.create(now, *people[1:])
    return Team(server, group, {person.address: person for person in people})
