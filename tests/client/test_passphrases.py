"""Private keys sealed under a passphrase: what is sealed, who is asked, and when it changes."""

import json
import os
import pty
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recrypt_client.errors import Trouble
from recrypt_client.home import Home
from recrypt_core.udf import Udf
from tests.client.stage import CHEAP, TEAM, URL, Stage

OLD = "correct horse battery"
NEW = "staple of the horse"


@pytest.fixture
def sealed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Let everybody on a stage have a passphrase, in a file that the environment names."""
    monkeypatch.setenv("RECRYPT_PASSPHRASE_FILE", written(stage, OLD))
    return stage


def written(stage: Stage, words: str) -> str:
    """Write a passphrase to a file; give its name."""
    file = stage.folder / words.replace(" ", "-")
    file.write_text(f"{words}\n", "utf-8")
    return str(file)


def contents(home: Path) -> dict[str, bytes]:
    """Read all files of a home."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def opened(root: Path, passphrase: str, names: list[Udf]) -> list[object]:
    """Open private keys with a passphrase, if one is asked for."""
    home = Home(root, lambda _what: passphrase)
    return [home.secret_jwk(udf) for udf in names]


def test_a_passphrase_seals_all_private_keys_and_everything_goes_on(sealed: Stage) -> None:
    sealed.team("bob")
    for who in ("alice", "bob"):
        files = contents(sealed.home(who))
        keys = [name for name in files if name.startswith("keys/")]
        assert len(keys) >= 3
        assert all(set(json.loads(files[name])) == SEALED for name in keys)
        assert not [name for name, octets in files.items() if b'"d":' in octets]
    copy = sealed.copy(sealed.sealed(), "bob")
    assert b"At one?" in sealed.does("bob", "read", stdin=copy)
    assert sealed.asked == []


SEALED = {"recrypt-sealed", "iv", "ciphertext", "tag"}


def test_a_group_that_is_not_answered_yet_is_sealed_with_its_halves(sealed: Stage) -> None:
    sealed.person("alice")
    assert sealed.run("alice", "create", TEAM, "--service", "http://127.0.0.1:1").exit_code == 1
    pending = contents(sealed.home("alice"))[f"groups/{TEAM}.pending"]
    assert set(json.loads(pending)) == SEALED
    sealed.does("alice", "create", TEAM, "--service", URL)


def test_what_is_not_secret_stays_readable_without_a_passphrase(
    sealed: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.team()
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE")
    sealed.does("alice", "profile", "show")
    sealed.does("alice", "key", TEAM)
    sealed.does("alice", "encrypt", "-", "--to", TEAM, stdin=b"hello")
    assert sealed.asked == []


def test_without_a_terminal_nothing_is_asked_and_the_error_says_what_to_give(
    sealed: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.team()
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE")
    words = sealed.fails("alice", "members", TEAM)
    assert "sealed under a passphrase" in words
    assert "--passphrase-file FILE or RECRYPT_PASSPHRASE_FILE" in words
    assert sealed.does("alice", "--passphrase-file", written(sealed, OLD), "members", TEAM)


def test_a_command_asks_once_on_a_terminal_whatever_number_of_keys_it_opens(
    sealed: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.team("bob")
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE")
    sealed.types = lambda _words: OLD
    sealed.does("alice", "suspend", TEAM, "bob@example.org")
    assert sealed.asked == [f"Passphrase of {sealed.home('alice')}"]


def test_nobody_holds_the_home_while_a_person_types(
    sealed: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.team()
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE")

    def types(_words: str) -> str:
        with sealed.keys("alice").alone(lambda: None):
            return OLD

    sealed.types = types
    sealed.does("alice", "members", TEAM)


@pytest.mark.parametrize("words", ["correct horse", "Correct horse battery", "x"])
def test_a_wrong_passphrase_is_one_clear_line(sealed: Stage, words: str) -> None:
    sealed.team()
    for command in (("members", TEAM), ("profile", "passphrase", "--remove")):
        told = sealed.fails("alice", *command, "--passphrase-file", written(sealed, words))
        assert "the passphrase is wrong" in told
        assert words not in told


@pytest.mark.parametrize("octets", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe", b"x" * 1025])
def test_a_file_that_is_not_one_line_holds_no_passphrase(sealed: Stage, octets: bytes) -> None:
    sealed.person("alice")
    file = sealed.folder / "odd"
    file.write_bytes(octets)
    assert str(file) in sealed.fails("alice", "members", TEAM, "--passphrase-file", str(file))
    missing = str(sealed.folder / "missing")
    assert missing in sealed.fails("alice", "members", TEAM, "--passphrase-file", missing)


def test_the_line_end_of_the_file_is_no_part_of_the_passphrase(sealed: Stage) -> None:
    sealed.team()
    for end in (b"", b"\n", b"\r\n"):
        file = sealed.folder / "ended"
        file.write_bytes(OLD.encode() + end)
        sealed.does("alice", "members", TEAM, "--passphrase-file", str(file))


def test_a_new_profile_is_asked_for_a_passphrase_twice_and_may_have_none(stage: Stage) -> None:
    stage.types = lambda _words: OLD
    stage.does("alice", "profile", "create", "alice@example.org")
    assert stage.asked == ["Passphrase for your private keys (empty: none) twice"]
    assert "passphrase.json" in contents(stage.home("alice"))
    stage.types = lambda _words: ""
    stage.does("bob", "profile", "create", "bob@example.org")
    assert "passphrase.json" not in contents(stage.home("bob"))
    stage.asked.clear()
    stage.does("carol", "profile", "create", "carol@example.org", "--no-passphrase")
    assert stage.asked == []


def test_a_short_passphrase_is_refused_and_nothing_is_made(stage: Stage) -> None:
    stage.types = lambda _words: "1234567"
    words = stage.fails("alice", "profile", "create", "alice@example.org")
    assert "less than 8 letters" in words
    assert not stage.home("alice").exists()


def test_a_profile_that_is_there_is_not_overwritten_nor_sealed(stage: Stage) -> None:
    stage.person("alice")
    before = contents(stage.home("alice"))
    file = written(stage, OLD)
    create = ("profile", "create", "alice@example.org", "--passphrase-file", file)
    assert "a profile is there already" in stage.fails("alice", *create)
    assert contents(stage.home("alice")) == before


def test_a_passphrase_is_set_changed_and_removed(stage: Stage) -> None:
    stage.team()
    plain = {name: b for name, b in contents(stage.home("alice")).items() if "keys/" in name}
    first, second = written(stage, OLD), written(stage, NEW)
    change = ("profile", "passphrase", "--new-passphrase-file")
    assert b"set" in stage.does("alice", *change, first)
    assert not plain.items() & contents(stage.home("alice")).items()
    assert b"changed" in stage.does("alice", *change, second, "--passphrase-file", first)
    assert "wrong" in stage.fails("alice", "members", TEAM, "--passphrase-file", first)
    stage.does("alice", "members", TEAM, "--passphrase-file", second)
    remove = ("profile", "passphrase", "--remove")
    assert b"removed" in stage.does("alice", *remove, "--passphrase-file", second)
    assert plain.items() <= contents(stage.home("alice")).items()
    stage.does("alice", "members", TEAM)
    assert b"not set" in stage.does("alice", *remove)


def test_a_new_passphrase_is_asked_for_after_the_old_one_has_opened(stage: Stage) -> None:
    stage.person("alice")
    stage.asked.clear()
    stage.types = lambda words: NEW if words.startswith("New") else OLD
    stage.does("alice", "profile", "passphrase")
    assert [each.split()[0] for each in stage.asked] == ["New"]
    stage.asked.clear()
    stage.types = lambda _words: NEW
    stage.does("alice", "profile", "passphrase")
    assert [each.split()[0] for each in stage.asked] == ["Passphrase", "New"]


def test_without_a_terminal_a_new_passphrase_needs_a_file(stage: Stage) -> None:
    stage.person("alice")
    assert "--new-passphrase-file FILE" in stage.fails("alice", "profile", "passphrase")
    both = ("--remove", "--new-passphrase-file", written(stage, NEW))
    assert stage.run("alice", "profile", "passphrase", *both).exit_code == 2


def test_a_sealed_file_opens_under_its_own_name_alone(sealed: Stage) -> None:
    sealed.team()
    first, second = sorted(sealed.home("alice").glob("keys/*.jwk"))[:2]
    octets = first.read_bytes()
    second.write_bytes(octets)
    words = sealed.fails("alice", "profile", "export", "-", "--export-passphrase-file", "x")
    assert second.name in words
    assert "sealed under another key, or changed" in words


def test_a_plain_key_is_not_taken_for_another(stage: Stage) -> None:
    stage.team()
    files = sorted(stage.home("alice").glob("keys/*.jwk"))
    octets = [file.read_bytes() for file in files]
    for file, other in zip(files, (*octets[1:], octets[0]), strict=True):
        file.write_bytes(other)
    assert "another private key than its name says" in stage.fails("alice", "members", TEAM)


def test_sealed_keys_whose_home_key_is_gone_are_told_in_one_line(sealed: Stage) -> None:
    sealed.team()
    (sealed.home("alice") / "passphrase.json").unlink()
    assert "passphrase.json is gone" in sealed.fails("alice", "members", TEAM)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recrypt-passphrase", 2),
        ("kdf", None),
        ("alg", "argon2i"),
        ("v", 16),
        ("m", 2**31),
        ("m", 31),
        ("t", 0),
        ("p", 99),
        ("salt", "AAAA"),
        ("iv", "AAAA"),
        ("tag", 7),
    ],
)
def test_a_home_key_of_another_form_is_refused_in_one_line(
    sealed: Stage, name: str, value: object
) -> None:
    sealed.person("alice")
    file = sealed.home("alice") / "passphrase.json"
    stored = json.loads(file.read_bytes())
    stored["kdf"]["p"] = 4
    holder = stored["kdf"] if name in stored["kdf"] else stored
    holder[name] = value
    file.write_text(json.dumps(stored), "utf-8")
    assert "passphrase.json" in sealed.fails("alice", "members", TEAM)


def killed_at(step: int, root: Path, work: Callable[[Home], None]) -> bool:
    """Do something in a process that is killed before its n-th step on a file; tell if it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count(event: str, arguments: tuple[object, ...]) -> None:
            if event in STEPS and str(arguments[0]).startswith(str(root)):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)

        sys.addaudithook(count)
        try:
            home = Home(root, lambda _what: OLD)
            with home.alone():
                work(home)
        except BaseException:  # noqa: BLE001 - the parent asserts on it
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


STEPS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir"}


def set_new(home: Home) -> None:
    home.secrets.seal(NEW, CHEAP)


def remove(home: Home) -> None:
    home.secrets.unseal()


@pytest.mark.parametrize(
    ("before", "work", "after"),
    [(None, set_new, NEW), (OLD, set_new, NEW), (OLD, remove, None)],
    ids=["set", "changed", "removed"],
)
def test_killed_anywhere_one_of_the_two_passphrases_opens_everything(
    stage: Stage, before: str | None, work: Callable[[Home], None], after: str | None
) -> None:
    stage.team()
    home, root = stage.keys("alice"), stage.folder / "killed"
    names = [Udf(path.stem) for path in home.root.glob("keys/*.jwk")]
    keys = [home.secret_jwk(udf) for udf in names]
    home.keep_pending("other@lists.example", b"{}")
    if before is not None:
        home.secrets.seal(before, CHEAP)
    step = 1
    while True:
        shutil.copytree(home.root, root)
        was_killed = killed_at(step, root, work)
        is_sealed = (root / "passphrase.json").exists()
        choices = [each for each in (before, after) if each is not None] if is_sealed else ["none"]
        works = [each for each in choices if can_open(root, each)]
        assert len(works) == 1, (step, choices)
        assert opened(root, works[0], names) == keys
        assert_tidy(root, works[0], is_sealed=is_sealed)
        shutil.rmtree(root)
        if not was_killed:
            break
        step += 1
    assert step > 3
    assert (is_sealed, works) == (after is not None, [after or "none"])


def can_open(root: Path, passphrase: str) -> bool:
    try:
        Home(root, lambda _what: passphrase).secrets.unlock()
    except Trouble:
        return False
    return True


def assert_tidy(root: Path, passphrase: str, *, is_sealed: bool) -> None:
    """Check that the next command leaves nothing in the clear, and that it opens all the same."""
    home = Home(root, lambda _what: passphrase)
    with home.alone():
        home.secrets.tidy()
    files = contents(root)
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in files} == {0o600}
    if is_sealed:
        assert not [name for name, octets in files.items() if b'"d":' in octets]
        assert not [name for name in files if name.endswith(".new") and "/" in name]
    assert home.pending("other@lists.example") == b"{}"


def test_a_person_types_it_on_the_terminal_though_standard_input_is_a_pipe(
    sealed: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.person("alice")
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE")
    out = sealed.folder / "alice.recrypt"
    command = (
        f"{sys.executable} -c 'from recrypt_client.cli import main; main()' "
        f"profile export {out} --home {sealed.home('alice')} "
        f"--export-passphrase-file {written(sealed, NEW)} < /dev/null"
    )
    status, shown = typed_to(command, f"{OLD}\n".encode())
    assert status == 0
    assert b"Passphrase of " in shown
    assert OLD.encode() not in shown
    assert out.exists()


def typed_to(command: str, keys: bytes) -> tuple[int, bytes]:
    """Run a command on a terminal of its own, type keys once it has asked; give what it showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv("/bin/sh", ["sh", "-c", command])  # noqa: S606 - it is one
    shown = b""
    is_typed = False
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # its end, as Linux tells it
            break
        if not piece:
            break
        shown += piece
        if not is_typed and b"assphrase of" in shown and shown.endswith(b": "):
            os.write(terminal, keys)
            is_typed = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown
