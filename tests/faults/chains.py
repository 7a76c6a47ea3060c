"""Changes of a team's group, signed by its founder and sent to the service."""

import uuid

import httpx2

from tests.end_to_end.independent import Json, b64, compact, hash_of, new_person, sign
from tests.end_to_end.independent_group import clock
from tests.end_to_end.team import Team


class Chain:
    """The changes of a team's group, from its head on."""

    def __init__(self, team: Team) -> None:
        """Ask the service for the head."""
        self._team = team
        message = {"GetChangesRequest": {"GroupID": team.group.name}}
        status, answer = self.send(self._signed(message), {})
        assert status == 201, answer
        self.head: Json = answer["GetChangesResponse"]["Head"]
        self._entries: dict[str, Json] = {}

    def add(self, address: str) -> tuple[Json, Json]:
        """Make the change that adds somebody; give it with its halves."""
        person = new_person(address, clock())
        self._team.members[address] = person
        member, halves = self._team.group.member(person)
        self._entries[address] = member
        return self._change("AddMemberRequest", member), halves

    def rule(self, days: int) -> tuple[Json, Json]:
        """Make the change that keeps posts for so many days."""
        stated = {"GroupName": self._team.group.name, "Policy": {"keep": days}}
        return self._linked({"UpdateGroupRequest": {"RecryptionGroup": stated}}), {}

    def join(self, address: str) -> None:
        """Let somebody in."""
        self._must(*self.add(address))

    def suspend(self, address: str) -> None:
        """Stop somebody's mail."""
        member = {**self._entries.pop(address), "Status": "SUSPENDED"}
        del self._team.members[address]
        self._must(self._change("UpdateMemberRequest", member), {})

    def send(self, request: Json, halves: Json) -> tuple[int, Json]:
        """Send a request; 0 if nothing comes back."""
        body = {**request, "halves": halves} if halves else request
        url = f"{self._team.server.url}/.well-known/recrypt"
        headers = {"Content-Type": "application/jose+json"}
        try:
            answer = httpx2.post(url, content=compact(body), headers=headers, timeout=10)
        except httpx2.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def _signed(self, message: Json, **place: object) -> Json:
        header = {"url": self._team.server.url, "iat": int(clock().timestamp())}
        nonce = b64(uuid.uuid4().bytes)
        founder = self._team.group.founder
        return sign("recrypt-request", message, founder.online, **header, nonce=nonce, **place)

    def _change(self, transaction: str, member: Json) -> Json:
        identifier = self._team.group.master.identifier
        return self._linked({transaction: {"RecryptionGroup": identifier, "MemberEntry": [member]}})

    def _linked(self, message: Json) -> Json:
        """Sign a change for the next place."""
        identifier = self._team.group.master.identifier
        place = {"seq": self.head["seq"] + 1, "prev": self.head["hash"]}
        change = self._signed(message, group=identifier, **place)
        self.head = {"seq": place["seq"], "hash": hash_of(change)}
        return change

    def _must(self, change: Json, halves: Json) -> None:
        status, answer = self.send(change, halves)
        assert status == 201, answer
