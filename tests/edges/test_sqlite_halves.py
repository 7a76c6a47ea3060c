"""Halves of entries: kept while their rows are the same, and no more than there is room for."""

import pytest

from listserver.edges import sqlite_halves
from listserver.edges.sqlite_halves import Halves, seal_half
from listserver.model import Half
from listserver.vault import Vault
from recrypt_core.errors import NotAuthentic
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import new_membership, new_person
from tests.stored import half_of

VAULT = Vault(bytes(32))


def new_half() -> Half:
    """Make a half of Bob's."""
    return half_of(new_membership(new_person("bob@example.org"), PrivateKey.generate(Curve.X25519)))


def test_a_half_is_read_once_while_its_row_is_the_same() -> None:
    halves = Halves(VAULT)
    row = seal_half(VAULT, new_half(), b"bob")
    first = halves.read(row, b"bob", stays=0)
    assert halves.read(row, b"bob", stays=0) is first
    halves.clear()
    again = halves.read(row, b"bob", stays=0)
    assert again is not first
    assert again.member_key == first.member_key


def test_a_row_that_has_changed_is_read_anew_and_so_is_how_often_one_stayed() -> None:
    halves = Halves(VAULT)
    first, second = (new_half() for _ in range(2))
    halves.read(seal_half(VAULT, first, b"bob"), b"bob", stays=0)
    row = seal_half(VAULT, second, b"bob")
    assert halves.read(row, b"bob", stays=0).member_key == second.member_key
    assert halves.read(row, b"bob", stays=1).stays == 1
    assert halves.read(row, b"bob", stays=1).stays == 1
    with pytest.raises(NotAuthentic):
        halves.read(row[:-1] + bytes([row[-1] ^ 1]), b"bob", stays=1)
    with pytest.raises(NotAuthentic):
        halves.read(row, b"carol", stays=1)


def test_rows_of_so_many_octets_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {name: seal_half(VAULT, new_half(), name) for name in (b"alice", b"bob", b"carol")}
    room = max(len(row) for row in rows.values()) * 2 + 100
    monkeypatch.setattr(sqlite_halves, "HALVES_OCTETS", room)
    halves = Halves(VAULT)
    for _ in range(2):
        first = {name: halves.read(row, name, stays=0) for name, row in rows.items()}
        again = {name: halves.read(row, name, stays=0) for name, row in rows.items()}
        assert [name for name in rows if again[name] is first[name]] == [b"alice", b"bob"]
        other = seal_half(VAULT, new_half(), b"bob")  # has room in the place of the first
        assert halves.read(other, b"bob", stays=0) is halves.read(other, b"bob", stays=0)
        halves.clear()
