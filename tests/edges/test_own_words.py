"""The operator's own words: read from their folder, and each fault told with its file."""

import re
from pathlib import Path

import pytest

from listserver.catalogue import Catalogue
from listserver.edges.own_words import read_own_words
from recrypt_core.errors import Malformed

DOMAINS = ("lists.example", "news.example")


def put(folder: Path, name: str, text: str | bytes) -> None:
    """Write a file."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def read(folder: Path | None) -> Catalogue:
    """Read them."""
    return read_own_words(folder, domain="lists.example", domains=DOMAINS)


def test_own_words_are_a_lists_by_its_name_or_its_address(tmp_path: Path) -> None:
    put(tmp_path, "team/probe.txt", "\ufeffHello\r\n\r\nGrüße\r\n\r\n")
    put(tmp_path, "talk@news.example/page-join.txt", "Come in\n")
    put(tmp_path, ".git/config", "x")
    assert read(tmp_path).own == {
        "team@lists.example": {"probe": "Hello\n\nGrüße\n"},
        "talk@news.example": {"page-join": "Come in"},
    }


def test_without_a_folder_the_texts_are_the_built_in_ones() -> None:
    assert read(None) == Catalogue()


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("team/prob.txt", "x", "team/prob.txt, there is no text of this name"),
        ("team/probe.txt", "a\n\n{who}", "team/probe.txt, line 3: {who} isn't known here"),
        ("team/probe.txt", b"a\n\n\xff", "team/probe.txt isn't UTF-8"),
        ("team/probe.md", "x", "team/probe.md: its name must end in .txt"),
        ("Te am/probe.txt", "x", "Te am: not the name of a list"),
        ("team@other.example/probe.txt", "x", "team@other.example: no list can be at this domain"),
        ("team/probe.txt/x", "x", "team/probe.txt can't be read"),
        ("probe", "x", "can't be read"),
    ],
)
def test_a_fault_is_told_with_its_file(
    tmp_path: Path, file: str, text: str | bytes, problem: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    put(tmp_path, file, text)
    with pytest.raises(Malformed, match=re.escape(problem)):
        read(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="the folder can't be read"):
        read(tmp_path / "nowhere")
