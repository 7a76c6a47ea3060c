"""What holds for every test: nothing by chance, and nothing in the home of who runs it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# Examples are the same in every run, and a slow machine is not a failure.
settings.register_profile("same-each-time", deadline=None, derandomize=True, database=None)
settings.load_profile("same-each-time")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lead RECRYPT_HOME and the platform's folders to an empty place."""
    empty = tmp_path_factory.mktemp("nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECRYPT_HOME", str(empty / "recrypt"))
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(empty))
        yield
