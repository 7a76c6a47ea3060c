"""The benchmark of an administrator's commands runs on a real server; nobody tests how fast."""

import json

import pytest

from benchmarks import asking, groups
from benchmarks.asking import Waits
from benchmarks.groups import Cost, Run

pytestmark = pytest.mark.long


def test_it_measures_each_command_and_who_waits_meanwhile_and_tells_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert groups.main(["--members", "2", "--quiet", "0.1", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["members"] == 2
    assert set(answer["costs"]) == {"add", "rekey", "verify", "pages"}
    assert all(each["seconds"] > 0 for each in answer["costs"].values())
    assert set(answer["waits"]) == {
        f"{what}, {when}" for what in ("RCPT", "Hello") for when in ("quiet", "add", "rekey")
    }
    assert all(each["longest"] > 0 for each in answer["waits"].values())


def test_its_table_has_a_member_s_share_and_what_one_more_costs_without_the_start() -> None:
    few = Run(100, 0.0005, {"add": Cost(1, 0.5, 0.1, 50, 60)}, {})
    many = Run(1100, 0.0005, {"add": Cost(3, 1.5, 1.1, 150, 60)}, {})
    _, first, second, more, unit = groups.table([few, many]).splitlines()
    assert first.split() == ["add", "100", "1.0", "5,000", "1,000", "10.00", "12.00", "50", "60"]
    assert second.split()[:4] == ["add", "1,100", "3.0", "1,364"]
    assert more.split()[:7] == ["add", "one", "more", "2.0", "ms", "1,000", "1,000"]
    assert more.split()[7:] == ["2.00", "4.00", "102.4", "KiB", "0.0", "KiB"]
    assert unit.endswith("us: 500, 500")


def test_of_a_hundred_waits_it_tells_the_middle_one_and_the_last_but_one_in_milliseconds() -> None:
    waits = asking.waits_of([each / 1e3 for each in range(100, 0, -1)])
    assert waits == Waits(100, 50.5, 99, 100)
    assert asking.waits_of([]).count == 0
    shown = groups.table_of_waits([Run(5, 1, {}, {"RCPT, add": waits})]).splitlines()[1]
    assert shown.split() == ["RCPT,", "add", "5", "100", "50.5", "99.0", "100.0"]
