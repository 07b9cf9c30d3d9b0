"""Tests that are marked `alone`, and those that run in other workers of pytest meanwhile."""

import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.alone import Machine

WITHIN_SECONDS = 30.0


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    """One machine, as three workers have it."""
    made = [Machine(tmp_path) for _ in range(3)]
    yield made
    for each in made:
        each.close()


def _is_shut(door: Path) -> bool:
    with door.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_who_wants_the_machine_alone_waits_for_those_at_work_and_not_for_those_who_come_later(
    tmp_path: Path, machines: list[Machine]
) -> None:
    """Tests run side by side; one that wants nobody beside it is not kept waiting by a row of others."""
    order: list[str] = []

    def use(machine: Machine, name: str, is_alone: bool) -> None:
        with machine.used(is_alone=is_alone):
            order.append(name)

    one, other, third = machines
    alone = threading.Thread(target=use, args=(other, "alone", True), daemon=True)
    later = threading.Thread(target=use, args=(third, "later", False), daemon=True)
    with one.used(is_alone=False):
        with other.used(is_alone=False):
            order.append("side by side")
        alone.start()
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while not _is_shut(tmp_path / "door"):
            assert time.monotonic() < give_up_at
        later.start()
        order.append("done")
    for thread in (alone, later):
        thread.join(WITHIN_SECONDS)
    assert order == ["side by side", "done", "alone", "later"]
