"""Tests that need the whole machine, among those that share it."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


class Machine:
    """
    What pytest's workers share: many tests at once, or one that is marked `alone`.

    The locks are those of files, so a worker that ends lets go of them.

    Args:
        folder: One that all workers of a run see, and no other run does.
    """

    def __init__(self, folder: Path) -> None:
        self._door = (folder / "door").open("w")
        self._room = (folder / "room").open("w")

    @contextlib.contextmanager
    def used(self, *, is_alone: bool) -> Iterator[None]:
        """Wait until there is room, and take it."""
        # Whoever waits for an empty room keeps the door shut: otherwise others would go in past it for ever.
        with _locked(self._door, fcntl.LOCK_EX):
            fcntl.flock(self._room, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files."""
        self._door.close()
        self._room.close()


@contextlib.contextmanager
def _locked(file: TextIO, how: int) -> Iterator[None]:
    fcntl.flock(file, how)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
