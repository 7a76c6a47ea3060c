"""Times tell a member and a stranger apart in nothing: medians of questions that take turns."""

import json
from typing import Final

import pytest

from benchmarks import oracle_times
from benchmarks.oracle_times import QUESTIONS

pytestmark = pytest.mark.long

FAR: Final = 3  # times: far more than a loaded machine makes of medians, less than work left out


def test_what_is_asked_about_members_takes_as_long_as_about_strangers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert oracle_times.main(["--rounds", "31", "--json"]) == 0
    ratios = json.loads(capsys.readouterr().out)
    assert {*ratios} == {*QUESTIONS}
    assert all(1 / FAR < ratio < FAR for ratio in ratios.values()), ratios


def test_its_table_has_medians_and_their_ratio() -> None:
    times = [3e-6, 1e-6, 2e-6]
    _, line = oracle_times.table({"post": (times, [4e-6])}).splitlines()
    assert line.split() == ["post", "2", "4", "0.50"]
