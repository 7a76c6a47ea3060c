"""The benchmark of chains runs, and counts right; how fast it is nobody tests."""

from pathlib import Path

from benchmarks import chain


def test_each_part_of_the_chain_has_its_figures(tmp_path: Path) -> None:
    file = tmp_path / "chain"
    chain.make_chain(file, 7)
    found = list(chain.measured(file, 3))
    assert [(each.changes, each.members) for each in found] == [(3, 3), (6, 5), (7, 5)]
    assert all(each.microseconds > 0 and each.ratio > 0 for each in found)
    head, *lines = chain.table(found).splitlines()
    assert head.split()[0] == "changes"
    assert [line.split()[:2] for line in lines] == [["3", "3"], ["6", "5"], ["7", "5"]]
