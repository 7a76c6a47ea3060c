"""The benchmark of fan-out runs on a real server, and says what it should; not how fast it is."""

import json
from pathlib import Path

import pytest

from benchmarks import fanout
from benchmarks.acceptance import SMTP_SOURCE
from benchmarks.fanout import SMTP_SINK, Measured, Round

HAS_POSTFIX = all(Path(each).exists() for each in (SMTP_SINK, SMTP_SOURCE))


@pytest.mark.long
@pytest.mark.skipif(not HAS_POSTFIX, reason="smtp-sink and smtp-source, of Postfix, aren't here")
def test_it_measures_both_senders_in_turn_and_tells_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = ["--members", "4", "--connections", "2", "--workers", "1", "--rounds", "2"]
    assert fanout.main([*tiny, "--parts", "--asked", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["members"] == 4
    for sender in ("ours", "source"):
        assert len(answer[sender]) == 2
        assert all(each["per_second"] > 0 for each in answer[sender])
        assert all(10_000 < each["octets"] < 20_000 for each in answer[sender])
    assert answer["ratio"] > 0
    assert answer["peak_mib"] > 0
    assert answer["workers_mib"] > 0
    assert len(answer["waits"]) == 4
    assert answer["where"]["commit"]


def test_its_table_has_medians_extremes_parts_and_the_median_of_the_ratios() -> None:
    found = Measured(
        1000,
        8,
        [Round(100, 10, 13_000), Round(300, 30, 13_000), Round(200, 20, 13_000)],
        [Round(200, 1, 13_000), Round(400, 1, 13_000), Round(250, 1, 13_000)],
        60.4,
        {"SMTP": 12.3},
    )
    first, _, ours, source, ratio, part = fanout.table(found).splitlines()
    assert first.startswith("1,000 members, 8 connections, 0 workers, 13,000 octets a copy")
    assert first.endswith("60 MiB")
    assert ours.split() == ["listserver", "200", "100", "300", "20"]
    assert source.split() == ["smtp-source", "250", "200", "400", "1"]
    assert ratio.endswith(": 0.75")
    assert part.split() == ["SMTP", "12", "us"]
