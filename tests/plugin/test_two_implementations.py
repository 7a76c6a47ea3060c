"""What one implementation seals the other opens: Python's and the extension's."""

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final, cast

import pytest

from listserver import replies
from listserver.edges.clock import SystemClock
from recrypt_client import posts
from recrypt_client.exporting import Export, read_export, write_export
from recrypt_core.authorship import sign_content, split_content, verify_author, verify_sender
from recrypt_core.encoding import JsonValue, write_time
from recrypt_core.envelope import read_envelope
from recrypt_core.keys import Curve
from recrypt_core.opening import open_whole
from recrypt_core.passphrases import Cost
from recrypt_core.sealing import seal
from recrypt_core.signature_keys import SignatureCurve
from tests.builders import NOW, TEAM, Group, Person, new_group, new_membership, new_person
from tests.end_to_end import programs
from tests.fakes import open_bench
from tests.lists import new_list_of
from tests.plugin.mail_program import PLUGIN

NODE: Final = shutil.which("node")
PEER: Final = Path(__file__).with_name("peer.mjs")
WORDS: Final = "Die Schlüssel liegen unter dem dritten Blumentopf.\n"
WORDS_FOR_IT: Final = "bicyclette, café au lait"
ON_EACH_CURVE: Final = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)

pytestmark = [
    pytest.mark.plugin,
    pytest.mark.skipif(NODE is None, reason="not installed: node"),
    pytest.mark.skipif(
        not (PLUGIN / "node_modules").exists(), reason="not installed: plugins/thunderbird"
    ),
]


@ON_EACH_CURVE
@pytest.mark.asyncio
async def test_the_extension_opens_a_relayed_copy(curve: Curve, tmp_path: Path) -> None:
    group = new_group(curve=curve)
    alice = new_person("alice@example.org", signature=SignatureCurve.ED448)
    bob = new_person("bob@example.org", curve=curve, devices=2)
    async with open_bench(tmp_path) as bench:
        await new_list_of(bench, group, alice, new_membership(bob, group.key))
        assert await bench.post(post_of(alice, group)) == replies.ACCEPTED
        await bench.relay_all()
        (copy,) = (each for each in bench.courier.sent if each.recipient == bob.address)
    found = ask("open", home=home_of(bob, group), mail=coded(b"".join(copy.parts)))
    assert found["list"] == TEAM
    message, authorship = found["message"], found["authorship"]
    assert isinstance(message, dict)
    assert isinstance(authorship, dict)
    assert (message["subject"], message["text"]) == ("Blumentöpfe", WORDS)
    assert authorship["state"] == "signed"
    assert authorship["identifier"] == alice.udf
    assert authorship["address"] == alice.address


@ON_EACH_CURVE
def test_python_opens_what_the_extension_seals(curve: Curve) -> None:
    group = new_group(curve=curve)
    bob = new_person("bob@example.org")
    file = {"name": "Pläne.txt", "type": "text/plain", "content": coded(b"dig here\n")}
    message = {
        "from": {"name": "Bob", "address": bob.address}, "subject": "Blumentöpfe", "text": WORDS,
        "html": "<p>Blumentopf</p>", "inReplyTo": "<m.a.b@lists.example>", "attachments": [file],
    }  # fmt: skip
    found = ask("seal", home=home_of(bob, group), list=TEAM, message=message)
    envelope = read_envelope(decoded(found["envelope"]))
    line, entity = split_content(open_whole(envelope, [group.key]))
    assert line is not None
    author = verify_author(line, entity, group=group.master.udf, group_key=group.key.public.udf)
    assert author.profile.identifier == bob.udf
    assert author.message_id == found["messageId"]
    assert envelope.sender is not None
    verify_sender(
        envelope.sender, bob.online.public, list_name=TEAM, cid=envelope.content_id, now=NOW
    )
    read = message_from_bytes(entity, policy=SMTP)
    assert isinstance(read, EmailMessage)
    assert (read["Subject"], read["Message-ID"]) == ("Blumentöpfe", found["messageId"])
    assert read["Content-Type"].params["hp"] == "cipher"
    assert "Subject: [...]" in read.get_all("HP-Outer", [])
    body = read.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == WORDS
    (attached,) = read.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("Pläne.txt", "dig here\n")


def test_each_takes_in_the_others_copy_of_a_profile() -> None:
    bob = new_person("bob@example.org")
    made = Export(bob.verified, (bob.master, bob.online, *bob.devices), (), (), (), ())
    cheap = Cost(memory=64, passes=1, lanes=1)
    file = write_export(made, WORDS_FOR_IT, cost=cheap, now=NOW)
    taken = ask("import", file=coded(file), passphrase=WORDS_FOR_IT)["home"]
    assert isinstance(taken, dict)
    assert taken["Profile"] == bob.signed.json()
    back = decoded(ask("export", home=taken, passphrase=WORDS_FOR_IT)["file"])
    read = read_export(back, WORDS_FOR_IT, what="the file")
    assert read.profile == bob.verified
    assert {key.public.udf for key in read.keys} == {key.public.udf for key in made.keys}


def test_python_adds_a_device_of_the_extensions(tmp_path: Path) -> None:
    bob = programs.new_person(tmp_path, "bob@example.org")
    asked = ask("become")
    request = tmp_path / "request.json"
    request.write_text(json.dumps(asked["request"]))
    bob.recrypt("profile", "devices", "add", request, "--code", str(asked["code"]))
    bob.recrypt("profile", "show", "--out", bob.profile)
    taken = take(asked["home"], bob)
    assert taken["codes"] == codes(bob)
    assert asked["code"] in codes(bob)
    bob.recrypt("profile", "devices", "revoke", str(asked["code"]))
    bob.recrypt("profile", "show", "--out", bob.profile)
    newer = take(taken["home"], bob)
    assert newer["codes"] == codes(bob)
    assert asked["code"] not in codes(bob)


def test_the_extension_adds_a_device_of_pythons(tmp_path: Path) -> None:
    bob = new_person("bob@example.org")
    laptop = programs.Person(bob.address, tmp_path / "laptop")
    laptop.folder.mkdir()
    request = tmp_path / "request.json"
    made = json.loads(laptop.recrypt("profile", "devices", "new", request, "--json"))
    signing = [key.to_secret_jwk() for key in (bob.master, bob.online)]
    devices = [key.to_secret_jwk() for key in bob.devices]
    home: JsonValue = {"Profile": bob.signed.json(), "Keys": [*signing, *devices]}
    added = ask("add", home=home, request=json.loads(request.read_text()))
    assert added["code"] == made["Code"]
    bring(added, laptop)
    assert codes(laptop) == added["codes"]
    bring(ask("revoke", home=added["home"], code=added["code"]), laptop)
    assert codes(laptop) == [
        code for code in cast(list[str], added["codes"]) if code != made["Code"]
    ]


def take(home: object, bob: programs.Person) -> Mapping[str, object]:
    """Have the extension take in the profile that `recrypt` has just signed, now."""
    profile = json.loads(bob.profile.read_text())
    return ask("take", home=home, profile=profile, now=write_time(SystemClock().now()))


def bring(found: Mapping[str, object], laptop: programs.Person) -> None:
    """Bring the profile of the extension's home to a home of Python's."""
    home = found["home"]
    assert isinstance(home, dict)
    laptop.profile.write_text(json.dumps(home["Profile"]))
    laptop.recrypt("profile", "import", laptop.profile)


def codes(person: programs.Person) -> list[str]:
    """Give the codes of somebody's devices, as `recrypt` says them."""
    found = json.loads(person.recrypt("profile", "devices", "--json"))
    return [each["Code"] for each in found["Devices"]]


def post_of(author: Person, group: Group) -> bytes:
    """Make a signed post, as `recrypt seal` does."""
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = author.address, TEAM, "Blumentöpfe"
    message.set_content(WORDS)
    ready = posts.draft(message.as_bytes(), TEAM, author=None, own=None, now=NOW)
    content = sign_content(
        posts.content(ready),
        group=(group.master.udf, group.key.public.udf),
        message_id=ready.message_id,
        signer=(author.verified, author.online),
        now=NOW,
    )
    return posts.post(ready, seal(content, [group.key.public], cty="message/rfc822").mmx())


def home_of(person: Person, group: Group) -> dict[str, JsonValue]:
    """Give somebody's home as the extension keeps it; the service of the list isn't there."""
    signing = [key.to_secret_jwk() for key in (person.master, person.online)]
    devices = [key.to_secret_jwk() for key in person.devices]
    told: JsonValue = {
        "GroupName": TEAM,
        "SignedKey": group.signed_key.signed.json(),
        "Master": group.master.signed.json(),
    }
    pin: JsonValue = {
        "GroupName": TEAM, "Identifier": group.master.udf, "Generation": 1,
        "KeyUDF": group.key.public.udf, "PastKeyUDF": [], "Service": "http://127.0.0.1:1",
        "Since": write_time(NOW),
    }  # fmt: skip
    return {
        "Profile": person.signed.json(),
        "Keys": [*signing, *devices],
        "Pins": [pin],
        "Told": [told],
    }


def ask(what: str, **members: object) -> Mapping[str, object]:
    """Ask the extension's core."""
    asked = json.dumps({"do": what, "now": write_time(NOW), **members})
    done = subprocess.run(
        [NODE or "", "--no-warnings", PEER],
        input=asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def coded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def decoded(text: object) -> bytes:
    assert isinstance(text, str)
    return base64.b64decode(text)
