"""kill -9 while an administrator adds members: what was answered with 201 is there, once."""

import uuid

import httpx2
import pytest

from tests.end_to_end.independent import Json, b64, compact, hash_of, new_person, sign
from tests.end_to_end.independent_group import clock
from tests.end_to_end.network import MailHost
from tests.end_to_end.team import Team
from tests.faults.ledger import Ledger
from tests.faults.machine import STRACE
from tests.faults.states import integrity
from tests.faults.tracing import Strace

SERIES = {"pwrite64": range(1, 40, 4), "fdatasync": range(1, 3)}


class Chain:
    """The changes of a team's group, from its head on."""

    def __init__(self, team: Team) -> None:
        """Ask the service for the head."""
        self._team = team
        message = {"GetChangesRequest": {"GroupID": team.group.name}}
        status, answer = self.send(self._signed(message), {})
        assert status == 201, answer
        self.head: Json = answer["GetChangesResponse"]["Head"]

    def add(self, address: str) -> tuple[Json, Json]:
        """Make the change that adds somebody; give it with its halves."""
        person = new_person(address, clock())
        self._team.members[address] = person
        member, halves = self._team.group.member(person)
        identifier = self._team.group.master.identifier
        message = {"AddMemberRequest": {"RecryptionGroup": identifier, "MemberEntry": [member]}}
        place = {"seq": self.head["seq"] + 1, "prev": self.head["hash"]}
        change = self._signed(message, group=identifier, **place)
        self.head = {"seq": place["seq"], "hash": hash_of(change)}
        return change, halves

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


@STRACE
@pytest.mark.parametrize("call", SERIES)
def test_a_change_that_was_cut_off_is_made_once_when_it_is_sent_again(
    call: str, ledger: Ledger, host: MailHost
) -> None:
    server, chain = ledger.server, Chain(ledger.team)
    for number in SERIES[call]:
        change, halves = chain.add(f"new{number}@example.org")
        strace = Strace(server, call, f"signal=SIGKILL:when={number}")
        status, _ = chain.send(change, halves)
        if not status:
            server.child.ended()
            ledger.crashes += 1
            server.start()
        strace.detach()
        again, answer = chain.send(change, halves)
        assert again == 201, (status, answer)
        assert answer["AddMemberResponse"]["Head"] == chain.head
        server.kill()
        server.start()
    assert ledger.crashes
    host.start()
    ledger.take(2)
    assert ledger.settle()
    server.stop()
    assert integrity(server.store) == "ok"
    ledger.check(f"F1 kill -9 at {call} of an AddMember, {len(SERIES[call])} added", a_crash=0)
