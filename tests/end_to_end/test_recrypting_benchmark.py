"""The benchmark of RecryptData runs on real servers; how fast it is nobody tests."""

import json

import pytest

from benchmarks import recrypting
from benchmarks.recrypting import OURS, PLAIN

pytestmark = pytest.mark.long

TINY = ["--requests", "4", "--rounds", "2", "--connections", "2"]


def test_it_measures_both_servers_in_turn_and_tells_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert recrypting.main([*TINY, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {name: len(rounds) for name, rounds in answer["rounds"].items()} == {OURS: 2, PLAIN: 2}
    assert all(each["per_second"] > 0 for rounds in answer["rounds"].values() for each in rounds)
    assert answer["ratio"] > 0
