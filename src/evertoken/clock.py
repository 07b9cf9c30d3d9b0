"""The only reader of the clock. Everything else is told the time."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since the epoch. Sessions count in milliseconds, because an overlap may be a fraction
of a second and rotation compares instants that are close together; JWT claims are whole seconds."""


def system_clock() -> int:
    """Milliseconds since the epoch, UTC, by this machine."""
    return time.time_ns() // 1_000_000


def both_clocks() -> tuple[float, float]:
    """The wall clock, in seconds since the epoch, and the monotonic clock, in seconds, of this machine."""
    return time.time(), time.monotonic()


def monotonic_seconds() -> float:
    """Seconds on a clock that is never set back, for deadlines inside one process."""
    return time.monotonic()


def thread_cpu_seconds() -> float:
    """Processor time that this thread has used: what work costs, however busy the machine is meanwhile."""
    return time.thread_time()
