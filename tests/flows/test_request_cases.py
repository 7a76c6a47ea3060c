"""Requests of odd shapes, tests/cases/requests: each is answered as its name begins, never else.

How a case is sent, its first octet says: tests/fuzz/target.py. They are what tests/fuzz begins
with, and what it finds.
"""

from pathlib import Path

import pytest

from tests.fuzz.target import CASES, open_target

FILES = sorted(CASES.iterdir())


def test_the_cases_are_found() -> None:
    assert len(FILES) >= 30


@pytest.mark.asyncio
async def test_each_is_answered_as_its_name_says(tmp_path: Path) -> None:
    async with open_target(tmp_path) as target:
        answers = {file.name: await target.answer(file.read_bytes()) for file in FILES}
    told = {name: (answer.status, answer.status_description) for name, answer in answers.items()}
    assert {name: said for name, said in told.items() if str(said[0]) != name[:3]} == {}
