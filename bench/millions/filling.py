"""What every engine of `bench.millions` is to it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.stores import IDLE_MS
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import RotationPolicy

POLICY = RotationPolicy(overlap_ms=0, idle_ms=IDLE_MS)
ACCESS_LIFETIME_MS = 1_800_000
ROWS_AT_ONCE = 20_000
GROWING = {"sessions", "events", "users", "revocations", "throttle", "adoptions"}
"""Tables that must not be read from end to end; the others hold a few rows, however many people there are."""


@dataclass(slots=True)
class Weight:
    """
    What a part of the store takes.

    Args:
        table: Bytes of the rows; where an engine keeps everything in memory, all of it.
        indexes: Bytes of what leads to them, the primary key included where it is not the table itself.
    """

    table: int
    indexes: int = 0


@dataclass(slots=True)
class Plans:
    """
    How the statements of a store find their rows.

    Args:
        looked_at: How many different statements, or commands, were looked at.
        walks: Those that read a table or an index from end to end, or more of it than the window of a list.
    """

    looked_at: int = 0
    walks: list[str] = field(default_factory=list)


class Engine(Protocol):
    """A database of the bench's own, of one kind, with our tables."""

    title: str

    async def open(self) -> Any:
        """A store over it, started: as a server does it when it starts."""

    async def fill(self, count: int, now_ms: int) -> None:
        """Put so many sessions in, past the store, as fast as the engine takes them; then let it come to rest."""

    async def weigh(self) -> dict[str, Weight]:
        """By table, or in all."""

    def rotate(self, store: Any) -> Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]:
        """`store.rotate`, with what is known of the user where users are elsewhere."""

    async def plans(self, ask: Callable[[Any], Awaitable[None]]) -> Plans:
        """Let a store be asked everything, and look at how the engine answers."""

    async def facts(self) -> list[tuple[str, str]]:
        """What else is worth knowing after the refreshes: name and figure."""
