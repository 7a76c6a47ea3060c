"""A list lives through everything, and no member's address is found but in the member's own mail.

Looked through are the log, the figures, what strangers hear, all mail to others, and the files of
the store after each act, for the address and what stands before its @, in whatever way it is coded.
"""

import base64
import io
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from listserver.addresses import Role
from listserver.config import LogFormat, LogLevel, LogSettings
from listserver.edges.logs import EventLog
from listserver.edges.metrics import Metrics
from listserver.outcomes import Phase, Refused
from recrypt_core.messages import GetKey
from recrypt_core.moderation import Decision
from recrypt_core.policy import Policy, PostRight
from tests.builders import TEAM, Person, new_person
from tests.fakes import POSTER, Bench, open_bench
from tests.flows.test_no_oracle import QUESTIONS
from tests.mails import mail, sealed
from tests.moderated import House
from tests.returned import back_to, off, sent_to
from tests.standings import Standings, open_standings

DAY = timedelta(days=1)
URL_SAFE = bytes.maketrans(b"+/", b"-_")
LONG = 8  # letters before an @ that don't stand in a ciphertext by chance


def forms(text: str) -> set[bytes]:
    """Give the ways in which a text may be coded."""
    octets = text.encode()
    found = {octets, octets.hex().encode()}
    found |= {octets.replace(b"@", code) for code in (b"=40", b"%40", b"&#64;", b"\\u0040")}
    for shift in range(3):
        coded = base64.urlsafe_b64encode(bytes(shift) + octets)
        found.add(coded[(shift * 8 + 5) // 6 : (shift + len(octets)) * 8 // 6])
    return found


def names_of(person: Person) -> set[bytes]:
    """Give all that would name somebody: what stands before the @ does, with it if it is short."""
    local = person.address.partition("@")[0]
    named = local if len(local) >= LONG else f"{local}@"
    return forms(named) | forms(named.lower())


def found_in(octets: bytes, people: Iterable[Person]) -> list[bytes]:
    """Look for people, also where lines are folded."""
    folded = octets.replace(b"\r\n", b"").replace(b"=\n", b"").translate(URL_SAFE)
    lower = octets.lower()
    return [
        each for person in people for each in names_of(person) if each in folded or each in lower
    ]


async def figures_and_log(bench: Bench) -> bytes:
    """Give what the events look like to an operator."""
    stream = io.StringIO()
    metrics = Metrics(EventLog(LogSettings(LogLevel.INFO, LogFormat.TEXT), bench.clock, stream))
    for name, counts in bench.log.events:
        metrics.event(name, **counts)
    samples = [str(sample) for family in metrics.collect() for sample in family.samples]
    return "\n".join((stream.getvalue(), *samples)).encode()


async def check(bench: Bench, people: Iterable[Person]) -> None:
    """Look through the store's files, the log and the figures, and all mail since the last look."""
    everybody = list(people)
    files = [file for file in bench.file.parent.rglob("*") if file.is_file()]
    assert len(files) > 1
    for octets in (*(file.read_bytes() for file in files), await figures_and_log(bench)):
        assert not found_in(octets, everybody)
    for each in bench.courier.sent:
        # To whom it is; and from- before it a stranger may have written.
        others = [person for person in everybody if person.address not in each.recipient]
        octets = b"\r\n".join((each.return_path.encode(), each.recipient.encode(), *each.parts))
        assert not found_in(octets, others)
    bench.courier.sent.clear()


def test_what_is_looked_for_is_found_however_it_is_coded() -> None:
    person = new_person("Dddddddddddd@example.org")
    local, address = b"dddddddddddd", b"dddddddddddd@example.org"
    for octets in (local, address.upper(), address.replace(b"@", b"=40"), local.hex().encode()):
        assert found_in(b"before" + octets + b"after", [person])
    for before in (b"", b"x", b"xy"):
        coded = base64.encodebytes(before + b"To: Dddddddddddd@example.org").replace(b"\n", b"\r\n")
        assert found_in(coded, [person])
    assert not found_in(base64.b64encode(b"d" * 9), [person])


async def bounces(house: Standings, person: Person) -> None:
    """Have somebody's copies refused and come back, until mail to it is off."""
    bench, before = house.bench, await off(house.bench)
    own, words = b"", f"5.1.1 <{person.address}>: no such user"
    while await off(bench) == before:
        bench.courier.script(person.address, Refused(Phase.RCPT, 550, words))
        await house.mail(Role.POST, mail(sealed(house.team.key.public).mmx()), sender=POSTER)
        await bench.relay_all()
        await bench.keep_house()
        for each in sent_to(bench, person.address):
            if each.return_path:
                await back_to(bench, each.return_path)
        await bench.keep_house()
        own = b"".join(part for each in sent_to(bench, person.address) for part in each.parts)
        await check(bench, house.people.values())
        bench.clock.advance(DAY)
    assert found_in(own, [person])  # the probe's To, which is due to it


@pytest.mark.asyncio
async def test_a_list_that_has_been_asked_everything_and_lost_members_names_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_standings(tmp_path) as house:
        people, bench = house.people, house.bench
        await check(bench, people.values())
        for standing, person in people.items():
            others = [each for name, each in people.items() if name != standing]
            for ask in QUESTIONS.values():
                heard = str(await ask(house, person)).encode()
                assert not found_in(heard, others)
        await bench.relay_all()
        await bench.keep_house()
        await check(bench, people.values())
        await bounces(house, people["a member"])
        await bench.leaving.ask(await house.link(people["an administrator"]))
        await bench.keep_house()
        bench.clock.advance(8 * DAY)
        await bench.keep_house()
        await check(bench, people.values())
        kinds = {name for name, _ in bench.log.events}
        assert {"post", "bounce", "notice", "probe", "owner-mail", "answer", "left"} <= kinds
    assert not found_in((caplog.text + "".join(capfd.readouterr())).encode(), people.values())


@pytest.mark.asyncio
async def test_a_moderated_list_that_bans_names_nobody(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        house = House(bench)
        await house.found(Policy(post=PostRight.MODERATED, welcome=True))
        people = house.people.values()
        for by in (None, "alice", "carol", "dave", "erin"):
            assert (await house.post(by)).positive
        await bench.keep_house()
        await check(bench, people)
        waiting = await house.held()
        for number in waiting:
            decision = Decision.ACCEPT if number == waiting[0] else Decision.REJECT
            assert (await house.decide(number, decision))[0] == 201
        await house.set(banned=(house.people["erin"].udf, house.people["dave"].udf))
        for by in ("carol", "erin"):
            await house.post(by)
            assert not found_in(str(await house.ask(GetKey(group_id=TEAM), by)).encode(), people)
        bench.clock.advance(DAY)
        await bench.keep_house()
        told = {each.recipient for each in bench.courier.sent if not each.return_path}
        assert house.people["carol"].address in told  # that a post was rejected
        await check(bench, people)
