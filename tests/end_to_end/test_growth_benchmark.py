"""The benchmark of growth runs on a real server, and draws what it found; not how fast it is."""

import json
from pathlib import Path

import pytest

from benchmarks import growth
from benchmarks.fanout import SMTP_SINK
from benchmarks.growth import AXES, Row


@pytest.mark.long
@pytest.mark.skipif(not Path(SMTP_SINK).exists(), reason="smtp-sink, of Postfix, isn't here")
def test_it_measures_each_size_and_draws_each_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(growth, "ENOUGH", 4)
    monkeypatch.setattr(growth, "MEMBERS", 2)
    monkeypatch.setattr(growth, "OF_EACH", 2)
    out = tmp_path / "figures.json"
    sizes = ("--members=2,4", "--octets=1024", "--lists=2", "--posts=3")
    assert growth.main([*sizes, "--out", str(out), "--plots", str(tmp_path)]) == 0
    found = json.loads(out.read_text())
    assert {name: [row["at"] for row in rows] for name, rows in found.items()} == {
        "members": [2, 4],
        "octets": [1024],
        "lists": [2],
        "posts": [3],
    }
    copies = [row["copies"] for rows in found.values() for row in rows]
    assert copies == [4, 4, 4, 4, 6]
    assert all(row["octets"] > 1024 for rows in found.values() for row in rows)
    for axis in AXES:
        assert axis.unit in (tmp_path / f"growth-{axis.name}.svg").read_text()


def test_its_table_has_a_line_for_each_size() -> None:
    row = Row(1000, 2000, 1234.5, 2**20, 543.2, 61.7)
    head, line = growth.table(AXES[0], [row]).splitlines()
    assert head.startswith("members of the list")
    assert line.split() == ["1,000", "2,000", "1,234", "1,234.5", "543", "62"]
