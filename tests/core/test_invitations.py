"""Invitations: their token, and the proof that who asks in had one (spec §6, Inviting)."""

import pytest

from recrypt_core import limits
from recrypt_core.encoding import write_b64url
from recrypt_core.errors import Malformed
from recrypt_core.invitations import (
    URI,
    Invitation,
    Invited,
    is_token,
    new_secret,
    proof,
    proves,
    read_token,
    words,
    write_token,
)
from recrypt_core.udf import Udf
from tests.builders import TEAM, URL, new_person

BOB = "bob@example.org"
UDF = new_person(BOB).udf
SECRET = bytes(range(32))
INVITATION = Invitation(TEAM, URL, UDF, SECRET)


def test_a_token_is_one_line_and_says_what_was_written() -> None:
    token = write_token(INVITATION)
    assert token.isascii()
    assert token.isprintable()
    assert len(token) <= limits.INVITATION_LETTERS
    assert read_token(token) == read_token(URI + token) == INVITATION
    assert is_token(token)
    assert is_token(URI + token)
    assert not is_token("letter.eml")


def test_the_longest_names_fit_and_the_line_is_short_enough_for_mail() -> None:
    name = f"{'l' * 25}@{'d' * 60}.{'d' * 60}.{'d' * 60}.example"
    long = Invitation(name, f"https://{name.partition('@')[2]}:8443", UDF, SECRET)
    token = write_token(long)
    assert read_token(token) == long
    assert max(map(len, words(name, token, BOB))) <= 998


@pytest.mark.parametrize(
    "text",
    ["", "recrypt:join/", "e30", "a" * 961, "{}", write_b64url(b'{"InvitationVersion":2}')],
    ids=["nothing", "a URI alone", "an empty object", "too long", "JSON", "another version"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        read_token(text)


def test_a_proof_is_for_one_secret_profile_and_address() -> None:
    stated = proof(SECRET, UDF, BOB)
    assert proves(stated, SECRET, UDF, BOB)
    other = new_person(BOB).udf
    assert not proves(stated, new_secret(), UDF, BOB)
    assert not proves(stated, SECRET, other, BOB)
    assert not proves(stated, SECRET, UDF, "carol@example.org")


def test_a_proof_is_what_the_specification_says() -> None:
    """HMAC-SHA256, as another program computes it: `openssl dgst -mac HMAC`."""
    udf = Udf("MBWMZ-A7GMP-KQDZI-6YLJF-G3EWC-JTTSN")
    assert proof(SECRET, udf, BOB) == "BVJpzdLb5R10odV4Od19-f76ZTjH8MBgLyCBqxoefGg"


def test_secrets_are_in_no_repr() -> None:
    token = write_token(INVITATION)
    assert "x00" not in repr(INVITATION)
    assert token not in repr(Invited(account_name=BOB, token=token))
