"""The home: who may read it, what is never overwritten, and words when it can't be used."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from recrypt_client import paths
from recrypt_client.errors import Trouble
from recrypt_client.files import replace_file
from recrypt_client.home import Home
from tests.client.stage import TEAM, Stage


def modes(folder: Path) -> dict[bool, set[int]]:
    """Give the modes of all folders (True) and files (False) in a folder, itself included."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for path in (folder, *folder.rglob("*")):
        found[path.is_dir()].add(stat.S_IMODE(path.stat().st_mode))
    return found


def test_only_the_owner_may_read_what_is_in_a_home(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "read", stdin=stage.copy(stage.sealed(), "bob"))
    for who in ("alice", "bob"):
        assert modes(stage.home(who)) == {True: {0o700}, False: {0o600}}


def test_private_keys_are_jwks_named_by_fingerprint(stage: Stage) -> None:
    stage.team()
    files = sorted(stage.home("alice").glob("keys/*.jwk"))
    assert len(files) == 6  # master, online, device; the group's master, online and a
    for file in files:
        jwk = json.loads(file.read_bytes())
        assert jwk["kid"] == file.stem
        assert "d" in jwk


def test_a_profile_is_not_overwritten(stage: Stage) -> None:
    stage.person("alice")
    before = (stage.home("alice") / "profile.json").read_bytes()
    words = stage.fails("alice", "profile", "create", "other@example.org")
    assert "a profile is there already" in words
    assert (stage.home("alice") / "profile.json").read_bytes() == before


def test_a_profiles_address_has_its_domain_in_lower_case(stage: Stage) -> None:
    stage.does("alice", "profile", "create", "Alice@Example.ORG")
    assert stage.keys("alice").profile().profile.accounts == ("Alice@example.org",)


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_file(file, b"first", mode=0o600)
    replace_file(file, b"second", mode=0o600)
    with pytest.raises(FileExistsError):
        replace_file(file, b"third", mode=0o600, new=True)
    assert file.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [file]


def test_a_home_that_is_a_file_is_told_in_one_line(stage: Stage) -> None:
    stage.home("alice").write_bytes(b"")
    words = stage.fails("alice", "members", TEAM)
    assert "Not a directory" in words
    assert "--home" in words


def test_a_key_file_that_is_a_folder_is_told_in_one_line(stage: Stage) -> None:
    stage.team()
    key = next(stage.home("alice").glob("groups/*.json"))
    key.unlink()
    key.mkdir()
    assert "Is a directory" in stage.fails("alice", "members", TEAM)


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"a":1,"a":2}', b"\xff", b"{}"])
def test_a_broken_file_in_the_home_is_told_in_one_line(stage: Stage, octets: bytes) -> None:
    stage.team()
    for name in ("profile.json", f"groups/{TEAM}.json"):
        file = stage.home("alice") / name
        before = file.read_bytes()
        file.write_bytes(octets)
        assert name in stage.fails("alice", "members", TEAM)
        file.write_bytes(before)


def test_a_home_without_a_profile_says_how_to_make_one(stage: Stage) -> None:
    assert "recrypt profile create" in stage.fails("nobody", "profile", "show")


def test_starting_loads_nothing_for_the_network_that_a_command_may_not_need() -> None:
    program = "import sys, recrypt_client.cli; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    loaded = {each.split(b".")[0] for each in run.stdout.split()}
    assert b"recrypt_client" in loaded
    assert not loaded & {b"dns", b"httpx2", b"rich"}


def test_the_home_is_chosen_by_option_then_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECRYPT_HOME", str(tmp_path / "environment"))
    assert paths.home_folder(None) == tmp_path / "environment"
    assert paths.home_folder(str(tmp_path / "option")) == tmp_path / "option"
    monkeypatch.delenv("RECRYPT_HOME")
    assert paths.home_folder(None).name == "recrypt"


@pytest.mark.parametrize(
    "name", ["../x@y", "a/b@c.example", ".@lists.example", "team", "team@", "a@b\n", "é@b.example"]
)
def test_no_name_from_outside_leads_out_of_the_home(name: str, tmp_path: Path) -> None:
    with pytest.raises(Trouble):
        Home(tmp_path).pin(name)


def test_any_address_of_an_author_has_a_file_name() -> None:
    for address in ("../../x", "a" * 5000, "\ud800", ""):
        assert len(paths.contact_file(address)) < 100
