"""One profile on several machines: each has keys of its own, and none of them travels."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as but

from listserver.signers import STRANGER
from recrypt_client.devices import read_request
from recrypt_core.documents import VerifiedProfile, sign_profile
from recrypt_core.keys import Curve, PrivateKey
from recrypt_core.messages import Response
from tests.client.stage import TEAM, URL, Stage

BOB = "bob@example.org"


VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "device-request.json").read_bytes())


def asked(stage: Stage, who: str = "phone") -> tuple[str, str]:
    """Let a new device ask; give the file and the code that it shows."""
    file = str(stage.folder / f"{who}.json")
    value = json.loads(stage.does(who, "profile", "devices", "new", file, "--json"))
    return file, value["Code"]


def brought(stage: Stage, *to: str, by: str = "bob") -> None:
    """Bring somebody's newer profile to other devices."""
    file = str(stage.folder / "newer-profile.json")
    stage.does(by, "profile", "show", "--out", file)
    for each in to:
        stage.does(each, "profile", "import", file)


def with_phone(stage: Stage) -> str:
    """Let Bob, a member of the team, have a phone that is his device too; give its code."""
    stage.team("bob", "carol")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    stage.does("bob", "profile", "devices", "add", file, "--code", code)
    brought(stage, "phone")
    stage.does("phone", "key", TEAM, "--service", URL)
    return code


def profile_at_service(stage: Stage, who: str = "bob") -> VerifiedProfile | None:
    """Give the newer profile that the service has from somebody."""
    identifier = stage.keys(who).profile().identifier
    signed = stage.service.newer.get(identifier)
    home = stage.keys(who).profile()
    return home if signed == home.signed else None


def private_keys(home: Path) -> set[str]:
    return {path.stem for path in home.glob("keys/*.jwk")}


def test_a_new_device_reads_and_writes_with_keys_that_never_travelled(stage: Stage) -> None:
    with_phone(stage)
    stage.does("alice", "refresh", TEAM)
    for who in ("bob", "phone"):
        assert b"At one?" in stage.does(who, "read", stdin=stage.copy(stage.sealed(), "bob"))
    post = stage.sealed(b"From: Bob <bob@example.org>\r\nSubject: x\r\n\r\nYes\r\n", by="phone")
    read = stage.run("carol", "read", stdin=stage.copy(post, "carol"))
    assert "signed by Bob" in read.stderr
    assert not private_keys(stage.home("bob")) & private_keys(stage.home("phone"))
    assert len(private_keys(stage.home("phone"))) == 2


def test_the_service_has_the_newer_profile_at_once(stage: Stage) -> None:
    with_phone(stage)
    assert profile_at_service(stage) is not None
    assert stage.service.state is not None
    before = len(stage.service.changes)
    told = stage.does("alice", "refresh", TEAM).decode()
    assert told == f"{BOB} has a newer profile, and entries for it\n"
    assert len(stage.service.changes) == before + 1


def test_the_devices_are_listed_with_the_code_that_was_compared(stage: Stage) -> None:
    code = with_phone(stage)
    for who, place in (("bob", 0), ("phone", 1)):
        value = json.loads(stage.does(who, "profile", "devices", "--json"))["Devices"]
        assert [each["Here"] for each in value] == [place == 0, place == 1]
        assert value[1]["Code"] == code
        assert stage.does(who, "profile", "devices").decode().count("this one") == 1
    assert len(code) == len("MBWMZ-A7GMP-GFSEZ-I5RRR")


def test_another_request_than_the_new_devices_is_refused(stage: Stage) -> None:
    """Somebody may have swapped the file on its way."""
    stage.person("bob")
    _, code = asked(stage)
    other, _ = asked(stage, "mallory")
    before = stage.keys("bob").profile()
    words = stage.fails("bob", "profile", "devices", "add", other, "--code", code)
    assert "THE REQUEST IS NOT THE NEW DEVICE'S" in words
    assert stage.keys("bob").profile() == before


def test_a_person_is_asked_to_compare_the_codes(stage: Stage) -> None:
    stage.person("bob")
    file, code = asked(stage)
    before = stage.keys("bob").profile()
    add = ("profile", "devices", "add", file)
    words = stage.fails("bob", *add)
    assert "--code CODE" in words
    assert code in words
    stage.says_yes = False
    stage.asked.clear()
    assert "another code" in stage.fails("bob", *add)
    assert stage.asked == [f"Does the new device show {code}?"]
    assert stage.keys("bob").profile() == before
    stage.says_yes = True
    stage.does("bob", *add)
    assert stage.keys("bob").profile().profile.updated > before.profile.updated


def test_a_code_may_be_typed_in_any_form(stage: Stage) -> None:
    stage.person("bob")
    file, code = asked(stage)
    typed = code.replace("-", "").lower()
    stage.does("bob", "profile", "devices", "add", file, "--code", f"{typed[:7]} {typed[7:]}")
    for wrong in ("", typed[:-1], typed + "a"):
        assert "is the code of no" in stage.fails("bob", "profile", "devices", "revoke", wrong)


def test_asking_twice_gives_the_same_request_and_nothing_secret(stage: Stage) -> None:
    file, code = asked(stage)
    first = Path(file).read_bytes()
    assert asked(stage) == (file, code)
    assert Path(file).read_bytes() == first
    assert b'"d"' not in first
    result = stage.run("phone", "profile", "devices", "new", "-")
    assert result.stdout_bytes == first
    assert code in result.stderr


def test_a_new_devices_keys_are_sealed_if_a_passphrase_is_typed(stage: Stage) -> None:
    stage.types = lambda _words: "four words nobody guesses"
    asked(stage)
    assert stage.asked == ["Passphrase for your private keys (empty: none) twice"]
    files = [file.read_bytes() for file in stage.home("phone").glob("keys/*.jwk")]
    assert len(files) == 2
    assert not [octets for octets in files if b'"d"' in octets]


def test_a_revoked_device_reads_nothing_new_once_an_administrator_has_taken_it_in(
    stage: Stage,
) -> None:
    code = with_phone(stage)
    stage.does("alice", "refresh", TEAM)
    result = stage.run("bob", "profile", "devices", "revoke", code)
    assert result.exit_code == 0
    assert "until an administrator has taken that in" in result.stderr
    assert profile_at_service(stage) is not None
    stage.does("alice", "refresh", TEAM)
    copy = stage.copy(stage.sealed(), "bob")
    assert b"At one?" in stage.does("bob", "read", stdin=copy)
    assert stage.run("phone", "read", stdin=copy).exit_code == 1
    stated = stage.keys("bob").profile().profile
    assert (len(stated.encryption_keys), len(stated.online_signature_keys)) == (1, 1)
    assert "is the code of no device" in stage.fails("bob", "profile", "devices", "revoke", code)


def test_a_revoked_device_is_told_so_when_it_sees_the_profile(stage: Stage) -> None:
    code = with_phone(stage)
    stage.does("bob", "profile", "devices", "revoke", code)
    file = str(stage.folder / "after.json")
    stage.does("bob", "profile", "show", "--out", file)
    result = stage.run("phone", "profile", "import", file)
    assert result.exit_code == 0
    assert "it was revoked" in result.stderr


def test_the_last_word_is_with_the_master_key(stage: Stage) -> None:
    code = with_phone(stage)
    own = json.loads(stage.does("bob", "profile", "devices", "--json"))["Devices"][0]["Code"]
    file, tablet = asked(stage, "tablet")
    for command in (("revoke", own), ("add", file, "--code", tablet)):
        assert "has not the master key" in stage.fails("phone", "profile", "devices", *command)
    assert "has not the master key" in stage.fails("phone", "profile", "devices", "revoke", code)
    assert len(private_keys(stage.home("phone"))) == 2


def test_only_a_profile_that_names_its_keys_comes_to_a_new_device(stage: Stage) -> None:
    stage.person("bob")
    file, code = asked(stage)
    words = stage.fails("phone", "profile", "import", str(stage.folder / "bob.json"))
    assert "names no keys of this device" in words
    assert not stage.keys("phone").has_profile()
    stage.does("bob", "profile", "devices", "add", file, "--code", code)
    brought(stage, "phone")
    asking = stage.fails("phone", "profile", "devices", "new", file)
    assert "a profile is there already" in asking
    other = str(stage.person("carol"))
    assert "Nothing was imported" in stage.fails("phone", "profile", "import", other)


def test_the_fingerprint_is_shown_to_be_compared(stage: Stage) -> None:
    """Whoever saw the request could have named its keys in another profile."""
    stage.person("bob")
    file, code = asked(stage)
    stage.does("bob", "profile", "devices", "add", file, "--code", code)
    out = str(stage.folder / "newer.json")
    stage.does("bob", "profile", "show", "--out", out)
    result = stage.run("phone", "profile", "import", out)
    assert stage.keys("bob").profile().identifier in result.stdout
    assert "Compare the fingerprint" in result.stderr
    again = stage.run("phone", "profile", "import", out)
    assert "as it was, or older" in again.stdout


def test_an_older_profile_changes_nothing(stage: Stage) -> None:
    code = with_phone(stage)
    old = str(stage.folder / "old.json")
    stage.does("bob", "profile", "show", "--out", old)
    stage.does("bob", "profile", "devices", "revoke", code)
    newer = stage.keys("bob").profile()
    stage.does("bob", "profile", "import", old)
    assert stage.keys("bob").profile() == newer


def test_a_forged_profile_is_refused(stage: Stage) -> None:
    stage.person("bob")
    file = stage.folder / "bob.json"
    value = json.loads(file.read_bytes())
    value["signature"] = "A" * len(value["signature"])
    file.write_text(json.dumps(value), "utf-8")
    assert "changed or forged" in stage.fails("bob", "profile", "import", str(file))


@pytest.mark.parametrize(
    "octets",
    [b"", b"[]", b"{}", b'{"DeviceVersion":2}', b'{"DeviceVersion":1,"EncryptionKey":{}}'],
)
def test_what_is_no_request_is_told_in_one_line(stage: Stage, octets: bytes) -> None:
    stage.person("bob")
    file = stage.folder / "odd"
    file.write_bytes(octets)
    assert str(file) in stage.fails("bob", "profile", "devices", "add", str(file))
    assert stage.asked[1:] == []


def test_the_codes_are_those_that_another_program_computes() -> None:
    assert len(VECTORS) == 3
    for vector in VECTORS:
        device = read_request(json.dumps(vector["request"]).encode())
        assert device.code == vector["code"]
        assert replace(device, signature=None).code == vector["code_without_signature_key"]
        assert device.is_named(vector["code"].lower().replace("-", " "))


def test_a_service_that_does_not_know_the_member_is_not_told_the_addresses(stage: Stage) -> None:
    """Who only writes to a group has it pinned too."""
    stage.team("carol")
    stage.person("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    result = stage.run("bob", "profile", "devices", "add", file, "--code", code, "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert (value["Sent"], value["NotSent"]) == ([], [TEAM])
    assert "UpdateProfile" not in stage.service.asked


def test_who_is_suspended_tells_the_service_too(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    stage.does("alice", "suspend", TEAM, BOB)
    file, code = asked(stage)
    stage.does("bob", "profile", "devices", "add", file, "--code", code)
    assert profile_at_service(stage) is not None


def test_a_service_that_fails_is_told_and_what_to_do_later(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    for failing in ("GetEntry", "UpdateProfile"):

        def lie(name: str, response: Response, what: str = failing) -> Response:
            return Response(status=503, status_description="Not now") if name == what else response

        stage.service.lie = lie
        result = stage.run("bob", "profile", "devices", "add", file, "--code", code)
        assert result.exit_code == 0
        assert f"Later: recrypt profile publish {TEAM}" in result.stderr
        file, code = asked(stage, "tablet")
    assert len(stage.keys("bob").profile().profile.encryption_keys) == 3


REVOKE = ("profile", "devices", "revoke")


def moved(stage: Stage, who: str, to: str) -> None:
    """Import somebody's export in another home."""
    words = stage.folder / "words"
    words.write_text("password of the file")
    file, option = str(stage.folder / f"{who}.recrypt"), f"--export-passphrase-file={words}"
    stage.does(who, "profile", "export", file, option)
    stage.does(to, "profile", "import", file, option)


def only_code(stage: Stage, who: str) -> str:
    """Give the code of the one device of somebody's profile."""
    value = json.loads(stage.does(who, "profile", "devices", "--json"))
    (device,) = value["Devices"]
    return str(device["Code"])


def test_a_device_whose_export_was_imported_here_is_revoked(stage: Stage) -> None:
    code = with_phone(stage)
    stage.does("alice", "refresh", TEAM)
    moved(stage, "phone", "bob")
    before = private_keys(stage.home("bob"))
    value = json.loads(stage.does("bob", *REVOKE, code, "--json"))
    assert (value["Code"], value["FreshCode"]) == (code, None)
    assert private_keys(stage.home("bob")) == before
    stage.does("alice", "refresh", TEAM)
    copy = stage.copy(stage.sealed(), "bob")
    assert b"At one?" in stage.does("bob", "read", stdin=copy)
    assert stage.run("phone", "read", stdin=copy).exit_code == 1


def test_the_device_that_a_profile_was_made_on_ends_where_its_export_was_imported(
    stage: Stage,
) -> None:
    """The laptop is lost; what is left has its keys, and no others."""
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    moved(stage, "bob", "desktop")
    earlier, code = stage.copy(stage.sealed(), "bob"), only_code(stage, "desktop")
    result = stage.run("desktop", *REVOKE, code)
    assert result.exit_code == 0, result.output
    fresh = only_code(stage, "desktop")
    assert fresh != code
    assert f"this home has fresh keys in its place: {fresh}" in result.stdout
    assert "the profile's master key too" in result.stderr
    assert profile_at_service(stage, "desktop") is not None
    stage.does("alice", "refresh", TEAM)
    copy = stage.copy(stage.sealed(), "bob")
    for each in (copy, earlier):
        assert b"At one?" in stage.does("desktop", "read", stdin=each)
    assert stage.run("bob", "read", stdin=copy).exit_code == 1
    assert "is the code of no device" in stage.fails("desktop", *REVOKE, code)


def test_a_sole_administrator_whose_only_keys_were_lost_goes_on_with_fresh_ones(
    stage: Stage,
) -> None:
    stage.team("bob")
    moved(stage, "alice", "desktop")
    stage.does("desktop", *REVOKE, only_code(stage, "desktop"))
    result = stage.run("desktop", "rekey", TEAM)
    assert result.exit_code == 0, result.output
    (left,) = json.loads(stage.does("desktop", "rekey", TEAM, "--json"))["LeftToDo"]
    assert left.startswith("a device that alice@example.org has no more had the master key")
    stage.does("desktop", "add", TEAM, str(stage.person("carol")))
    assert stage.run("desktop", "verify", TEAM).exit_code == 0
    assert stage.run("alice", "members", TEAM).exit_code == 1
    assert b"At one?" in stage.does(
        "carol", "read", stdin=stage.copy(stage.sealed(by="desktop"), "carol")
    )


def test_fresh_keys_that_could_not_be_told_are_told_later(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    code = only_code(stage, "bob")
    stage.service.lie = refused(503, "Not now")
    assert stage.run("bob", *REVOKE, code).exit_code == 1
    stage.service.lie = lambda _name, response: response
    assert stage.run("bob", *REVOKE, code).exit_code == 0
    assert profile_at_service(stage) is not None


def test_to_publish_to_a_service_that_keeps_nothing_is_no_success(stage: Stage) -> None:
    """It answers a stranger as it does a member (spec §6)."""
    stage.team("carol")
    stage.person("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    stage.service.lie = refused(503, "Not now")
    stage.run("bob", "profile", "devices", "add", file, "--code", code)
    stage.service.lie = lambda _name, response: response
    words = stage.fails("bob", "profile", "publish", TEAM)
    assert "doesn't know you as a member" in words
    assert f"recrypt add {TEAM}" in words
    assert f"{TEAM} WASN'T TOLD" in stage.run("bob", "profile", "devices").stderr
    newest = str(stage.folder / "newest.json")
    stage.does("bob", "profile", "show", "--out", newest)
    stage.does("alice", "add", TEAM, newest)
    assert b"has your profile" in stage.does("bob", "profile", "publish", TEAM)
    assert "WASN'T TOLD" not in stage.run("bob", "profile", "devices").stderr


def test_a_device_that_its_service_has_not_heard_of_publishes_the_profile(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    stage.service.lie = refused(503, "Not now")
    stage.run("bob", "profile", "devices", "add", file, "--code", code)
    stage.service.lie = lambda _name, response: response
    brought(stage, "phone")
    stage.does("phone", "key", TEAM, "--service", URL)
    assert b"has your profile" in stage.does("phone", "profile", "publish", TEAM)
    assert profile_at_service(stage) is not None


def refused(status: int, words: str, *names: str) -> Callable[[str, Response], Response]:
    def lie(name: str, response: Response) -> Response:
        is_it = name in (names or ("GetEntry", "UpdateProfile"))
        return Response(status=status, status_description=words) if is_it else response

    return lie


def test_a_revocation_that_was_cut_off_goes_on(stage: Stage) -> None:
    """Else the lost device would be served, and the repeat say that there is none."""
    code = with_phone(stage)

    def cut_off(name: str, _response: Response) -> Response:
        raise KeyboardInterrupt(name)

    stage.service.lie = cut_off
    assert stage.run("bob", *REVOKE, code).exit_code != 0
    stage.service.lie = lambda _name, response: response
    assert profile_at_service(stage) is None
    listed = stage.run("bob", "profile", "devices")
    assert f"{TEAM} WASN'T TOLD" in listed.stderr
    assert code not in listed.stdout
    value = json.loads(stage.does("bob", *REVOKE, code, "--json"))
    assert (value["Code"], value["Sent"]) == (code, [URL])
    assert value["EncryptionKeyUDF"] is not None
    assert profile_at_service(stage) is not None
    assert "is the code of no device" in stage.fails("bob", *REVOKE, code)
    assert "WASN'T TOLD" not in stage.run("bob", "profile", "devices").stderr


@pytest.mark.parametrize(
    "words",
    [
        "Not authentic: the request was signed over 300 s from the time here: check the clock.",
        "Not authentic: the request is for another service: check the configured address.",
        "No",
    ],
)
def test_a_wrong_clock_is_not_taken_for_a_stranger(stage: Stage, words: str) -> None:
    code = with_phone(stage)
    stage.service.lie = refused(401, words)
    result = stage.run("bob", *REVOKE, code)
    assert result.exit_code == 1
    assert f"{TEAM} WASN'T TOLD" in result.stderr
    assert words.rstrip(".") in result.stderr
    assert "doesn't know you" not in result.stderr
    assert f"{code} is no device" in result.stdout
    stage.service.lie = lambda _name, response: response
    assert stage.run("bob", *REVOKE, code).exit_code == 0
    assert profile_at_service(stage) is not None


def test_a_revocation_that_no_service_knows_the_owner_of_is_told_but_no_failure(
    stage: Stage,
) -> None:
    code = with_phone(stage)
    stage.service.lie = refused(401, f"Not authentic: {STRANGER}.", "GetEntry")
    result = stage.run("bob", *REVOKE, code)
    assert result.exit_code == 0  # so it is for all who only write to a group
    assert f"{TEAM} WASN'T TOLD: {URL} doesn't know you as a member" in result.stderr


def test_publishing_by_hand_ends_what_was_left_to_tell(stage: Stage) -> None:
    code = with_phone(stage)
    stage.service.lie = refused(503, "Not now")
    assert stage.run("bob", *REVOKE, code).exit_code == 1
    stage.service.lie = lambda _name, response: response
    stage.does("bob", "profile", "publish", TEAM)
    assert "is the code of no device" in stage.fails("bob", *REVOKE, code)


def test_an_addition_that_was_not_told_goes_on_too(stage: Stage) -> None:
    stage.team("bob")
    stage.does("bob", "key", TEAM, "--service", URL)
    file, code = asked(stage)
    add = ("profile", "devices", "add", file, "--code", code)
    stage.service.lie = refused(503, "Not now")
    stage.does("bob", *add)
    assert profile_at_service(stage) is None
    stage.service.lie = lambda _name, response: response
    stage.does("bob", *add)
    assert profile_at_service(stage) is not None
    assert "one of the devices already" in stage.fails("bob", *add)


def test_an_own_profile_dated_ahead_is_not_taken(stage: Stage) -> None:
    stage.team("bob")
    home = stage.keys("bob")
    stated = home.profile().profile
    master = home.signature_key(stated.identifier)
    assert master is not None
    ahead = sign_profile(but(stated, updated=stated.updated + timedelta(days=2)), master)
    file = stage.folder / "ahead.json"
    file.write_text(json.dumps(ahead.signed.json()))
    assert "dated over a day ahead" in stage.fails("bob", "profile", "import", str(file))


def test_keys_that_do_not_stand_in_pairs_are_devices_too_but_none_is_added_to_them(
    stage: Stage,
) -> None:
    stage.person("bob")
    home, extra = stage.keys("bob"), PrivateKey.generate(Curve.X448)
    stated = home.profile().profile
    master = home.signature_key(stated.identifier)
    assert master is not None
    both = (*stated.encryption_keys, extra.public)
    home.keep_profile(sign_profile(but(stated, encryption_keys=both), master), new=False)
    file, code = asked(stage)
    words = stage.fails("bob", "profile", "devices", "add", file, "--code", code)
    assert "which belong together isn't told" in words
    listed = json.loads(stage.does("bob", "profile", "devices", "--json"))["Devices"]
    assert [each["SignatureKeyUDF"] is None for each in listed] == [False, True]
    stage.does("bob", "profile", "devices", "revoke", listed[1]["Code"])
    stage.does("bob", "profile", "devices", "add", file, "--code", code)


def test_a_profile_has_at_most_as_many_devices_as_the_format_allows(stage: Stage) -> None:
    stage.person("bob")
    file, code = asked(stage)
    add = ("profile", "devices", "add", file, "--code", code)
    stage.does("bob", *add)
    assert "one of the devices already" in stage.fails("bob", *add)
    file, code = asked(stage, "tablet")
    home = stage.keys("bob")
    stated = home.profile().profile
    master = home.signature_key(stated.identifier)
    assert master is not None
    full = but(
        stated,
        encryption_keys=stated.encryption_keys * 16,
        online_signature_keys=stated.online_signature_keys * 16,
    )
    home.keep_profile(sign_profile(full, master), new=False)
    words = stage.fails("bob", "profile", "devices", "add", file, "--code", code)
    assert "at most 32 devices" in words


def test_an_administrators_new_device_administers(stage: Stage) -> None:
    stage.team("bob")
    file, code = asked(stage)
    stage.does("alice", "profile", "devices", "add", file, "--code", code)
    stage.does("alice", "refresh", TEAM)
    brought(stage, "phone", by="alice")
    stage.does("phone", "key", TEAM, "--service", URL)
    stage.does("phone", "add", TEAM, str(stage.person("carol")))


def test_an_export_of_a_device_is_taken_by_a_home_of_the_same_profile(stage: Stage) -> None:
    with_phone(stage)
    words = stage.folder / "words"
    words.write_text("password of the file")
    option = f"--export-passphrase-file={words}"
    file = str(stage.folder / "phone.recrypt")
    stage.does("phone", "profile", "export", file, option)
    stage.does("bob", "profile", "import", file, option)
    assert private_keys(stage.home("phone")) < private_keys(stage.home("bob"))
