"""A stage for each test of the client."""

from pathlib import Path

import pytest

from tests.client.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Set up an empty stage."""
    return Stage(tmp_path)
