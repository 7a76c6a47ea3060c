"""A list that is German: all that is written for it is, by mail and on pages."""

from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header

import httpx2
import pytest
import pytest_asyncio

from listserver.addresses import ListAddress, Role
from listserver.catalogue import Catalogue
from listserver.model import MemberId, PostId
from listserver.notices import Notices
from listserver.outcomes import Phase, Refused
from listserver.tokens import LeaveToken, write_token
from recrypt_core.policy import Language, Policy
from tests.fakes import Bench
from tests.mails import message_of
from tests.returned import ALICE, BOB, Trio, member_row, new_trio, post, sent_to
from tests.returned import letter_in as opened
from tests.sites import HOUSE, client_of, new_site

GERMAN = Policy(language=Language.DE, welcome=True)
ASKED = b"Message-ID: <1@example.org>\r\nFrom: zoe@example.org\r\n\r\nHallo\r\n"


@pytest_asyncio.fixture
async def trio(bench: Bench) -> Trio:
    """Create a German list."""
    return await new_trio(bench, policy=GERMAN)


@pytest_asyncio.fixture
async def web(bench: Bench) -> AsyncIterator[httpx2.AsyncClient]:
    """Browse the pages."""
    async with client_of(new_site(bench)) as client:
        yield client


def subject_of(value: str) -> str:
    return str(make_header(decode_header(value)))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("role", "subject", "words"),
    [
        (Role.REQUEST, "team: Hilfe", "Fingerabdruck:"),
        (Role.KEY, "team: der Schlüssel der Liste", "Der Schlüssel der Liste steht, signiert,"),
        (Role.SUBSCRIBE, "team: Mitglied werden", "Um Mitglied zu werden"),
    ],
)
async def test_the_desk_answers_in_german(
    bench: Bench, trio: Trio, role: Role, subject: str, words: str
) -> None:
    assert trio is not None
    bench.courier.sent.clear()
    to = ListAddress("team@lists.example", role)
    assert (await bench.receiving.receive(ASKED, to, sender="zoe@example.org")).positive
    await bench.keep_house()
    (sent,) = bench.courier.sent
    octets = b"".join(sent.parts)
    answer = message_from_bytes(octets)
    text = answer.get_payload(0) if answer.is_multipart() else answer
    payload = text.get_payload(decode=True)  # type: ignore[union-attr]
    assert octets.isascii()
    assert subject_of(answer["Subject"]) == subject
    assert isinstance(payload, bytes)
    assert words in payload.decode()


@pytest.mark.asyncio
async def test_copies_say_in_german_what_they_are(bench: Bench, trio: Trio) -> None:
    await post(bench, trio.team)
    octets = b"".join(sent_to(bench, BOB)[0].parts)
    text = message_of(octets).get_payload(0).get_payload(decode=True)  # type: ignore[union-attr]
    assert octets.isascii()
    assert isinstance(text, bytes)
    assert "verschlüsselt" in text.decode()
    assert "recrypt read DATEI" in text.decode()


@pytest.mark.asyncio
async def test_letters_are_german_and_the_operators_own_words_come_first(
    bench: Bench, trio: Trio
) -> None:
    own = {"team@lists.example": {"troubles-failed": "Ärger: {count}\n\n{copies}\n"}}
    house = replace(HOUSE, catalogue=Catalogue(own))
    bench.notices = Notices(house, bench.store, bench.clock, bench.log, written=lambda: None)
    bench.courier.script(BOB, Refused(Phase.RCPT, 550, "5.1.1 not here"))
    await post(bench, trio.team)
    await bench.keep_house()
    letters = [opened(each.parts, trio.team.alice) for each in sent_to(bench, ALICE)[1:]]
    (told,) = [each for each in letters if "Ärger" in subject_of(each["Subject"])]
    assert subject_of(told["Subject"]) == "team: Ärger: 1"
    payload = told.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert "bob@example.org: aufgegeben" in payload.decode("utf-8")


@pytest.mark.asyncio
async def test_a_lists_pages_are_german_and_the_start_page_is_the_services(
    bench: Bench, trio: Trio, web: httpx2.AsyncClient
) -> None:
    assert trio is not None
    page = (await web.get("/l/team")).text
    assert '<html lang="de">' in page
    assert "Mitglieder sehen einander nicht" in page
    assert '<html lang="en">' in (await web.get("/")).text
    member = MemberId(await member_row(bench, BOB))
    token = write_token(bench.vault, LeaveToken(PostId(1), member))
    for path, german in ((f"/u/{token}", True), (f"/u/{'a' * 26}", False)):
        asked, done = await web.get(path), await web.post(path)
        assert ("Liste verlassen" in asked.text) is german
        assert ("Sie verlassen die Liste" in done.text) is german


def test_the_house_speaks_english_unless_it_is_told_to() -> None:
    assert HOUSE.language is Language.EN
    assert replace(HOUSE, language=Language.DE).catalogue == Catalogue()
