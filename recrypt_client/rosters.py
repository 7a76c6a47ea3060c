"""Files of members: CSV with a head, and what Mailman 3 writes; each line by its number. Pure."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final

from recrypt_client.errors import Trouble
from recrypt_core.errors import Malformed
from recrypt_core.mailboxes import folded, parse_address

ADDRESS: Final = "address"
PROFILE: Final = "profile"
OCTETS: Final = 64 * 2**20  # of a file; ours
# A spreadsheet takes a cell that begins so for a formula, and anybody may have such an address.
_FORMULA: Final = ("=", "+", "-", "@", "'")
# `Bob <bob@example.org>`, `bob@example.org (Bob)`, `"bob@example.org"` and the address alone.
_MAILBOX = re.compile(
    r"""[^<>]*<(?P<inner>[^<>\s]+)>|"?(?P<alone>[^<>\s"()]+)"?(?:\s+\([^()]*\))?"""
)


@dataclass(frozen=True, slots=True)
class Row:
    """One person: an address, and perhaps the name of a file with a SignedProfile."""

    line: int
    address: str
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """The rows of a file, and what is wrong with the others, a line of words each."""

    rows: tuple[Row, ...]
    wrong: tuple[str, ...]


def read_csv(octets: bytes) -> Roster:
    """Read a CSV file (RFC 4180) whose head names `address` and may name `profile`.

    Other columns, such as a name, are passed over.

    Raises:
        Trouble: if it has no such head.
    """
    reader = csv.reader(StringIO(_text(octets), newline=""), strict=True)
    try:
        heads = [each.strip().lower() for each in next(reader, [])]
        if heads.count(ADDRESS) != 1 or heads.count(PROFILE) > 1:
            raise Trouble(
                "the first line doesn't name the column `address`",
                "Begin the file with the line address,name,profile; or is it Mailman's: --mailman?",
            )
        where = (heads.index(ADDRESS), heads.index(PROFILE) if PROFILE in heads else None)
        cells = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as problem:
        raise Trouble(f"line {reader.line_num}: {problem}", "Save it as CSV again") from problem
    return _roster((line, *_cells(row, where)) for line, row in cells)


def read_mailman(octets: bytes) -> Roster:
    """Read what `mailman members` or Postorius' CSV export gives: an address or a mailbox a line.

    A name in it is passed over: profiles have none.
    """
    lines = enumerate(_text(octets).splitlines(), start=1)
    return _roster(
        (line, text.strip(), None) for line, text in lines if text.strip() and line_says(text)
    )


def line_says(text: str) -> bool:
    """Tell whether a line of Mailman's is about a member: not one that only names a column."""
    return text.strip().strip('"').lower() not in ("email", "address")


def write_csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Write a CSV file that spreadsheets take for nothing but text."""
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8")


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Trouble("it isn't text in UTF-8", "Save it so") from problem


def _cells(row: Sequence[str], where: tuple[int, int | None]) -> tuple[str, str | None]:
    address, profile = ("" if at is None or at >= len(row) else row[at].strip() for at in where)
    if address[:1] == "'" and address[1:2] in _FORMULA:
        address = address[1:]
    return address, profile or None


def _roster(found: Iterable[tuple[int, str, str | None]]) -> Roster:
    """Check the addresses, and that each stands there once."""
    lines, rows, wrong = dict[str, int](), list[Row](), list[str]()
    for line, text, profile in found:
        try:
            address = _address(text)
        except Malformed as problem:
            wrong.append(f"line {line}: {problem}")
            continue
        first = lines.setdefault(folded(address), line)
        if first != line:
            wrong.append(f"line {line}: the address of line {first} again")
        else:
            rows.append(Row(line, address, profile))
    return Roster(tuple(rows), tuple(wrong))


def _address(text: str) -> str:
    """Read an address, alone or beside a name; the module `email` would join the parts of any."""
    found = _MAILBOX.fullmatch(text.strip())
    if found is None:
        raise Malformed("one address is to stand there")
    return str(parse_address(found["inner"] or found["alone"]))


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def in_lines(results: Iterable[tuple[Row, str]]) -> Iterator[str]:
    """Tell what came of each row, by its line."""
    for row, what in sorted(results, key=lambda each: each[0].line):
        yield f"line {row.line}: {row.address} {what}"
