"""A member's copy: the form of spec §7 to the octet, and nothing in it of anybody else."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from listserver import copies
from listserver.model import Half
from recrypt_core.encoding import JsonObject, write_b64url, write_json
from recrypt_core.envelope import Envelope, read_envelope
from recrypt_core.errors import Malformed, NotForThisKey
from recrypt_core.jose import encrypt
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.opening import open_recrypted
from tests.builders import Membership, Person, new_group, new_membership, new_person
from tests.mails import CONTENT, attachment, envelope_of, message_of, sealed, with_head
from tests.stored import copies_of, copy_octets, half_of, product_half, stored_post

CURVES = pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
VECTORS = Path(__file__).parents[1] / "vectors/agreement.json"
PRODUCTS = [v for v in json.loads(VECTORS.read_text("utf-8")) if v["split"] == "product"]


def team(curve: Curve = Curve.X25519) -> tuple[PrivateKey, list[Person], list[Membership]]:
    """Make a group's key and three members with 1, 2 and 8 devices."""
    group = new_group(curve=curve)
    people = [
        new_person(f"{name}@example.org", devices=devices)
        for name, devices in (("alice", 1), ("bob", 2), ("carol", 8))
    ]
    return group.key, people, [new_membership(each, group.key) for each in people]


def line_of(copy: bytes) -> bytes:
    return attachment(copy).partition(b"\n")[0] + b"\n"


def head_of(copy: bytes) -> JsonObject:
    head = json.loads(line_of(copy))
    assert isinstance(head, dict)
    return head


@CURVES
@pytest.mark.parametrize("notice", [True, False])
def test_every_member_and_nobody_else_reads_a_copy(curve: Curve, notice: bool) -> None:
    key, people, memberships = team(curve)
    made = copies_of(sealed(key.public), *map(half_of, memberships), notice=notice)
    for person, copy in zip(people, made, strict=True):
        for device in person.devices:
            assert open_recrypted(envelope_of(copy), [device]) == CONTENT
        for other in people:
            if other is not person:
                with pytest.raises(NotForThisKey):
                    open_recrypted(envelope_of(copy), other.devices)


@pytest.mark.parametrize("vector", PRODUCTS, ids=lambda vector: vector["alg"])
def test_a_member_with_a_product_entry_reads_a_copy(vector: dict[str, JsonObject]) -> None:
    group, r, x = (
        PrivateKey.from_secret_jwk(vector[name]) for name in ("group", "recryption", "decryption")
    )
    alice = new_person("alice@example.org")
    half = product_half(alice, group.public, r, x)
    (copy,) = copies_of(sealed(group.public), half)
    assert open_recrypted(envelope_of(copy), alice.devices) == CONTENT
    assert '"Split":"product"' in line_of(b"".join(copy)).decode()


def test_all_copies_of_a_post_have_one_size_and_lines_that_differ_in_their_own_part_alone() -> None:
    key, _, memberships = team()
    envelope = sealed(key.public, content=bytes(5000))
    made = [b"".join(each) for each in copies_of(envelope, *map(half_of, memberships))]
    assert len({len(copy) for copy in made}) == 1
    lines = [line_of(copy) for copy in made]
    assert {len(line) for line in lines} == {4104}  # eight devices need the second size
    encoded = base64.b64encode(envelope.ciphertext).decode()
    common = "\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    for copy in made:
        assert copy.count(common.encode()) == 1
    rows = [copy.split(b"\r\n") for copy in made]
    different = [at for at, row in enumerate(zip(*rows, strict=True)) if len(set(row)) > 1]
    starts = rows[0].index(b"Content-Transfer-Encoding: base64") + 2
    assert starts <= min(different)
    assert max(different) < starts + 4104 // 57


def test_base64_lines_are_76_characters_long_and_no_line_starts_with_a_dot() -> None:
    key, _, memberships = team()
    for content in (b"", bytes(56), bytes(57), bytes(300_000)):
        (copy,) = copies_of(sealed(key.public, content=content), half_of(memberships[0]))
        whole = b"".join(copy)
        assert whole.endswith(b"\r\n")
        assert not re.search(rb"^\.|\r(?!\n)|(?<!\r)\n|[^ -~\r\n]", whole, re.M)
        assert max(map(len, whole.split(b"\r\n"))) <= 78
        letters = whole.partition(b"base64\r\n\r\n")[2].partition(b"\r\n--")[0].split(b"\r\n")
        assert {len(line) for line in letters[:-1]} == {76}
        assert read_envelope(attachment(whole)).ciphertext == copy_ciphertext(whole)


def copy_ciphertext(copy: bytes) -> bytes:
    return attachment(copy).partition(b"\n")[2]


@pytest.mark.parametrize("own", [0, 1500, 1501, 3000, 20_000])
def test_the_line_has_the_smallest_size_that_fits(own: int) -> None:
    line = b"{" + b"x" * (2052 - 1500 - len(b'{,"recryption":}\n'))
    size = copies.line_octets(line, own)
    needed = len(line) + len(b',"recryption":') + own + len(b"}\n")
    assert size >= needed
    assert size == 2052 or size // 2 < needed
    assert size % 57 == 0
    assert size in {2052 * 2**k for k in range(5)}


def test_the_line_ends_in_spaces_and_a_line_feed_after_its_brace() -> None:
    key, _, memberships = team()
    (copy,) = copies_of(sealed(key.public), half_of(memberships[0]))
    assert re.fullmatch(rb"\{.*\} *\n", line_of(b"".join(copy)))
    assert len(line_of(b"".join(copy))) == 2052


def test_a_line_of_over_64_kib_is_refused() -> None:
    assert copies.line_octets(b"x" * 32_000, 500) == 32_832
    with pytest.raises(Malformed, match="too much beside its ciphertext"):
        copies.line_octets(b"x" * 32_000, 1000)


def test_what_the_sender_put_beside_the_members_of_a_jwe_does_not_pass() -> None:
    key, _, memberships = team()
    stranger = PrivateKey.generate(Curve.X25519)
    envelope = sealed(key.public, stranger.public)
    (mine, other) = [each.json() for each in envelope.recipients]
    assert isinstance(mine["header"], dict)
    assert isinstance(mine["header"]["epk"], dict)
    mine["header"]["epk"] |= {"kid": "TRACK-epk", "use": "TRACK"}
    mine["header"]["x5u"] = "TRACK-header"
    mine["spare"] = "TRACK-recipient"
    octets = with_head(
        envelope,
        aad=write_b64url(b"more"),
        recipients=[mine, other],
        sender="TRACK-sender",
        spare={"a": ["TRACK-member"]},
        unprotected={"jku": "TRACK-unprotected"},
    )
    (copy,) = copies_of(read_envelope(octets), half_of(memberships[0]))
    line = line_of(b"".join(copy)).decode()
    assert "TRACK" not in line
    assert stranger.public.udf not in line
    head = head_of(b"".join(copy))
    assert list(head) == ["protected", "aad", "iv", "tag", "recipients", "recryption"]
    assert isinstance(head["recipients"], list)
    (recipient,) = head["recipients"]
    assert isinstance(recipient, dict)
    assert isinstance(recipient["header"], dict)
    assert set(recipient["header"]) == {"alg", "kid", "epk"}


def test_a_copy_holds_what_recryptdata_would_answer() -> None:
    key, _, memberships = team()
    half = half_of(memberships[1])
    envelope = sealed(key.public)
    (copy,) = copies_of(envelope, half)
    partial = half.recryption.exchange(envelope.recipients[0].epk)
    assert head_of(b"".join(copy))["recryption"] == {
        "GroupKeyID": key.public.udf,
        "MemberKeyUDF": half.member_key,
        "Split": "sum",
        "Partial": write_b64url(partial),
        "DecryptionKey": json.loads(half.decryption_key),
    }


def stock(key: PrivateKey, protected: JsonObject, own: JsonObject) -> Envelope:
    """Seal as a JOSE library may: with the names in any of the headers."""
    made = encrypt(CONTENT, {"enc": "A256GCM", **protected}, [(key.public, own)])
    header, encrypted_key = made.recipients[0]
    whole: JsonObject = {
        "protected": made.protected,
        "iv": write_b64url(made.iv),
        "tag": write_b64url(made.tag),
        "unprotected": {"alg": "ECDH-ES+A256KW"} if "alg" not in protected else {},
        "header": {name: value for name, value in header.items() if name != "alg"},
        "encrypted_key": write_b64url(encrypted_key),
        "ciphertext": write_b64url(made.ciphertext),
    }
    return read_envelope(write_json(whole))


def test_unprotected_is_folded_in_and_what_is_protected_stays_there() -> None:
    key, people, memberships = team()
    kid: JsonObject = {"kid": key.public.udf}
    folded = stock(key, {}, {"alg": "ECDH-ES+A256KW", **kid})
    kept = stock(key, {"alg": "ECDH-ES+A256KW"}, kid)
    for envelope, names in ((folded, {"alg", "kid", "epk"}), (kept, {"kid", "epk"})):
        (copy,) = copies_of(envelope, half_of(memberships[0]))
        head = head_of(b"".join(copy))
        assert isinstance(head["recipients"], list)
        (recipient,) = head["recipients"]
        assert isinstance(recipient, dict)
        assert isinstance(recipient["header"], dict)
        assert set(recipient["header"]) == names
        assert head["protected"] == envelope.protected
        assert open_recrypted(envelope_of(copy), people[0].devices) == CONTENT


@pytest.mark.parametrize("notice", [True, False])
@pytest.mark.parametrize("octets", [0, 1, 55, 56, 57, 58, 1000, 60_000])
def test_the_size_of_a_copy_is_known_before_it_is_made(octets: int, notice: bool) -> None:
    key, _, memberships = team()
    envelope, half = sealed(key.public, content=bytes(octets)), half_of(memberships[0])
    (copy,) = copies_of(envelope, half, notice=notice)
    post = stored_post(envelope, half, notice=notice)
    assert copy_octets(post, envelope) == len(b"".join(copy))


def test_a_stock_mail_program_sees_a_notice_and_one_attachment() -> None:
    key, _, memberships = team()
    (copy,) = copies_of(sealed(key.public), half_of(memberships[0]))
    message = message_of(b"".join(copy))
    assert message.get_content_type() == "multipart/mixed"
    assert message["MIME-Version"] == "1.0"
    assert not message.defects
    _, notice, part = message.walk()
    assert notice.get_content_type() == "text/plain"
    assert "team@lists.example is encrypted" in str(notice.get_payload())
    assert part.get_filename() == "message.mmx"
    assert part["Content-Type"] == 'application/vnd.recrypt; name="message.mmx"'
    assert part["Content-Disposition"] == 'attachment; filename="message.mmx"'


def test_without_a_notice_the_encrypted_part_stands_alone() -> None:
    key, _, memberships = team()
    (copy,) = copies_of(sealed(key.public), half_of(memberships[0]), notice=False)
    message = message_of(b"".join(copy))
    assert message.get_content_type() == "application/vnd.recrypt"
    assert message.get_filename() == "message.mmx"
    assert not message.defects


def test_the_common_parts_are_shared_and_not_copied() -> None:
    key, _, memberships = team()
    one, other, _ = copies_of(sealed(key.public), *map(half_of, memberships))
    assert [a is b for a, b in zip(one, other, strict=True)] == [True, True, False, True, True]


def test_fields_of_one_copy_alone_stand_before_what_all_share() -> None:
    key, _, memberships = team()
    envelope = sealed(key.public)
    post = stored_post(envelope, half_of(memberships[0]))
    frame = copies.make_frame(post, envelope.ciphertext)
    copy = copies.make_copy(frame, half_of(memberships[0]), fields=b"X-Own: 1\r\n")
    assert copy[1] is frame.head
    whole = b"".join(copy)
    assert message_of(whole)["X-Own"] == "1"
    octets = copy_octets(post, envelope, own_octets=len(copy[0]))
    assert octets == len(whole)


def test_a_copy_for_an_entry_that_grew_after_acceptance_is_longer_and_still_right() -> None:
    key, people, memberships = team()
    envelope = sealed(key.public)
    post = stored_post(envelope, half_of(memberships[0]))
    frame = copies.make_frame(post, envelope.ciphertext)
    copy = copies.make_copy(frame, half_of(memberships[2]))
    assert len(line_of(b"".join(copy))) == 2 * post.line_octets
    assert open_recrypted(envelope_of(copy), people[2].devices) == CONTENT


def test_a_half_of_another_curve_makes_no_copy() -> None:
    key, _, memberships = team()
    other = half_of(new_membership(new_person("bob@example.org"), PrivateKey.generate(Curve.X448)))
    envelope = sealed(key.public)
    frame = copies.make_frame(stored_post(envelope, half_of(memberships[0])), envelope.ciphertext)
    with pytest.raises(Malformed, match="two curves"):
        copies.make_copy(frame, other)


def secrets_of(halves: list[Half]) -> Iterator[str]:
    for half in halves:
        octets = half.recryption.to_secret_bytes()
        yield from (octets.hex(), write_b64url(octets), repr(octets)[2:12])


def test_no_repr_and_no_copy_shows_a_secret() -> None:
    key, _, memberships = team()
    halves = [half_of(each) for each in memberships]
    envelope = sealed(key.public)
    post = stored_post(envelope, *halves)
    shown = repr([halves, post, copies.make_frame(post, envelope.ciphertext)])
    for copy in copies_of(envelope, *halves):
        shown += line_of(b"".join(copy)).decode()
    assert not [secret for secret in secrets_of(halves) if secret in shown]


def test_no_copy_names_another_member_or_an_address() -> None:
    key, people, memberships = team()
    halves = [half_of(each) for each in memberships]
    for at, copy in enumerate(copies_of(sealed(key.public), *halves)):
        whole = (b"".join(copy) + attachment(b"".join(copy))).decode("latin-1")
        assert "example.org" not in whole
        for other, half in enumerate(halves):
            assert (half.member_key in whole) == (at == other)
            assert people[other].udf not in whole
            assert people[other].devices[0].public.udf not in whole
