"""Token stores that fail, watch or lose their lease where a test wants it."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from evertoken.client import Lease, MemoryStore

Step = Literal["load", "swap", "prepare", "lease"]


@dataclass
class StagedLease:
    """Lasts as long as each number in turn says, and then for ever."""

    lefts: list[float] = field(default_factory=list)

    def seconds_left(self) -> float:
        return self.lefts.pop(0) if self.lefts else math.inf


class StagedStore:
    """
    A store in memory. `failing[step]` is raised by that step as long as it stands there; `before[step]` is called
    first; `steps` is what was done.
    """

    def __init__(self) -> None:
        self.failing: dict[Step, Exception] = {}
        self.before: dict[Step, Callable[[], object]] = {}
        self.lease_held = StagedLease()
        self.steps: list[Step] = []
        self._inner = MemoryStore()

    def __repr__(self) -> str:
        return "StagedStore()"

    def load(self) -> str | None:
        self._play("load")
        return self._inner.load()

    def swap(self, expected: str | None, document: str | None) -> bool:
        self._play("swap")
        return self._inner.swap(expected, document)

    def prepare(self) -> None:
        self._play("prepare")

    @contextlib.contextmanager
    def lease(self, *, timeout_seconds: float) -> Iterator[Lease]:
        self._play("lease")
        with self._inner.lease(timeout_seconds=timeout_seconds):
            yield self.lease_held

    def put(self, document: str | None) -> None:
        """Write as a program that knows nothing of us would."""
        assert self._inner.swap(self._inner.load(), document)

    def _play(self, step: Step) -> None:
        self.steps.append(step)
        if step in self.before:
            self.before[step]()
        if step in self.failing:
            raise self.failing[step]
