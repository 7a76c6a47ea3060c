"""An export says what groups and people are known as: so it has to come from who the profile is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as but

from recrypt_client.exporting import Export, KnownProfile, gather, write_export
from recrypt_core.documents import Head, sign_profile
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.signature_keys import SignatureCurve, SignaturePrivateKey
from tests.client.stage import CHEAP, TEAM, Stage

WORDS = "password of the file"


def contents(home: Path) -> dict[str, bytes]:
    """Read all files of a home, but for the lock."""
    files = (path for path in home.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def imports(stage: Stage, who: str, export: Export) -> tuple[str, ...]:
    """Write an export; give the command that takes it."""
    (stage.folder / "words").write_text(WORDS)
    file = stage.folder / "export"
    file.write_bytes(write_export(export, WORDS, cost=CHEAP, now=stage.now))
    option = f"--export-passphrase-file={stage.folder / 'words'}"
    return (who, "profile", "import", str(file), option)


def poisoned(stage: Stage) -> Export:
    """Give what somebody may write who has nothing but Alice's public profile."""
    pin = stage.keys("alice").pin(TEAM)
    assert pin is not None
    evil = but(pin, generation=10**12, head=Head(10**12, "A" * 43), service="https://evil.example")
    bob = stage.keys("bob").profile().identifier
    seen = KnownProfile(identifier=bob, updated=stage.now + timedelta(days=36500))
    return Export(stage.keys("alice").profile(), (), (evil,), (), (seen,), ())


def no_key(_stage: Stage, _export: Export) -> tuple[()]:
    return ()


def strangers(_stage: Stage, _export: Export) -> tuple[SignaturePrivateKey, PrivateKey]:
    signature = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    return signature, PrivateKey.generate(Curve.X25519)


def only_the_groups(stage: Stage, _export: Export) -> tuple[SignaturePrivateKey, ...]:
    """Any administrator of a group has its online key."""
    assert stage.service.state is not None
    master = stage.service.state.master.profile
    keys = (stage.keys("alice").signature_key(key.udf) for key in master.online_signature_keys)
    return tuple(key for key in keys if key is not None)


@pytest.mark.parametrize("keys", [no_key, strangers, only_the_groups])
@pytest.mark.parametrize("to", ["alice", "laptop"])
def test_a_file_without_a_key_of_its_profile_is_refused_and_nothing_is_written(
    stage: Stage, to: str, keys: Callable[[Stage, Export], tuple[SignaturePrivateKey, ...]]
) -> None:
    stage.team("bob")
    export = poisoned(stage)
    before = contents(stage.home(to))
    words = stage.fails(*imports(stage, to, replace(export, keys=keys(stage, export))))
    assert "no private key that signs for its own profile" in words
    assert contents(stage.home(to)) == before
    stage.does("alice", "members", TEAM)


def test_a_key_that_the_newer_profile_has_withdrawn_counts_for_nothing(stage: Stage) -> None:
    """The thief of a device that was revoked has its keys, and the profile of that time."""
    stage.team("bob")
    home = stage.keys("alice")
    old, stolen = home.profile(), home.signing_key(home.profile())
    master = home.signature_key(old.identifier)
    assert master is not None
    fresh = SignaturePrivateKey.generate(SignatureCurve.ED25519)
    home.keep_key(fresh)
    later = but(old.profile, online_signature_keys=(fresh.public,), updated=stage.now)
    home.keep_profile(sign_profile(but(later, updated=stage.now), master), new=False)
    export = replace(poisoned(stage), profile=old, keys=(stolen,))
    before = contents(stage.home("alice"))
    assert "a key that was withdrawn" in stage.fails(*imports(stage, "alice", export))
    assert contents(stage.home("alice")) == before


def test_a_file_of_another_device_of_the_profile_is_taken(stage: Stage) -> None:
    """It has no master key, and needn't."""
    stage.team()
    export = gather(stage.keys("alice"))
    master = export.profile.identifier
    some = tuple(key for key in export.keys if key.public.udf != master)
    assert len(some) == len(export.keys) - 1
    stage.does(*imports(stage, "laptop", replace(export, keys=some)))
    stage.does("laptop", "members", TEAM)
