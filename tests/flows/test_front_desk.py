"""Mail to a list's desk: what is answered, to whom, how often; joining and leaving by it."""

import json
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message

import pytest

from listserver import limits, replies
from listserver.addresses import ListAddress, Role
from listserver.limits import ANSWERS_PER_ADDRESS, JOIN_LETTERS
from listserver.ports import Outgoing
from recrypt_core.documents import (
    JoinAnswer,
    sign_join,
    verified_group_key,
    verified_master,
)
from recrypt_core.encoding import JsonValue, write_json
from recrypt_core.messages import (
    GetJoinRequests,
    GetJoinRequestsResponse,
    GetKeyResponse,
    read_response,
)
from recrypt_core.signing import Jws
from tests.builders import TEAM, Person, new_person
from tests.fakes import Bench
from tests.returned import BOB, Trio, new_trio, post, sent_to, words_of

ZOE = "zoe@example.org"
ASKED = ("Message-ID: <1@example.org>", "From: Mallory <mallory@example.org>", "Subject: S3cret")


def letter(*fields: str, body: bytes = b"please help\r\n") -> bytes:
    """Write a mail."""
    return "".join(f"{each}\r\n" for each in (*ASKED, *fields)).encode() + b"\r\n" + body


def with_file(
    document: Jws, *, kind: str = 'application/json; name="p.json"', **beside: JsonValue
) -> bytes:
    """Write a mail with a signed document attached."""
    file = write_json(document.json() | beside).decode()
    body = (
        f"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: {kind}\r\n\r\n"
        f"{file}\r\n--b--\r\n"
    )
    return letter("Content-Type: multipart/mixed; boundary=b", body=body.encode())


async def handed_in(
    bench: Bench, role: Role, raw: bytes, *, token: str | None = None, sender: str = ZOE
) -> list[Outgoing]:
    """Send a mail to the desk; give what is mailed because of it."""
    bench.courier.sent.clear()
    to = ListAddress("team@lists.example", role, token)
    assert await bench.receiving.recipient(to) == replies.RECIPIENT_OK
    assert await bench.receiving.receive(raw, to, sender=sender) == replies.ACCEPTED
    await bench.keep_house()
    return [*bench.courier.sent]


def read(mail: Outgoing) -> Message:
    """Read what was mailed."""
    return message_from_bytes(b"".join(mail.parts))


TOPICS = [
    (Role.REQUEST, "team: help"),
    (Role.KEY, "team: the list's key"),
    (Role.SUBSCRIBE, "team: to be a member"),
    (Role.UNSUBSCRIBE, "team: to leave"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("role", "subject"), TOPICS)
async def test_each_address_is_answered_to_the_envelopes_sender_with_nothing_of_what_came(
    bench: Bench, role: Role, subject: str
) -> None:
    trio = await new_trio(bench)
    (sent,) = await handed_in(bench, role, letter("Reply-To: carol@example.org"))
    answer = read(sent)
    assert (sent.recipient, sent.return_path) == (ZOE, "")
    assert (answer["To"], answer["Subject"]) == (ZOE, subject)
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["In-Reply-To"] == answer["References"] == "<1@example.org>"
    octets = b"".join(sent.parts)
    assert octets.isascii()
    assert not any(word in octets for word in (b"S3cret", b"please", b"mallory", b"carol@"))
    assert trio.team.group.master.udf.encode() in octets or role is Role.KEY


@pytest.mark.asyncio
@pytest.mark.parametrize(("role", "_subject"), TOPICS)
@pytest.mark.parametrize(
    ("field", "sender"),
    [
        ("Auto-Submitted: auto-replied", ZOE),
        ("Precedence: bulk", ZOE),
        ("List-Id: <x.example>", ZOE),
        ("X-One: 1", ""),
        ("X-One: 1", "postmaster@example.org"),
        ("X-One: 1", TEAM),
        ("X-One: 1", "team-key@lists.example"),
        ("X-One: 1", "abuse@lists.example"),
    ],
)
async def test_what_may_not_be_answered_is_taken_and_dropped(
    bench: Bench, role: Role, _subject: str, field: str, sender: str
) -> None:
    await new_trio(bench)
    assert await handed_in(bench, role, letter(field), sender=sender) == []
    assert await bench.count("letters") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("raw", [b"\r\n", b"no header\r\n\r\n", b"A: b\r\n", b""])
async def test_what_is_no_mail_is_taken_and_never_an_error(bench: Bench, raw: bytes) -> None:
    await new_trio(bench)
    for role in (Role.REQUEST, Role.KEY, Role.SUBSCRIBE, Role.CONFIRM, Role.UNSUBSCRIBE):
        await handed_in(bench, role, raw)


@pytest.mark.asyncio
async def test_a_mail_over_its_bound_is_refused_at_each_of_them(bench: Bench) -> None:
    await new_trio(bench)
    raw = letter().ljust(limits.LETTER_OCTETS + 1, b"x")
    for role in (Role.REQUEST, Role.SUBSCRIBE, Role.CONFIRM, Role.OWNER):
        said = await bench.receiving.receive(
            raw, ListAddress("team@lists.example", role), sender=ZOE
        )
        assert said == replies.too_large(limits.LETTER_OCTETS)


@pytest.mark.asyncio
async def test_the_keys_file_verifies_from_the_fingerprint_on(bench: Bench) -> None:
    trio = await new_trio(bench)
    (sent,) = await handed_in(bench, Role.KEY, letter())
    (part,) = [each for each in read(sent).walk() if each.get_filename() == "team.key.json"]
    assert part.get_content_type() == "application/json"
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    answer = read_response(octets, "GetKey", GetKeyResponse, limit=10**5)
    assert isinstance(answer, GetKeyResponse)
    master = verified_master(answer.master, TEAM)
    assert master.identifier == trio.team.group.master.udf
    assert verified_group_key(answer.signed_key, master).udf == trio.team.key.public.udf


@pytest.mark.asyncio
async def test_an_address_gets_a_few_answers_a_day_whatever_it_asks_and_others_get_theirs(
    bench: Bench,
) -> None:
    await new_trio(bench)
    roles: Sequence[Role] = [role for role, _ in TOPICS] * 3
    got = [len(await handed_in(bench, role, letter(), sender=ZOE.title())) for role in roles]
    assert sum(got) == ANSWERS_PER_ADDRESS
    assert len(await handed_in(bench, Role.KEY, letter(), sender=BOB)) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("bound", ["ANSWERS_PER_LIST", "ANSWERS_PER_SOURCE"])
async def test_a_list_and_a_domain_have_a_bound_of_their_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    await new_trio(bench)
    monkeypatch.setattr(f"listserver.answering.{bound}", 2)
    senders = [f"{name}@example.org" for name in "abcd"]
    got = [len(await handed_in(bench, Role.KEY, letter(), sender=each)) for each in senders]
    assert got == [1, 1, 0, 0]
    other = await handed_in(bench, Role.KEY, letter(), sender="e@other.example")
    assert len(other) == (1 if bound == "ANSWERS_PER_SOURCE" else 0)


# --- joining


async def token_of(bench: Bench, person: Person, **given: str) -> str:
    """Ask in by mail; take the token out of the letter."""
    await handed_in(bench, Role.SUBSCRIBE, with_file(person.signed), **given)
    (came,) = sent_to(bench, person.address)
    return words_of(came, person).partition("Token: ")[2].split()[0]


def answer_of(trio: Trio, person: Person, token: str) -> Jws:
    """Sign what brings a token back."""
    stated = JoinAnswer(
        group_identifier=trio.team.group.master.udf,
        token=token,
        account_name=person.address,
        identifier=person.udf,
    )
    return sign_join(stated, person.online)


async def waiting(bench: Bench, trio: Trio) -> list[str]:
    """Let Alice see who waits."""
    answer = await bench.ask(GetJoinRequests(group_id=TEAM), trio.alice)
    assert isinstance(answer, GetJoinRequestsResponse)
    return [each.account_name for each in answer.join_requests]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/jose+json", 'application/octet-stream; name="Bob.JSON"'],
)
async def test_who_mails_a_profile_gets_the_token_at_its_address_and_its_answer_counts(
    bench: Bench, kind: str
) -> None:
    trio = await new_trio(bench)
    dave = new_person("dave@example.org")
    sent = await handed_in(bench, Role.SUBSCRIBE, with_file(dave.signed, kind=kind))
    assert [each.recipient for each in sent] == [dave.address]
    token = words_of(sent[0], dave).partition("Token: ")[2].split()[0]
    raw = with_file(answer_of(trio, dave, token))
    assert await handed_in(bench, Role.CONFIRM, raw, token=token, sender="") == []
    assert await waiting(bench, trio) == [dave.address]


@pytest.mark.asyncio
async def test_the_proof_of_an_invitation_beside_a_profile_is_handed_on_unread(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    dave, proof = new_person("dave@example.org"), "A" * 43
    sent = await handed_in(bench, Role.SUBSCRIBE, with_file(dave.signed, invitation=proof))
    token = words_of(sent[0], dave).partition("Token: ")[2].split()[0]
    await handed_in(bench, Role.CONFIRM, with_file(answer_of(trio, dave, token)), token=token)
    answer = await bench.ask(GetJoinRequests(group_id=TEAM), trio.alice)
    assert isinstance(answer, GetJoinRequestsResponse)
    assert [each.invitation for each in answer.join_requests] == [proof]
    for wrong in ("A" * 42, 1, None):
        (told,) = await handed_in(bench, Role.SUBSCRIBE, with_file(dave.signed, invitation=wrong))
        assert read(told)["Subject"] == "team: to be a member"


@pytest.mark.asyncio
async def test_an_answer_may_be_the_text_of_the_mail(bench: Bench) -> None:
    trio = await new_trio(bench)
    dave = new_person("dave@example.org")
    token = await token_of(bench, dave)
    text = b"\r\n" + write_json(answer_of(trio, dave, token).json()) + b"\r\n\r\n"
    await handed_in(bench, Role.CONFIRM, letter(body=text), token=token)
    assert await waiting(bench, trio) == [dave.address]


@pytest.mark.asyncio
async def test_an_answer_to_another_token_or_by_another_key_comes_to_nothing_without_a_word(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    dave, mallory = new_person("dave@example.org"), new_person("dave@example.org")
    token = await token_of(bench, dave)
    good, forged = (answer_of(trio, each, token) for each in (dave, mallory))
    for document, address in ((good, "a" * 26), (good, None), (forged, token)):
        raw = with_file(document)
        assert await handed_in(bench, Role.CONFIRM, raw, token=address) == []
    assert await handed_in(bench, Role.CONFIRM, letter(), token=token) == []
    assert await waiting(bench, trio) == []


@pytest.mark.asyncio
async def test_a_profile_that_is_none_is_answered_with_how_to_join(bench: Bench) -> None:
    await new_trio(bench)
    dave = new_person("dave@example.org")
    forged = Jws(payload=dave.signed.payload, protected=dave.signed.protected, signature="A" * 86)
    (sent,) = await handed_in(bench, Role.SUBSCRIBE, with_file(forged))
    assert (sent.recipient, read(sent)["Subject"]) == (ZOE, "team: to be a member")
    assert b"team-key@lists.example" in b"".join(sent.parts)


@pytest.mark.asyncio
async def test_an_automatic_mail_with_a_profile_is_dropped(bench: Bench) -> None:
    await new_trio(bench)
    raw = with_file(new_person("dave@example.org").signed)
    assert await handed_in(bench, Role.SUBSCRIBE, b"Auto-Submitted: auto-replied\r\n" + raw) == []
    assert await handed_in(bench, Role.SUBSCRIBE, raw, sender="") == []


@pytest.mark.asyncio
async def test_an_address_gets_no_more_letters_by_mail_than_by_the_service(bench: Bench) -> None:
    await new_trio(bench)
    raw = with_file(new_person("dave@example.org").signed)
    senders = [f"{name}@example.org" for name in "abcde"]
    got = [len(await handed_in(bench, Role.SUBSCRIBE, raw, sender=each)) for each in senders]
    assert sum(got) == JOIN_LETTERS


@pytest.mark.asyncio
async def test_a_sender_asks_ten_times_a_day_and_hears_no_other_word_then(bench: Bench) -> None:
    await new_trio(bench)
    people = [new_person(f"{name}@example.org") for name in "abcdefghijklm"]
    got = [len(await handed_in(bench, Role.SUBSCRIBE, with_file(one.signed))) for one in people]
    assert got == [1] * limits.JOINS_PER_SIGNER + [0] * 3


@pytest.mark.asyncio
async def test_member_and_stranger_who_ask_in_by_mail_are_treated_alike(bench: Bench) -> None:
    trio = await new_trio(bench)
    events = []
    for person in (trio.bob, trio.carol, new_person("dave@example.org")):
        bench.log.events.clear()
        sent = await handed_in(
            bench, Role.SUBSCRIBE, with_file(person.signed), sender=person.address
        )
        (came,) = sent
        words = words_of(came, person)
        token = words.partition("Token: ")[2].split()[0]
        raw = with_file(answer_of(trio, person, token))
        assert await handed_in(bench, Role.CONFIRM, raw, token=token) == []
        words = words.replace(person.address, "ADDRESS").replace(token, "TOKEN")
        events.append((words, came.return_path, str(bench.log.events)))
    assert events[0] == events[1] == events[2]


@pytest.mark.asyncio
@pytest.mark.parametrize("role", [Role.SUBSCRIBE, Role.CONFIRM, Role.REQUEST, Role.OWNER])
async def test_a_mail_of_member_and_stranger_costs_the_same_statements(
    bench: Bench, role: Role
) -> None:
    trio = await new_trio(bench)
    people = (trio.alice, trio.bob, new_person("dave@example.org"))
    raws = [with_file(person.signed) for person in people]
    if role is Role.CONFIRM:
        tokens = [await token_of(bench, person) for person in people]
        raws = [with_file(answer_of(trio, *each)) for each in zip(people, tokens, strict=True)]
    else:
        tokens = [""] * len(people)
    shapes = []
    for person, raw, token in zip(people, raws, tokens, strict=True):
        to = ListAddress("team@lists.example", role, token or None)
        with bench.statements() as statements:
            said = await bench.receiving.receive(raw, to, sender=person.address)
        assert said == replies.ACCEPTED
        shapes.append(statements)
    assert shapes[0] == shapes[1] == shapes[2]
    assert any(each.startswith(("INSERT", "UPDATE")) for each in shapes[0])


@pytest.mark.asyncio
async def test_nothing_in_the_log_names_anybody(bench: Bench) -> None:
    await new_trio(bench)
    for role, _ in TOPICS:
        await handed_in(bench, role, with_file(new_person("dave@example.org").signed))
    assert "example" not in json.dumps(bench.log.events)
    assert ZOE.encode() not in bench.octets_on_disk()


# --- leaving


@pytest.mark.asyncio
async def test_a_token_at_the_address_to_leave_by_leaves_whatever_the_mail_says(
    bench: Bench,
) -> None:
    trio = await new_trio(bench)
    await post(bench, trio.team)
    token = b"".join(sent_to(bench, BOB)[-1].parts).split(b"/u/")[1][:26]
    raw = b"Auto-Submitted: auto-generated\r\n\r\n"
    (sent,) = await handed_in(bench, Role.UNSUBSCRIBE, raw, token=token.decode(), sender="")
    assert sent.recipient == BOB
    assert "you are leaving" in words_of(sent, trio.bob)


@pytest.mark.asyncio
@pytest.mark.parametrize("token", ["a" * 26, "x", "0" * 40])
async def test_any_other_token_there_is_taken_in_the_same_words(bench: Bench, token: str) -> None:
    await new_trio(bench)
    assert await handed_in(bench, Role.UNSUBSCRIBE, letter(), token=token) == []
