"""The sweeper's pace: it walks to the end, quickly where there is something to remove."""

import asyncio
from typing import Any, cast

import pytest

from evertoken.edge import background
from evertoken.edge.background import Background
from evertoken.edge.standstill import Standstill


class _Store:
    """Says what each step removed, as it was told."""

    def __init__(self, steps: list[int | None]) -> None:
        self.steps = steps

    async def sweep(self) -> int | None:
        return self.steps.pop(0)


async def test_a_step_that_finds_nothing_does_not_end_the_walk_but_slows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's rest begins once the walk has been round, not at the first piece of it that has nothing to remove."""
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    store = _Store([500, 0, 0, 3, None, 7])
    walker = Background(
        store=cast(Any, store),
        keys=cast(Any, None),
        memory=cast(Any, None),
        recalling=cast(Any, None),
        standstill=Standstill(0),
        clock=lambda: 0,
        on_revoked=lambda *_: None,
        on_keys_changed=lambda: None,
    )
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", pause)
        await walker.sweep()
    soon, later = background.SWEEP_PAUSE_SECONDS, background.SWEEP_LOOK_SECONDS
    assert paused == [soon, later, later, soon]
    assert store.steps == [7]
    assert soon < later
