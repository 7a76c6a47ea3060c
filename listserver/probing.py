"""Ask members whose mail came back too often whether their address works.

A probe is one letter to one member; if that comes back too, its mail is turned off (spec §7).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from listserver.addresses import ListAddress, Role, write_list_address
from listserver.catalogue import Catalogue
from listserver.letters import write_letter
from listserver.limits import PROBES
from listserver.model import Letter, PostId, Scoring, Suspect
from listserver.ports import Clock, Log
from listserver.store import Store, Work
from listserver.tokens import ProbeToken, write_token
from listserver.vault import Vault
from recrypt_core.errors import RecryptError


class Probing:
    """Puts probes in the queue."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Clock,
        log: Log,
        *,
        scoring: Scoring,
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._log = log
        self._scoring = scoring
        self.catalogue = Catalogue()
        """Of what is written; the app's has the operator's own words in it."""
        self.on_written: Callable[[], None] = lambda: None
        """Called when there may be letters in the queue."""

    async def probe(self) -> None:
        """Forget what is long ago, and send a probe to each member with too high a score.

        Raises:
            QueueFull: those who are left have their turn in the next round.
        """
        now = self._clock.now()
        while await self._forget_some(now):
            pass
        after: PostId | None = PostId(-1)
        while after is not None:
            after = await self._settle_some(now, after)
        while await self._probe_some(now):
            self.on_written()

    async def _forget_some(self, now: datetime) -> bool:
        async with self._store.begin() as work:
            return await work.forget_bounces(self._scoring, now)

    async def _settle_some(self, now: datetime, after: PostId) -> PostId | None:
        async with self._store.begin() as work:
            return await work.settle_refusals(now, after)

    async def _probe_some(self, now: datetime) -> bool:
        """Look at some members, in a transaction of their own; False if there are none left."""
        async with self._store.begin() as work:
            found = await work.take_suspects(self._scoring, now, PROBES)
            for suspect in found or ():
                await self._send(work, suspect, now)
        return found is not None

    async def _send(self, work: Work, suspect: Suspect, now: datetime) -> None:
        address = suspect.list.state.name
        words = self.catalogue.of_list(suspect.list.state).letter("probe")
        token = write_token(self._vault, ProbeToken(now, suspect.id))
        return_path = write_list_address(ListAddress(address, Role.BOUNCES, token))
        try:
            octets = await asyncio.to_thread(write_letter, words, suspect.member, address, now=now)
        except RecryptError as problem:  # a profile without keys: nobody else waits for it
            self._log.event("probe-fault", error=type(problem).__name__)
            return
        letter = Letter(suspect.member.account, str(return_path), octets, probe_of=suspect.id)
        await work.enqueue_letter(letter, now)
        await work.probe_sent(suspect.id, now)
        self._log.event("probe")
