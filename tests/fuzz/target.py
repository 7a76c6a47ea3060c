"""What requests of any shape are thrown at: the service without sockets, with one group in it.

The first octet of a case says how the rest is sent: P as it is, as what isn't signed; R as it is,
as a signed request; S as the payload of a request that Alice, who may do all, has signed; C the
same as a change in its place. @GROUP@, @ALICE@ and @PROFILE@ stand for the Identifiers of the
group and of Alice, and for Alice's SignedProfile.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from recrypt_core.documents import Head
from recrypt_core.encoding import write_json
from recrypt_core.messages import ChangeResponse, Response
from recrypt_core.signing import Link, request_body, sign_request
from tests.builders import NOW, URL, History, Person, new_group, new_membership, new_person
from tests.fakes import Bench, administrator, open_bench

CASES: Final = Path(__file__).parents[1] / "cases" / "requests"
REFUSALS: Final = frozenset({400, 401, 403, 404, 409, 413, 429})
DONE: Final = 201


class Target:
    """The service, and who asks it."""

    def __init__(self, bench: Bench, alice: Person, history: History) -> None:
        self._bench = bench
        self._alice = alice
        self._group = history.state.identifier
        self._head: Head = history.state.head
        self._names = {
            b"@GROUP@": self._group.encode(),
            b"@ALICE@": alice.udf.encode(),
            b"@PROFILE@": write_json(alice.signed.json()),
        }

    async def answer(self, case: bytes) -> Response:
        """Send a case; whatever it is, an answer comes and no exception."""
        way, rest = case[:1], case[1:]
        for name, value in self._names.items():
            rest = rest.replace(name, value)
        body = self._signed(rest, is_change=way == b"C") if way in (b"S", b"C") else rest
        _, response = await self._bench.transactions.answer(body, signed=way in (b"R", b"S", b"C"))
        if isinstance(response, ChangeResponse) and response.status == DONE:
            self._head = response.head
        return response

    def _signed(self, payload: bytes, *, is_change: bool) -> bytes:
        link = Link(self._group, self._head.seq + 1, self._head.hash) if is_change else None
        signed = sign_request(payload, self._alice.online, url=URL, now=NOW, link=link)
        return request_body(signed, {})


@asynccontextmanager
async def open_target(folder: Path) -> AsyncIterator[Target]:
    """Make a service in a folder, where Alice administers a group that Bob is in."""
    async with open_bench(folder) as bench:
        group, alice = new_group(), new_person("alice@example.org")
        bob = new_membership(new_person("bob@example.org"), group.key)
        first = administrator(alice, group)
        history = await bench.create(group, first, bob, authorised=alice)
        yield Target(bench, alice, history)
