"""The main job: posts reach hidden members, each reads them, and nobody else can."""

import base64
import json
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from pathlib import Path

import pytest
from joserfc import jwe
from joserfc.jwk import OKPKey

from tests.end_to_end.network import LOCALHOST, MailHost, Tap
from tests.end_to_end.programs import DOMAIN, PATIENCE, ListServer, Person, listserver, new_person

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/post_with_any_jose_library.py"
TEAM = f"team@{DOMAIN}"
NAMES = ("alice", "bob", "carol", "dave")
MEMBERS = NAMES[:3]
SUBJECT = "Meeting at the lighthouse"
WORDS = "We meet on Friday at the lighthouse behind the old mill."
STOCK_WORDS = "These words were sealed by a library that never heard of recryption."
OTHER_WORDS = "And these by another one, in the compact hand of a third program."
SENT = (WORDS, STOCK_WORDS, OTHER_WORDS)


@dataclass(frozen=True)
class Stage:
    """All that took part, when the job is done."""

    server: ListServer
    people: dict[str, Person]
    copies: dict[str, list[bytes]]
    wire: bytes


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Do the whole job, with a tap on each connection: to the service, to the door, to the host."""
    folder = tmp_path_factory.mktemp("job")
    service, door, out, host = Tap(), Tap(), Tap(), MailHost()
    with ExitStack() as stack:
        for each in (host, out, door, service):
            stack.callback(each.stop)
        host.start()
        server = ListServer(folder / "server", url=service.url, relay_port=out.port)
        stack.callback(server.stop)
        server.set(f'127.0.0.1:{service.port}"\n\n[relay]', '127.0.0.1:0"\n\n[relay]')
        server.start()
        service.target, door.target, out.target = server.service_port, server.smtp_port, host.port
        with ThreadPoolExecutor() as pool:
            addresses = [f"{name}@example.org" for name in NAMES]
            people = dict(zip(NAMES, pool.map(partial(new_person, folder), addresses), strict=True))
        found_list(server, people)
        post_three_times(people["bob"], server.url, door.port)
        host.wait_for(len(SENT) * len(MEMBERS))
        server.stop()
        copies = {
            name: [mail.content for mail in host.mails if mail.recipient == person.address]
            for name, person in people.items()
        }
        yield Stage(server, people, copies, bytes(service.heard + door.heard + out.heard))


def found_list(server: ListServer, people: Mapping[str, Person]) -> None:
    """Make the list, add three, remove one of them."""
    alice, dave = people["alice"], people["dave"]
    done = listserver("authorize", alice.profile, "--config", server.config)
    assert done.returncode == 0, done.stderr
    alice.recrypt("create", TEAM, "--service", server.url)
    alice.recrypt("add", TEAM, *(people[name].profile for name in ("bob", "carol", "dave")))
    alice.recrypt("delete", TEAM, dave.address)


def post_three_times(bob: Person, url: str, port: int) -> None:
    """Post with `recrypt seal`, with the example, and with another JOSE library."""
    key_file = bob.folder / "key.json"
    bob.recrypt("key", TEAM, "--service", url, "--out", key_file)
    send(port, bob.sealed(TEAM, WORDS, subject=SUBJECT))
    example = subprocess.run(
        [sys.executable, EXAMPLE, key_file, TEAM, f"{LOCALHOST}:{port}"],
        input=STOCK_WORDS,
        text=True,
        timeout=PATIENCE,
        check=False,
        capture_output=True,
    )
    assert example.returncode == 0, example.stderr
    send(port, sealed_by_joserfc(json.loads(key_file.read_text())))


def sealed_by_joserfc(key: dict[str, str]) -> bytes:
    """Make a post whose envelope another library has written."""
    envelope = jwe.GeneralJSONEncryption({"enc": "A256GCM"}, OTHER_WORDS.encode())
    header = {"alg": "ECDH-ES+A256KW", "kid": key["kid"]}
    envelope.add_recipient(header, OKPKey.import_key({**key}))
    sealed = json.dumps(jwe.encrypt_json(envelope, None))
    post = EmailMessage(SMTP)
    post["From"], post["To"] = "erin@example.org", TEAM
    post.set_content(sealed.encode(), "application", "jose+json")
    return post.as_bytes()


def send(port: int, post: bytes) -> None:
    with smtplib.SMTP(LOCALHOST, port) as smtp:
        smtp.sendmail("bob@example.org", [TEAM], post)


@pytest.mark.parametrize("name", MEMBERS)
def test_each_member_reads_each_post(stage: Stage, name: str) -> None:
    read = [stage.people[name].recrypt("read", stdin=copy) for copy in stage.copies[name]]
    assert len(read) == len(SENT)
    for words in SENT:
        assert len([entity for entity in read if words.encode() in entity]) == 1


def test_a_reader_is_told_who_signed_and_what_was_not_signed(stage: Stage) -> None:
    for copy in stage.copies["carol"]:
        done = stage.people["carol"].try_recrypt("read", stdin=copy)
        is_bobs = SUBJECT.encode() in done.stdout
        assert (b"not signed" in done.stderr) != is_bobs
        assert (b"signed by bob@example.org" in done.stderr) == is_bobs


def test_a_removed_member_gets_nothing_and_reads_nobody_elses_copy(stage: Stage) -> None:
    assert stage.copies["dave"] == []
    tried = stage.people["dave"].try_recrypt("read", stdin=stage.copies["bob"][0])
    assert tried.returncode == 1
    assert tried.stdout == b""


def test_a_member_cannot_read_another_members_copy(stage: Stage) -> None:
    tried = stage.people["bob"].try_recrypt("read", stdin=stage.copies["carol"][0])
    assert tried.returncode == 1
    assert tried.stdout == b""


def test_no_copy_names_another_member(stage: Stage) -> None:
    for name in MEMBERS:
        for copy in stage.copies[name]:
            others = [person for other, person in stage.people.items() if other != name]
            assert not [each.address for each in others if each.address.encode() in copy]


def test_the_plaintext_is_nowhere_on_the_way(stage: Stage) -> None:
    files = [file for file in stage.server.folder.rglob("*") if file.is_file()]
    assert stage.server.folder / "store.db" in files
    seen = {str(file): file.read_bytes() for file in files}
    seen |= {"wire": stage.wire, "log": stage.server.logs.encode()}
    seen |= {f"mailbox of {name}": b"".join(each) for name, each in stage.copies.items()}
    traces = [trace for words in (*SENT, SUBJECT) for trace in traces_of(words)]
    assert [where for where, octets in seen.items() if holds(octets, traces)] == []


@pytest.mark.parametrize("encode", [bytes, base64.b64encode, base64.encodebytes])
def test_the_search_finds_what_is_there(encode: Callable[[bytes], bytes]) -> None:
    for words in SENT:
        for at in range(60):
            assert holds(encode(b"-" * at + words.encode()), traces_of(words))


def test_the_store_and_the_log_name_nobody(stage: Stage) -> None:
    store = (stage.server.folder / "store.db").read_bytes()
    for person in stage.people.values():
        assert person.address.encode() not in store
        assert person.address not in stage.server.logs


def traces_of(words: str) -> list[bytes]:
    """Give what is left of words in clear and in base64, wherever they begin in a line."""
    octets = words.encode()
    shifted = [base64.b64encode(octets[shift:])[:24] for shift in range(3)]
    return [octets[:18], *shifted]


def holds(octets: bytes, traces: list[bytes]) -> bool:
    """Look for traces, also across line ends."""
    joined = octets.replace(b"\r", b"").replace(b"\n", b"")
    return any(trace in joined for trace in traces)
