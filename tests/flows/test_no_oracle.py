"""What strangers can ask about anybody: the same words, letters and work, whoever it is about.

Each question is asked once about each of a dozen people who stand differently to a list, by
somebody else than they, of whom nobody has heard. What took the service as long is what asked the
store the same things in the same order.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from listserver.addresses import Role
from recrypt_core.encoding import write_json
from recrypt_core.messages import (
    DenyJoin,
    GetAudit,
    GetChanges,
    GetEntry,
    GetGroup,
    GetJoinRequests,
    JoinGroup,
    Redeliver,
    Request,
    UpdateProfile,
)
from recrypt_core.wishes import Mail, SetMail
from tests.asking import asked
from tests.builders import NOW, TEAM, Person, new_membership, new_person
from tests.mails import mail, sealed
from tests.standings import ENTERED, Standings, open_standings

Question = Callable[[Standings, Person], Awaitable[object]]


def nobody(name: str = "mallory") -> Person:
    """Make somebody of whom nobody has heard."""
    return new_person(f"{name}@example.org")


def disguised(about: Person) -> Person:
    """Make somebody unheard of whose profile claims another's address."""
    return new_person(about.address)


def with_keys_of(about: Person) -> Person:
    """Make somebody unheard of whose profile lists another's keys, as anybody may."""
    theirs = about.verified.profile
    mallory = nobody()
    return mallory.changed(
        online_signature_keys=(mallory.online.public, *theirs.online_signature_keys),
        encryption_keys=theirs.encryption_keys,
        accounts=theirs.accounts,
    )


def plain(about: Person, subject: str = "help") -> bytes:
    """Write a mail that says it is somebody's."""
    return (
        f"From: <{about.address}>\r\nTo: <{TEAM}>\r\nSubject: {subject}\r\n"
        f"Message-ID: <1@example.org>\r\n\r\nHello.\r\n"
    ).encode()


# --- mail


async def posts_in_the_name(house: Standings, about: Person) -> object:
    house.posts += 1
    octets = sealed(house.team.key.public).mmx()
    raw = mail(octets, message_id=f"<{house.posts:04}@example.org>")
    return await house.mail(
        Role.POST, raw.replace(b"bob@example.org", about.address.encode()), sender=about.address
    )


async def posts_in_clear(house: Standings, about: Person) -> object:
    return await house.mail(Role.POST, plain(about), sender=about.address)


def mails_to(role: Role, *, token: str | None = None, subject: str = "help") -> Question:
    async def ask(house: Standings, about: Person) -> object:
        return await house.mail(role, plain(about, subject), sender=about.address, token=token)

    return ask


async def subscribes_by_mail(house: Standings, about: Person) -> object:
    document = write_json(disguised(about).signed.json())
    raw = (
        plain(about).partition(b"\r\n\r\n")[0]
        + b'\r\nMIME-Version: 1.0\r\nContent-Type: application/json; name="profile.json"\r\n\r\n'
        + document
        + b"\r\n"
    )
    return await house.mail(Role.SUBSCRIBE, raw, sender=f"from-{about.address}")


async def says_it_all(house: Standings, about: Person) -> object:
    return await house.dialogue(
        f"VRFY {about.address}",
        f"VRFY {about.address.partition('@')[0]}",
        f"EXPN {TEAM}",
        "EXPN team",
        "HELP",
        f"HELP {about.address}",
        f"MAIL FROM:<{about.address}>",
        f"RCPT TO:<{TEAM}>",
        "RSET",
        f"MAIL FROM:<{about.address}>",
        "RCPT TO:<team-unsubscribe@lists.example>",
        "RSET",
        "MAIL FROM:<mallory@example.org>",
        f"RCPT TO:<{about.address}>",
    )


# --- the service


async def joins_for(house: Standings, about: Person) -> object:
    mallory = disguised(about)
    message = JoinGroup(group_name=TEAM, account_name=about.address, profile=mallory.signed)
    return await house.send(message, mallory)


async def confirms_with_a_guess(house: Standings, about: Person) -> object:
    return await house.confirm(disguised(about), "a" * 26)


async def sends_a_profile(house: Standings, about: Person) -> object:
    mallory = with_keys_of(about)
    return await house.send(UpdateProfile(profile=mallory.signed), mallory)


async def wishes_no_mail(house: Standings, about: Person) -> object:
    mallory = with_keys_of(about)
    message = SetMail(group_name=TEAM, profile=mallory.signed, mail=Mail.LEFT)
    return await house.send(message, mallory)


def asks(message: Callable[[Person], Request]) -> Question:
    async def ask(house: Standings, about: Person) -> object:
        return await house.send(message(about), nobody())

    return ask


async def asks_to_recrypt(house: Standings, about: Person) -> object:
    membership = new_membership(about, house.team.key)
    return await house.send(asked(about, membership, sealed(house.team.key.public)), nobody())


QUESTIONS: Final[dict[str, Question]] = {
    "a post in the name of": posts_in_the_name,
    "a post in clear in the name of": posts_in_clear,
    "-request": mails_to(Role.REQUEST),
    "-key": mails_to(Role.KEY),
    "-owner": mails_to(Role.OWNER),
    "-subscribe without a profile": mails_to(Role.SUBSCRIBE),
    "-subscribe with a profile": subscribes_by_mail,
    "-unsubscribe": mails_to(Role.UNSUBSCRIBE),
    "-unsubscribe with a guess": mails_to(Role.UNSUBSCRIBE, token="b" * 26),
    "-confirm with a guess": mails_to(Role.CONFIRM, token="b" * 26),
    "-confirm without a token": mails_to(Role.CONFIRM),
    "-bounces with a guess": mails_to(Role.BOUNCES, token="b" * 26),
    "VRFY, EXPN, HELP, RCPT": says_it_all,
    "JoinGroup": joins_for,
    "ConfirmJoin": confirms_with_a_guess,
    "UpdateProfile": sends_a_profile,
    "SetMail": wishes_no_mail,
    "GetEntry of": asks(lambda about: GetEntry(group_id=TEAM, member_udf=about.udf)),
    "RecryptData of": asks_to_recrypt,
    "GetGroup after": asks(lambda about: GetGroup(group_id=TEAM, after=about.udf)),
    "GetChanges": asks(lambda _: GetChanges(group_id=TEAM)),
    "GetAudit": asks(lambda _: GetAudit(group_id=TEAM)),
    "GetJoinRequests after": asks(lambda about: GetJoinRequests(group_id=TEAM, after=about.udf)),
    "DenyJoin": asks(lambda about: DenyJoin(group_id=TEAM, recrypt_udf=about.udf)),
    "Redeliver": asks(lambda about: Redeliver(group_id=TEAM, recrypt_udf=about.udf, since=NOW)),
}


async def looks_at_the_link(house: Standings, about: Person) -> object:
    found = await house.bench.leaving.of_token(await house.link(about))
    return found and found.state.name


async def follows_the_link(house: Standings, about: Person) -> object:
    await house.bench.leaving.ask(await house.link(about))
    return "nothing"


async def undoes_by_the_link(house: Standings, about: Person) -> object:
    await house.bench.leaving.undo(await house.link(about))
    return "nothing"


async def mails_by_the_link(house: Standings, about: Person) -> object:
    token = await house.link(about)
    return await house.mail(Role.UNSUBSCRIBE, plain(about), sender="", token=token)


LINKS: Final[dict[str, Question]] = {
    "look": looks_at_the_link,
    "follow": follows_the_link,
    "undo": undoes_by_the_link,
    "mail": mails_by_the_link,
}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Standings]:
    """Give a list, and who stands to it in every way."""
    async with open_standings(tmp_path) as made:
        yield made


@pytest.mark.asyncio
@pytest.mark.parametrize("question", QUESTIONS)
async def test_strangers_hear_the_same_of_everybody(house: Standings, question: str) -> None:
    ask = QUESTIONS[question]
    for name in ("warming", "upagain"):  # so that what is kept in memory is there
        await ask(house, new_person(f"{name}@example.org"))
    await check_alike(house, ask, house.people)


@pytest.mark.asyncio
@pytest.mark.parametrize("question", LINKS)
async def test_who_has_a_copy_of_anothers_learns_nothing_by_its_link(
    house: Standings, question: str
) -> None:
    people = {standing: house.people[standing] for standing in ENTERED}
    await LINKS[question](house, house.team.alice)
    await check_alike(house, LINKS[question], people)


async def check_alike(house: Standings, ask: Question, people: Mapping[str, Person]) -> None:
    """Ask the same about all, and compare what is heard, mailed and looked up."""
    answers, letters, work = dict[str, str](), dict[str, int](), dict[str, list[str]]()
    for standing, person in people.items():
        before = await house.bench.count("letters")
        with house.bench.statements() as work[standing]:
            answers[standing] = str(await ask(house, person)).replace(person.address, "ADDRESS")
        letters[standing] = await house.bench.count("letters") - before
    first = next(iter(people))
    assert set(answers.values()) == {answers[first]}, answers
    assert set(letters.values()) == {letters[first]}, letters
    for standing, steps in work.items():
        assert steps == work[first], standing
