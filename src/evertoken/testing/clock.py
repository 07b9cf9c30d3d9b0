"""Time, as a test wants it."""

import threading
from collections.abc import Callable

ClientClock = Callable[[], tuple[float, float]]
"""Returns wall time (seconds since the epoch) and monotonic time (seconds), read in one go."""


class MovingClock:
    """
    A clock that stands still until it is moved. Safe to read and to move from any thread.

    Call it for the pair `(wall, monotonic)`, which is what a client takes as `clock=`; `FakeServer(clock=...)` takes
    the same object and goes by `wall`.

    Args:
        wall: Where wall time begins, in seconds since the epoch.
        monotonic: Where monotonic time begins, in seconds; only differences mean anything.
    """

    def __init__(self, wall: float = 1_800_000_000.0, monotonic: float = 1_000.0) -> None:
        self._lock = threading.Lock()
        self._now = (wall, monotonic)

    def __call__(self) -> tuple[float, float]:
        return self._now

    @property
    def wall(self) -> float:
        """Seconds since the epoch; people and time servers may set it back."""
        return self._now[0]

    @property
    def monotonic(self) -> float:
        """Seconds on a clock that is never set back and does not run while the machine sleeps."""
        return self._now[1]

    def advance(self, seconds: float) -> None:
        """
        Let time pass on both clocks.

        Raises:
            ValueError: `seconds` is negative; see `set_back`.
        """
        self._move(seconds, seconds)

    def sleep_machine(self, seconds: float) -> None:
        """
        Let a laptop sleep: wall time passes, monotonic time does not.

        Raises:
            ValueError: `seconds` is negative.
        """
        self._move(seconds, 0.0)

    def set_back(self, seconds: float) -> None:
        """
        Set wall time back by `seconds`, as a time server does; monotonic time stays.

        Raises:
            ValueError: `seconds` is negative.
        """
        _check(seconds)
        with self._lock:
            self._now = (self._now[0] - seconds, self._now[1])

    def _move(self, wall_seconds: float, monotonic_seconds: float) -> None:
        _check(wall_seconds)
        with self._lock:
            self._now = (self._now[0] + wall_seconds, self._now[1] + monotonic_seconds)


def _check(seconds: float) -> None:
    if not seconds >= 0:
        raise ValueError(f"{seconds} is not a number of seconds that can pass")
