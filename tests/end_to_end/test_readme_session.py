"""The session that README.md shows does what it says: it is run here, line by line."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.programs import BIN, run

README = Path(__file__).resolve().parents[2] / "README.md"
MARK = "<!-- session: tested -->"
BLOCK = re.compile(re.escape(MARK) + r"\s*```console[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 60
# A network of its own, so that the session's ports are free whatever runs here.
ALONE = ("unshare", "--net", "--map-root-user", "bash", "-euc")
LOOPBACK = "ip link set lo up"


def session_of(text: str) -> str:
    """Give the commands of the session as a script; what they print is left out."""
    found = BLOCK.search(text)
    if found is None:
        return ""
    lines = [line for line in found[1].splitlines() if re.match(r"[$>] ", line)]
    return "".join(f"{line[2:]}\n" for line in lines)


def test_the_session_in_the_readme_works(tmp_path: Path) -> None:
    script = session_of(README.read_text("utf-8"))
    if not script:
        pytest.skip(f"README.md has no session after {MARK}")
    output = tmp_path / "output"
    folder = tmp_path / "session"
    folder.mkdir()
    env = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    with output.open("wb") as stream:
        shell = subprocess.Popen(
            shell_command(script),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = shell.wait(SECONDS)
        finally:
            end_group(shell.pid)
            shell.wait()
    assert status == 0, f"{script}\n{output.read_text('utf-8', 'replace')}"


def shell_command(script: str) -> list[str]:
    """Give what runs a script, in a network of its own where that is allowed."""
    if shutil.which(ALONE[0]) and run(*ALONE, LOOPBACK).returncode == 0:
        return [*ALONE, f"{LOOPBACK}\n{script}"]
    return ["bash", "-euc", script]


def end_group(group: int) -> None:
    """End what the session has left running in the background."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_session_is_found_and_its_output_left_out() -> None:
    text = f"Look:\n\n{MARK}\n```console\n$ cat <<END\n> words\n> END\nwords\n```\n"
    assert session_of(text) == "cat <<END\nwords\nEND\n"
    assert session_of("```console\n$ true\n```\n") == ""
