"""Who asks to be a member, and how often it was asked: the rows and their SQL."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from listserver.addresses import parse_address, site_of
from listserver.edges.sqlite_profiles import ProfileTables
from listserver.edges.sqlite_queue import seconds
from listserver.edges.sqlite_rows import Value, number, octets
from listserver.limits import JOIN_PATIENCE, QUOTA_DAYS
from listserver.model import Applicant, Join, JoinCount, JoinState, ListId
from recrypt_core.documents import verified_profile
from recrypt_core.encoding import JsonObject, read_object, read_text, write_json
from recrypt_core.records import JoinRequest
from recrypt_core.signing import Jws
from recrypt_core.udf import Udf
from recrypt_core.wire import from_json

_DAY: Final = 86400  # seconds
_ROW: Final = "a row of a request to join"
_COUNT: Final = (
    "INSERT INTO join_counts VALUES (?, ?, ?)"
    " ON CONFLICT (day, name) DO UPDATE SET asked = asked + excluded.asked"
)
_COUNTED: Final = "SELECT asked FROM join_counts WHERE day = ? AND name = ?"
# Who asks again while it waits is told of once. The earlier request goes after that.
_CONFIRM: Final = (
    "UPDATE joins SET state = ?1, since = ?2, until = ?3, told = coalesce(?5,"
    " (SELECT max(told) FROM joins AS other WHERE other.name = joins.name))"
    " WHERE token_name = ?4"
)
_CONFIRMED_ANEW: Final = (
    "DELETE FROM joins WHERE state = ?1 AND token_name != ?2"
    " AND name = (SELECT name FROM joins WHERE token_name = ?2)"
)
_WAITING: Final = "FROM joins WHERE list_id = ? AND state = ? AND until > ?"
_WAITING_AT: Final = "SELECT count(*) FROM joins WHERE domain = ? AND state = ? AND until > ?"
_PAGE: Final = f"{_WAITING} AND name > ? ORDER BY name LIMIT ? OFFSET ?"
_ALL: Final = -1  # as LIMIT: as many as there are


class JoinTables(ProfileTables):
    """The part of `Work` that joining uses."""

    async def count_join(self, of: JoinCount, what: str, now: datetime, *, times: int = 1) -> int:
        name = self._vault.name(f"join {of.value}", what)
        await self._rows.run(_COUNT, (_day(now), name, times))
        ((asked,),) = await self._rows.all(_COUNTED, (_day(now), name))
        return number(asked)

    async def counted(self, of: JoinCount, what: str, now: datetime, *, days: int = 1) -> int:
        name, today = self._vault.name(f"join {of.value}", what), _day(now)
        found = [await self._rows.all(_COUNTED, (today - ago, name)) for ago in range(days)]
        return sum(number(row[0]) for rows in found for row in rows)

    async def put_asked(
        self, list_id: ListId, token: str, applicant: Applicant, *, now: datetime, until: datetime
    ) -> None:
        name = self._token_name(token)
        row: JsonObject = {"account": applicant.account, "profile": applicant.profile.signed.json()}
        if applicant.invitation is not None:
            row["invitation"] = applicant.invitation
        values = (
            name,
            list_id,
            self._join_name(list_id, applicant.profile.identifier),
            JoinState.ASKED.value,
            seconds(now),
            seconds(until),
            self._vault.seal("joins", write_json(row), row=name),
            self._site_name(list_id, site_of(parse_address(applicant.account))),
        )
        await self._rows.run("INSERT INTO joins VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", values)

    async def join_of_token(self, token: str, now: datetime) -> Join | None:
        name = self._token_name(token)
        found = await self._rows.all(
            "SELECT list_id, state, sealed FROM joins WHERE token_name = ? AND until > ?",
            (name, seconds(now)),
        )
        if not found:
            return None
        list_id, state, sealed = found[0]
        account, profile, invitation = self._read_applicant(sealed, name)
        return Join(
            await self.list_of(ListId(number(list_id))),
            JoinState(number(state)),
            Applicant(account, verified_profile(profile), invitation),
        )

    async def put_confirmed(
        self, token: str, *, now: datetime, until: datetime, quietly: bool = False
    ) -> None:
        name, state = self._token_name(token), JoinState.CONFIRMED.value
        told = seconds(now) if quietly else None
        await self._rows.run(_CONFIRM, (state, seconds(now), seconds(until), name, told))
        await self._rows.run(_CONFIRMED_ANEW, (state, name))

    async def waiting_joins(
        self, list_id: ListId, now: datetime, *, site: str | None = None
    ) -> int:
        values = (JoinState.CONFIRMED.value, seconds(now))
        if site is None:
            found = await self._rows.all(f"SELECT count(*) {_WAITING}", (list_id, *values))
        else:
            found = await self._rows.all(_WAITING_AT, (self._site_name(list_id, site), *values))
        return number(found[0][0])

    async def joins_after(
        self, list_id: ListId, after: Udf | None, now: datetime, *, octets: int
    ) -> tuple[tuple[JoinRequest, ...], bool]:
        start = b"" if after is None else self._join_name(list_id, after)
        values = (list_id, JoinState.CONFIRMED.value, seconds(now), start)
        fitting = await self._fitting(f"SELECT length(sealed) {_PAGE}", (*values, _ALL, 0), octets)
        found = await self._rows.all(
            f"SELECT sealed, token_name, since {_PAGE}", (*values, fitting, 0)
        )
        more = await self._rows.all(f"SELECT 1 {_PAGE}", (*values, 1, fitting))
        return await asyncio.to_thread(lambda: tuple(self._request(*row) for row in found)), bool(
            more
        )

    async def end_joins(
        self, list_id: ListId, applicants: Collection[Udf], states: Collection[JoinState]
    ) -> int:
        return await self._rows.many(
            "DELETE FROM joins WHERE name = ? AND state = ?",
            [(self._join_name(list_id, udf), each.value) for udf in applicants for each in states],
        )

    async def erase_joins(self, now: datetime) -> None:
        # What is as far ahead was written by another clock, and would stay for ever.
        await self._rows.run(
            "DELETE FROM joins WHERE until <= ? OR until > ?",
            (seconds(now), seconds(now + JOIN_PATIENCE)),
        )
        await self._rows.run(
            "DELETE FROM join_counts WHERE day < ? OR day > ?",
            (_day(now) - QUOTA_DAYS, _day(now) + QUOTA_DAYS),
        )

    # --- rows

    def _request(self, sealed: Value, name: Value, since: Value) -> JoinRequest:
        account, profile, invitation = self._read_applicant(sealed, octets(name))
        return JoinRequest(
            account_name=account,
            profile=profile,
            since=datetime.fromtimestamp(number(since), UTC),
            invitation=invitation,
        )

    def _read_applicant(self, sealed: Value, name: bytes) -> tuple[str, Jws, str | None]:
        row: JsonObject = self._opened("joins", sealed, name)
        profile = from_json(Jws, read_object(row["profile"], what=_ROW))
        invitation = read_text(row, "invitation", what=_ROW) if "invitation" in row else None
        return read_text(row, "account", what=_ROW), profile, invitation

    def _token_name(self, token: str) -> bytes:
        return self._vault.name("join", token)

    def _site_name(self, list_id: ListId, site: str) -> bytes:
        return self._vault.name("applicant at", str(list_id), site)

    def _join_name(self, list_id: ListId, applicant: Udf) -> bytes:
        return self._vault.name("applicant", str(list_id), applicant)


def _day(moment: datetime) -> int:
    return seconds(moment) // _DAY
