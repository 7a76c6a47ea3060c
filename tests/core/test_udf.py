"""Fingerprints: exact on the wire, forgiving towards hands (spec §2)."""

import pytest

from recrypt_core.errors import Malformed
from recrypt_core.udf import fingerprint, read_udf, typed_matches

UDF = fingerprint("text/plain", b"UDF Data Value")
BARE = UDF.replace("-", "")


def test_a_fingerprint_is_six_groups_of_five_that_begin_with_m() -> None:
    assert [len(group) for group in UDF.split("-")] == [5] * 6
    assert UDF.startswith("M")
    assert read_udf(UDF) == UDF


def test_it_depends_on_the_content_type_and_the_data() -> None:
    assert fingerprint("text/html", b"UDF Data Value") != UDF
    assert fingerprint("text/plain", b"UDF Data value") != UDF


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        UDF.lower(),
        UDF[:-1],
        UDF + "A",
        UDF + "-AAAAA",
        UDF + "\n",
        " " + UDF,
        UDF.replace("-", " "),
        UDF.replace("-", "\u2010"),
        "N" + UDF[1:],
        UDF[:-1] + "1",
        "-".join(BARE[at : at + 4] for at in range(0, 28, 4)),
        "",
    ],
)
def test_another_form_is_refused_on_the_wire(text: str) -> None:
    with pytest.raises(Malformed):
        read_udf(text)


@pytest.mark.parametrize(
    "typed",
    [
        UDF,
        BARE,
        UDF.lower(),
        BARE[:25],
        BARE[:27].title(),
        " ".join(BARE),
        "-".join(BARE[at : at + 4] for at in range(0, 30, 4)),
        f"  {UDF[:17]}\n{UDF[17:]} ",
        BARE[:25] + "-",
    ],
)
def test_what_a_person_types_may_be_grouped_cut_and_in_either_case(typed: str) -> None:
    assert typed_matches(typed, UDF)
    assert not typed_matches(typed, fingerprint("text/plain", b"another"))


def test_one_wrong_letter_names_another_key() -> None:
    for at in range(1, 30):
        wrong = "A" if BARE[at] != "A" else "B"
        assert not typed_matches(BARE[:at] + wrong + BARE[at + 1 :], UDF)


@pytest.mark.parametrize("typed", ["", "M", BARE[:24], BARE + "A", "N" + BARE[1:], BARE[:29] + "8"])
def test_too_short_too_long_or_no_fingerprint_at_all_is_said(typed: str) -> None:
    with pytest.raises(Malformed, match="not a fingerprint"):
        typed_matches(typed, UDF)
