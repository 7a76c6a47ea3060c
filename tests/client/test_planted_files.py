"""In a home under a passphrase, what somebody else has written in the clear counts for nothing."""

import json
from pathlib import Path

import pytest

from recrypt_client.files import Folder
from recrypt_client.home import Home
from recrypt_client.keyring import Keyring
from recrypt_client.rekeying import Rekey
from recrypt_core.encoding import write_json
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.wire import to_json
from tests.client.stage import CHEAP, TEAM, URL, Stage

WORDS = "correct horse battery"
OTHER = "other@lists.example"


@pytest.fixture
def sealed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Let Alice, who has a passphrase, have a team with Bob."""
    file = stage.folder / "words"
    file.write_text(f"{WORDS}\n", "utf-8")
    monkeypatch.setenv("RECRYPT_PASSPHRASE_FILE", str(file))
    stage.team("bob")
    return stage


def opened(root: Path) -> Home:
    return Home(root, lambda _what: WORDS)


def planted(stage: Stage) -> PrivateKey:
    """Write a private key into Alice's home, in the clear."""
    key = PrivateKey.generate(Curve.X25519)
    file = stage.home("alice") / "keys" / f"{key.public.udf}.jwk"
    file.write_bytes(write_json(key.to_secret_jwk()))
    return key


def cut_off(root: Path) -> None:
    """Take a passphrase away, but for the last step."""

    class Cut(Folder):
        def drop(self, name: str) -> None:
            raise KeyboardInterrupt(name)

    with pytest.raises(KeyboardInterrupt):
        Keyring(Cut(root), lambda _what: WORDS).unseal()


def test_a_planted_private_key_stops_every_command_that_needs_keys(sealed: Stage) -> None:
    key = planted(sealed)
    for command in (("members", TEAM), ("rekey", TEAM), ("profile", "export", "-")):
        words = sealed.fails("alice", *command)
        assert f"{key.public.udf}.jwk: NOT SEALED" in words
        assert "Move it out of the home" in words
    file = sealed.home("alice") / "keys" / f"{key.public.udf}.jwk"
    assert json.loads(file.read_bytes())["kid"] == key.public.udf  # as it was found
    file.rename(sealed.folder / "evidence")
    sealed.does("alice", "members", TEAM)


def test_a_key_that_was_replaced_by_a_plain_one_is_not_read(sealed: Stage) -> None:
    home = opened(sealed.home("alice"))
    (device,) = home.device_keys()
    file = sealed.home("alice") / "keys" / f"{device.public.udf}.jwk"
    file.write_bytes(write_json(device.to_secret_jwk()))
    assert "NOT SEALED" in sealed.fails("alice", "decrypt", "-", stdin=b"{}")


def test_a_planted_rekey_is_not_gone_on_with(sealed: Stage) -> None:
    """The next key is one that its author knows too."""
    assert sealed.service.state is not None
    before = sealed.service.state.key.udf
    evil = PrivateKey.generate(Curve.X25519)
    opened(sealed.home("alice")).keep_key(evil)
    rekey = Rekey(previous_udf=before, next_udf=evil.public.udf)
    file = sealed.home("alice") / "groups" / f"{TEAM}.rekey"
    file.write_bytes(write_json(to_json(rekey)))
    assert f"{TEAM}.rekey: NOT SEALED" in sealed.fails("alice", "rekey", TEAM)
    assert sealed.service.state.key.udf == before


def test_a_rekey_under_way_is_sealed_and_goes_on(sealed: Stage) -> None:
    def down() -> None:
        raise KeyboardInterrupt

    sealed.service.before = down
    assert sealed.run("alice", "rekey", TEAM).exit_code != 0
    file = sealed.home("alice") / "groups" / f"{TEAM}.rekey"
    assert set(json.loads(file.read_bytes())) == {"recrypt-sealed", "iv", "ciphertext", "tag"}
    sealed.does("alice", "rekey", TEAM)
    assert not file.exists()


def test_a_planted_group_is_not_created(sealed: Stage) -> None:
    """Its private keys would be known to who wrote it."""
    sealed.person("mallory")
    sealed.run("mallory", "create", OTHER, "--service", "http://127.0.0.1:1")
    body = opened(sealed.home("mallory")).pending(OTHER)
    assert body is not None
    (sealed.home("alice") / "groups" / f"{OTHER}.pending").write_bytes(body)
    count = len(sealed.service.asked)
    assert "NOT SEALED" in sealed.fails("alice", "create", OTHER, "--service", URL)
    assert len(sealed.service.asked) == count


def test_the_word_that_a_home_is_being_sealed_cannot_be_forged(sealed: Stage) -> None:
    """What a command that seals has left unfinished is sealed by the next: so it must be ours."""
    planted(sealed)
    other = Home(sealed.folder / "other")
    other.secrets.seal(WORDS, CHEAP)
    cut_off(other.root)
    sign = (other.root / "unfinished.json").read_bytes()
    for octets in (sign, b"{}", b"", sign.replace(b"iv", b"vi")):
        (sealed.home("alice") / "unfinished.json").write_bytes(octets)
        assert sealed.run("alice", "members", TEAM).exit_code == 1


def test_what_was_cut_off_is_finished_with_the_keys_as_they_were(sealed: Stage) -> None:
    root = sealed.home("alice")
    cut_off(root)
    files = [*root.glob("keys/*.jwk")]
    assert [file for file in files if b'"d"' in file.read_bytes()] == files
    sealed.does("alice", "members", TEAM)
    assert not [file for file in files if b'"d"' in file.read_bytes()]
    assert not (root / "unfinished.json").exists()
