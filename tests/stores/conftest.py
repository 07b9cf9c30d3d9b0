"""What the store tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

# Not named like tests; their asserts shall tell as much as those of tests.
pytest.register_assert_rewrite("tests.stores.compliance", "tests.stores.faults", "tests.stores.racing")

from tests.stores.sqlite_bench import SqliteBench  # noqa: E402
from tests.support.clock import MovingClock  # noqa: E402


@pytest.fixture
def bench(tmp_path: Path, clock: MovingClock) -> Iterator[SqliteBench]:
    """A database file that is not there yet; the tests of other stores have a bench of their own."""
    made = SqliteBench(tmp_path / "data" / "evertoken.db", clock)
    yield made
    made.close()
