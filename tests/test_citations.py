"""Each citation of the spec and the drafts names a heading that exists; each section is obeyed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("recrypt_core", "listserver", "recrypt_client", "config", "examples")

# Headings of draft-hallambaker-mesh-recrypt, the text of November 2017 (-03): cited as D§n.
NOVEMBER = (
    "1 2 2.1 2.2 2.4 3 3.1 3.2 3.3 3.4 3.5 3.6 4 4.1 4.2 4.3 4.4 4.5 5 5.1 5.1.1 5.2 5.2.1 5.3 5.4 "
    "5.5 5.6 5.7 5.7.1 5.7.2 5.8 5.8.1 5.8.2 5.9 5.9.1 5.9.2 5.10 5.10.1 5.10.2 5.11 5.11.1 5.11.2 "
    "5.12 6 6.1 6.1.1 6.1.2 6.2 6.2.1 6.2.2 7 8 9"
)
# The text of August 2017 (-02): cited as v02 §n.
AUGUST = (
    "1 2 2.1 2.2 2.3 3 3.1 3.2 3.3 3.4 3.5 3.6 4 4.1 4.1.1 4.2 4.2.1 4.3 4.4 4.4.1 4.4.2 4.4.3 "
    "4.4.4 4.5 4.6 4.7 4.7.1 4.7.2 4.8 4.8.1 4.8.2 4.9 4.9.1 4.9.2 4.10 4.10.1 4.10.2 4.11 5 5.1 "
    "5.1.1 5.1.2 6 7 7.1 7.1.1 7.1.2 7.1.3 7.1.4 8 9 10 10.1 10.2"
)
# Sections of the spec that ask for something, and the file with which each must be obeyed.
OBEYED = dict.fromkeys("1234567", "listserver/app.py") | {
    "8": "recrypt_client/home.py",
    "11": "recrypt_client/cli.py",
}

CITATION = re.compile(r"(?:\b(spec|D|v02|(?:RFC|BCP) \d+) ?)?§(\d+(?:\.\d+)*)")
# What may stand between two sections of one document: "RFC 5321 §4.2.1, §4.5.4.1".
LIST = re.compile(r"(,|;| and| or| to| \+|-)? ?")
LINE_BREAK = re.compile(r"\s*\n\s*(# )?")


def spec_sections() -> set[str]:
    found = set(re.findall(r"^## (\d+)\. ", (ROOT / "docs/spec.md").read_text("utf-8"), re.M))
    assert found, "docs/spec.md has no headings"
    return found


def citations(text: str) -> Iterator[tuple[str, str]]:
    """Give (document, section) of each citation; the document is empty where none is named."""
    text = LINE_BREAK.sub(" ", text)
    document, end = "", 0
    for found in CITATION.finditer(text):
        listed = LIST.fullmatch(text, end, found.start())
        document = found[1] or (document if listed else "")
        end = found.end()
        yield document, found[2]


def source_texts() -> dict[str, str]:
    paths = [
        path
        for folder in SOURCES
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert paths, "no sources: is this the project's own folder?"
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}


@pytest.fixture(scope="module")
def cited() -> list[tuple[str, str, str]]:
    """Give (file, document, section) of every citation in the sources."""
    return [(file, *each) for file, text in source_texts().items() for each in citations(text)]


def test_every_cited_section_exists(cited: list[tuple[str, str, str]]) -> None:
    known = {"spec": spec_sections(), "D": set(NOVEMBER.split()), "v02": set(AUGUST.split())}
    wrong = [
        f"{file}: {document} §{section}"
        for file, document, section in cited
        if section not in known.get(document, {section})
    ]
    assert not wrong


def test_every_citation_names_its_document(cited: list[tuple[str, str, str]]) -> None:
    wrong = [f"{file}: §{section} of what?" for file, document, section in cited if not document]
    assert not wrong


def test_every_section_that_asks_for_something_is_cited_in_code(
    cited: list[tuple[str, str, str]],
) -> None:
    seen = {section for _, document, section in cited if document == "spec"}
    expected = {section for section, file in OBEYED.items() if (ROOT / file).exists()}
    assert not expected - seen


def test_every_page_that_a_source_names_is_in_the_project() -> None:
    named = {
        (file, page)
        for file, text in source_texts().items()
        for page in re.findall(r"[\w./-]*\w\.md\b", text)
    }
    folders = (ROOT, ROOT / "docs")
    wrong = [each for each in sorted(named) if not any((at / each[1]).exists() for at in folders)]
    assert not wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as spec §5 says", [("spec", "5")]),
        ("RFC 5321 §4.2.1, §4.5.4.1", [("RFC 5321", "4.2.1"), ("RFC 5321", "4.5.4.1")]),
        ("(D§3.1; spec §1 to §3)", [("D", "3.1"), ("spec", "1"), ("spec", "3")]),
        ("v02\n    # §4.4.2", [("v02", "4.4.2")]),
        ("spec §1, and elsewhere §2", [("spec", "1"), ("", "2")]),
        ("see §7", [("", "7")]),
    ],
)
def test_a_citation_is_read_as_people_write_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(citations(text)) == expected
