"""A stage for each test of the client."""

from pathlib import Path

import pytest

from tests.client.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Set up an empty stage, on which whoever runs the tests has no passphrase."""
    monkeypatch.delenv("RECRYPT_PASSPHRASE_FILE", raising=False)
    return Stage(tmp_path)
