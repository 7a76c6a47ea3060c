"""The benchmark runs, and its table says what it should; how fast it is nobody tests."""

import re
from pathlib import Path

import pytest

from benchmarks import partials
from recrypt_core.keys import Curve

# What `openssl speed` of OpenSSL 3.0.19 prints, cut to three lines and its noise.
SPEED = """#!/bin/sh
cat <<'END'
version: 3.0.19
                              op      op/s
 256 bits ecdh (nistp256)   0.0001s  17725.3
 253 bits ecdh (X25519)   0.0000s  25747.0
END
"""
TINY = ["--seconds", "0.0001", "--rounds", "1"]


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_it_prints_a_line_for_each_curve_beside_openssl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "openssl"
    program.write_text(SPEED)
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert partials.main(TINY) == 0
    head, *rows, note = lines_of(capsys)
    assert head.split()[2:] == [*partials.OPERATIONS, "openssl", "partials/openssl"]
    assert [row.split()[0] for row in rows] == [curve.value for curve in Curve]
    assert [row.split()[5] for row in rows] == ["25,747", "-", "17,725"]
    assert all(re.fullmatch(r"[\d,]+", cell) for row in rows for cell in row.split()[1:5])
    assert "no figure" in note


def test_it_ends_well_and_says_so_where_openssl_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert partials.main(TINY) == 0
    *_, row, note = lines_of(capsys)
    assert row.split()[5:] == ["-", "-"]
    assert note == "openssl is not installed: nothing to compare with."


def test_a_rate_is_that_of_the_best_round() -> None:
    calls: list[None] = []
    assert partials.rate(lambda: calls.append(None), seconds=0.0, rounds=2) > 0
    assert len(calls) == 3
