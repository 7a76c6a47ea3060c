"""What an operator gets wrong ends with status 1 and one line: what, where, what to do next."""

import re
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from listserver.cli import main
from listserver.vault import new_key_line
from tests.end_to_end.independent import compact, new_person
from tests.end_to_end.independent_group import clock
from tests.end_to_end.network import LOCALHOST
from tests.end_to_end.programs import ListServer, listserver


def serve_fails(server: ListServer) -> str:
    """Run a server that must not start; give its one line."""
    done = listserver("serve", "--config", server.config)
    assert (done.returncode, done.stdout) == (1, "")
    return one_line(done.stderr)


def failing(*words: str | Path) -> str:
    """Run a command here that must fail; give its one line."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert (done.exit_code, done.stdout) == (1, "")
    return one_line(done.stderr)


def one_line(text: str) -> str:
    assert re.fullmatch(r"Error: [^\n]+\n", text), text
    return text


@pytest.mark.parametrize("setting", ["[smtp] listen", "[smtp] lmtp", "[service] listen"])
def test_a_port_in_use(server: ListServer, setting: str) -> None:
    with socket.create_server((LOCALHOST, 0)) as taken:
        there = f"{LOCALHOST}:{taken.getsockname()[1]}"
        section, key = setting.split()
        lines = server.config.read_text().splitlines()
        at = next(
            at
            for at in range(lines.index(section), len(lines))
            if lines[at].startswith(f"{key} = ")
        )
        lines[at] = f'{key} = "{there}"'
        server.config.write_text("\n".join(lines))
        line = serve_fails(server)
    assert f"{setting}: can't listen at {there}" in line
    assert "stop the program that has the port" in line


def test_a_setting_misspelt(server: ListServer) -> None:
    server.set("[relay]\nhost", "[relay]\nhots")
    line = serve_fails(server)
    assert str(server.config) in line
    assert "there is no setting [relay] hots; did you mean host?" in line


def test_a_template_that_is_no_good(server: ListServer) -> None:
    folder = server.config.parent / "words"
    folder.mkdir()
    (folder / "list.html").write_text("{% if %}")
    server.set("[service]", '[service]\ntemplates = "words"')
    assert "[service] templates: list.html, line 1: " in serve_fails(server)
    (folder / "list.html").unlink()
    (folder / "problem.html").write_text("{{ missing }}")
    assert "[service] templates: problem.html: 'missing' is undefined" in serve_fails(server)


def test_own_words_that_are_no_good(server: ListServer) -> None:
    folder = server.config.parent / "words/team"
    folder.mkdir(parents=True)
    (folder / "probe.txt").write_text("{name}: hello\n\n{who}\n")
    server.set("[vault]", '[words]\nfolder = "words"\n[vault]')
    line = serve_fails(server)
    assert "[words] folder: team/probe.txt, line 3: {who} isn't known here: {list}, " in line


def test_settings_that_are_not_toml(server: ListServer) -> None:
    server.set("[relay]", "[relay")
    line = serve_fails(server)
    assert str(server.config) in line
    assert "not TOML" in line


def test_no_settings(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    line = failing("serve", "--config", missing)
    assert str(missing) in line
    assert "`listserver init`" in line


def test_a_vault_key_that_is_missing(server: ListServer) -> None:
    key = server.folder / "vault.key"
    key.unlink()
    line = serve_fails(server)
    assert f"{key} can't be read (No such file or directory)" in line
    assert "restore it from where it was kept" in line


def test_a_vault_key_that_is_no_key(server: ListServer) -> None:
    key = server.folder / "vault.key"
    key.write_text("A1B2\n")
    line = serve_fails(server)
    assert str(key) in line
    assert "restore it" in line
    assert "A1B2" not in line


def test_a_vault_key_of_another_store(server: ListServer) -> None:
    (server.folder / "vault.key").write_bytes(new_key_line())
    line = serve_fails(server)
    assert "another vault key" in line
    assert str(server.folder / "store.db") in line
    assert "look at [vault] key_file, or restore the key" in line


def test_a_store_that_is_no_store(server: ListServer) -> None:
    store = server.folder / "store.db"
    store.write_bytes(b"nothing of the kind " * 100)
    assert f"the store {store} can't be opened" in serve_fails(server)


def test_a_store_that_another_server_has(server: ListServer) -> None:
    server.start()
    line = serve_fails(server)
    assert f"another server runs on the store {server.folder / 'store.db'}" in line
    assert "stop it first" in line


@pytest.mark.parametrize("command", ["authorize", "deauthorize"])
def test_a_profile_that_is_missing(server: ListServer, tmp_path: Path, command: str) -> None:
    missing = tmp_path / "alice.json"
    line = failing(command, missing, "--config", server.config)
    assert f"{missing} can't be read: No such file or directory" in line


@pytest.mark.parametrize("octets", [b"", b"{}", b"\xff", b'{"payload": "e30"}'])
def test_a_profile_that_is_none(server: ListServer, tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "alice.json"
    file.write_bytes(octets)
    line = failing("authorize", file, "--config", server.config)
    assert f"{file} is no profile" in line
    assert "`recrypt profile show`" in line


def test_a_profile_that_was_tampered_with(server: ListServer, tmp_path: Path) -> None:
    file = tmp_path / "alice.json"
    person, other = (new_person("alice@example.org", clock()) for _ in range(2))
    file.write_bytes(compact({**person.profile, "signature": other.profile["signature"]}))
    assert f"{file} is no profile" in failing("authorize", file, "--config", server.config)


def test_somebody_who_was_not_authorised(server: ListServer, tmp_path: Path) -> None:
    file = tmp_path / "alice.json"
    file.write_bytes(compact(new_person("alice@example.org", clock()).profile))
    line = failing("deauthorize", file, "--config", server.config)
    assert "was not authorised here: nothing is changed" in line


def test_a_folder_that_has_a_server_already(server: ListServer) -> None:
    before = server.config.read_bytes(), (server.folder / "vault.key").read_bytes()
    line = failing("init", server.folder, "--domain", "lists.example")
    assert f"{server.config} is there already: choose another folder" in line
    assert before == (server.config.read_bytes(), (server.folder / "vault.key").read_bytes())


def test_a_domain_that_is_none(tmp_path: Path) -> None:
    line = failing("init", tmp_path / "new", "--domain", "not a domain")
    assert "domain must be a domain name, such as lists.example" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "words", [["srve"], ["init"], ["serve", "--role", "none"], ["authorize"], ["--colour"]]
)
def test_wrong_usage_ends_with_status_2(words: list[str]) -> None:
    done = CliRunner().invoke(main, words, prog_name="listserver")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: listserver" in done.stderr
    assert "Error: " in done.stderr


def test_a_real_process_ends_so_too() -> None:
    assert listserver("srve").returncode == 2
    assert listserver("authorize", "/nowhere", "--config", "/nowhere").returncode == 1


@pytest.mark.parametrize("command", ["init", "authorize", "deauthorize", "serve"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--help"], prog_name="listserver")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"Example: listserver {command}" in done.stdout
