"""Who may create groups, how many they created, and nonces: the rows and their SQL."""

from datetime import datetime

from listserver.edges.sqlite_halves import Halves
from listserver.edges.sqlite_known import Known
from listserver.edges.sqlite_rows import ROW_OCTETS, Rows, Value, number, octets
from listserver.model import StoredList
from listserver.vault import Vault
from recrypt_core.documents import VerifiedProfile, kept_profile
from recrypt_core.encoding import JsonObject, read_json, write_b64url, write_json
from recrypt_core.members import Member
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json


class SignerTables:
    """The part of `Work` that looks at who signs, whatever the list."""

    def __init__(
        self,
        rows: Rows,
        vault: Vault,
        lists: Known[StoredList],
        members: Known[Member],
        halves: Halves,
    ) -> None:
        self._rows = rows
        self._vault = vault
        self._lists = lists
        self._members = members
        self._halves = halves
        self.erased = False
        """Whether an r was erased."""

    async def authorize(self, profile: VerifiedProfile) -> None:
        await self.deauthorize(profile.identifier)
        name = self._vault.name("profile", profile.identifier)
        for key in profile.signature_keys:
            kid = self._vault.name("authorized", key.udf)
            sealed = self._vault.seal("authorized", write_json(profile.signed.json()), row=kid)
            await self._rows.run("INSERT INTO authorized VALUES (?, ?, ?)", (name, kid, sealed))

    async def deauthorize(self, identifier: Udf) -> bool:
        name = self._vault.name("profile", identifier)
        return await self._rows.run("DELETE FROM authorized WHERE profile_name = ?", (name,)) > 0

    async def authorized(self, kid: Udf) -> VerifiedProfile | None:
        name = self._vault.name("authorized", kid)
        found = await self._rows.all("SELECT sealed FROM authorized WHERE kid_name = ?", (name,))
        if not found:
            return None
        return kept_profile(from_json(Jws, self._opened("authorized", found[0][0], name)))

    async def founded(self, founder: Udf) -> int:
        name = self._vault.name("profile", founder)
        found = await self._rows.all("SELECT lists FROM founders WHERE profile_name = ?", (name,))
        return number(found[0][0]) if found else 0

    async def had_nonce(self, signer: Udf, nonce: bytes) -> bool:
        name = self._nonce_name(signer, nonce)
        return bool(await self._rows.all("SELECT 1 FROM nonces WHERE nonce_name = ?", (name,)))

    async def take_nonce(
        self, signer: Udf, nonce: bytes, *, until: datetime, now: datetime
    ) -> bool:
        name = self._nonce_name(signer, nonce)
        await self._rows.run("DELETE FROM nonces WHERE until < ?", (_seconds(now),))
        taken = await self._rows.run(
            "INSERT OR IGNORE INTO nonces VALUES (?, ?)", (name, _seconds(until))
        )
        return taken == 1

    # --- rows

    def _nonce_name(self, signer: Udf, nonce: bytes) -> bytes:
        return self._vault.name("nonce", signer, write_b64url(nonce))

    def _opened(self, table: str, sealed: Value, row: bytes) -> JsonObject:
        return read_json(self._vault.unseal(table, octets(sealed), row=row), limit=ROW_OCTETS)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
