"""What the store tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock


@pytest.fixture
def bench(tmp_path: Path, clock: MovingClock) -> Iterator[SqliteBench]:
    """A database file that is not there yet; the tests of other stores have a bench of their own."""
    made = SqliteBench(tmp_path / "data" / "evertoken.db", clock)
    yield made
    made.close()
