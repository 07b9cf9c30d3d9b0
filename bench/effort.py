"""How long to measure, and on which cores."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How much is done of everything.

    Args:
        rounds: How often the sides of a comparison alternate.
        seconds: How long each side is measured in a round.
        flood_seconds: The same for the flood of sign-ins, whose p99 needs many requests.
        flood_rounds: How often quiet and flood alternate.
        tokens: Distinct access tokens that the guard sees.
    """

    rounds: int
    seconds: float
    flood_rounds: int
    flood_seconds: float
    tokens: int


FULL = Effort(rounds=6, seconds=1.2, flood_rounds=3, flood_seconds=4.0, tokens=1000)
QUICK = Effort(rounds=3, seconds=0.4, flood_rounds=2, flood_seconds=1.5, tokens=500)
TINY = Effort(rounds=1, seconds=0.1, flood_rounds=1, flood_seconds=0.5, tokens=50)
"""Whether it runs at all; the figures say nothing."""


def cores() -> tuple[int, int]:
    """One core for what is measured and another for what measures; the same where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def pin(core: int | None) -> None:
    """Run on this core only; None: wherever the system likes."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1) if core is None else {core})
