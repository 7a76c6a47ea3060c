"""The vault: what is sealed opens in its place alone, and names tell only equal from unequal."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver.vault import BLOCK_OCTETS, KEY_OCTETS, Vault, new_key_line, read_key_line
from recrypt_core.encoding import write_b64url
from recrypt_core.errors import Malformed, NotAuthentic

KEY = bytes(range(KEY_OCTETS))
LINE = write_b64url(KEY).encode() + b"\n"
VAULT = Vault(KEY)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, row: bytes) -> None:
    sealed = VAULT.seal("posts", plaintext, row=row)
    assert VAULT.unseal("posts", sealed, row=row) == plaintext
    assert len(plaintext) < 4 or plaintext not in sealed


def test_one_row_is_never_sealed_to_the_same_octets_twice() -> None:
    assert len({VAULT.seal("posts", b"x") for _ in range(50)}) == 50


def test_a_row_that_was_moved_or_sealed_under_another_key_is_refused() -> None:
    sealed = VAULT.seal("entries", b"r", row=b"alice")
    for vault, table, row in (
        (VAULT, "entries", b"bob"),
        (VAULT, "entries", b""),
        (VAULT, "members", b"alice"),
        (Vault(KEY[::-1]), "entries", b"alice"),
    ):
        with pytest.raises(NotAuthentic):
            vault.unseal(table, sealed, row=row)


def test_a_row_with_any_octet_changed_or_missing_is_refused() -> None:
    sealed = VAULT.seal("entries", b"r" * 5, row=b"alice")
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))
    ]
    for hostile in [*changed, *(sealed[:at] for at in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(NotAuthentic):
            VAULT.unseal("entries", hostile, row=b"alice")


def test_names_are_equal_for_equal_parts_alone() -> None:
    assert VAULT.name("list", "a", "b") == Vault(KEY).name("list", "a", "b")
    names = [
        VAULT.name("list", "a", "b"),
        VAULT.name("list", "ab"),
        VAULT.name("list", "a", "b", ""),
        VAULT.name("list", "a"),
        VAULT.name("lista", "b"),
        VAULT.name("group", "a", "b"),
        VAULT.name("list", "\u00e4"),
        Vault(KEY[::-1]).name("list", "a", "b"),
    ]
    assert all(one != other for one, other in itertools.combinations(names, 2))
    assert {len(name) for name in names} == {32}


@given(st.binary(min_size=BLOCK_OCTETS, max_size=BLOCK_OCTETS))
def test_a_block_is_enciphered_and_back(block: bytes) -> None:
    there = VAULT.encipher(block)
    assert VAULT.decipher(there) == block
    assert len(there) == BLOCK_OCTETS
    assert there != block


def test_a_new_key_file_is_one_line_and_is_read_back() -> None:
    line = new_key_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) == 44
    sealed = read_key_line(line).seal("posts", b"x")
    assert read_key_line(line.rstrip(b"\n")).unseal("posts", sealed) == b"x"
    assert new_key_line() != line


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        LINE[1:],
        LINE * 2,
        LINE + b"\n",
        b" " + LINE,
        write_b64url(KEY).encode() + b"=\n",
        write_b64url(KEY).encode() + b"\r\n",
        b"\xff" * 43,
        LINE + b"naming \n",
        LINE + b"naming " + LINE[1:],
        LINE + b"naming " + LINE + b"\n",
        LINE + b"naming " + LINE + LINE,
        LINE + b"naming: " + LINE,
        b"naming " + LINE,
        b"naming " + LINE + LINE,
    ],
)
def test_another_key_file_is_refused_without_quoting_it(line: bytes) -> None:
    with pytest.raises(Malformed, match="doesn't hold one line with a key") as refusal:
        read_key_line(line)
    assert refusal.value.__cause__ is None


def test_a_successor_gives_the_same_names_and_opens_nothing_of_before() -> None:
    old = VAULT
    for _ in range(2):  # also of one that has two lines already
        lines = old.successor()
        assert lines.count(b"\n") == 2
        assert lines != old.successor()
        new = read_key_line(lines)
        assert new.name("list", "a") == VAULT.name("list", "a")
        with pytest.raises(NotAuthentic):
            new.unseal("posts", old.seal("posts", b"x"))
        with pytest.raises(NotAuthentic):
            old.unseal("posts", new.seal("posts", b"x"))
        block = bytes(BLOCK_OCTETS)
        assert new.decipher(old.encipher(block)) != block
        old = new


@pytest.mark.parametrize("octets", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(octets: int) -> None:
    for key, naming in ((bytes(octets), None), (KEY, bytes(octets))):
        with pytest.raises(Malformed, match="32 octets"):
            Vault(key, naming=naming)


def test_a_vault_prints_nothing_of_its_key() -> None:
    shown = repr(VAULT) + str(VAULT)
    assert not any(form in shown for form in (repr(KEY)[2:10], KEY.hex(), write_b64url(KEY)))
