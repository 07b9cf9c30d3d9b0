"""Collects what the explorer saw: how many states of which world, and how each mutant was caught."""

from collections.abc import Callable

import pytest

from tests.conftest import EXPLORED


@pytest.fixture
def explored(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Adds a line to the table that tests/conftest.py shows at the end."""

    def add(line: str) -> None:
        record_property(EXPLORED, line)

    return add
