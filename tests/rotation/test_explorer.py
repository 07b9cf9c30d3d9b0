"""
The promises of docs/rotation.md, checked in every state that a world can reach, over the real decision code.

`model.py` says what can happen and which promise a step breaks, `worlds.py` how large the worlds are, `mutants.py`
what the explorer is able to catch.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import pytest

from .explorer import Findings, explore
from .model import Walk, World
from .mutants import source
from .server import Server
from .worlds import BY_NAME, LONG, SHORT, real_server

HONEST: Final = [world for world in SHORT if world.thief is None]
STOLEN: Final = [world for world in SHORT if world.thief is not None]
FEWEST_STATES: Final = 10_000
"""A world with fewer was cut off by mistake."""


@cache
def walked(world: World) -> Findings:
    return explore(Walk(world, real_server(world)))


def keeps_every_promise(world: World, explored: Callable[[str], None]) -> Findings:
    findings = walked(world)
    explored(f"{world.name:<38} {findings}")
    assert not findings.broken, findings.told
    assert findings.states >= FEWEST_STATES
    assert {"reissue", "early", "advance"} <= findings.outcomes
    return findings


@pytest.mark.slow
@pytest.mark.parametrize("world", HONEST, ids=lambda world: world.name)
def test_an_honest_session_whatever_the_network_does_is_never_ended(
    world: World, explored: Callable[[str], None]
) -> None:
    """
    Loss, duplicates, delay, reordering, tabs that race, reloads and a store that is rolled back sign nobody out, and a
    client whose network is well again is served.
    """
    findings = keeps_every_promise(world, explored)
    assert "replay" not in findings.outcomes


@pytest.mark.slow
@pytest.mark.parametrize("world", STOLEN, ids=lambda world: world.name)
def test_a_stolen_token_whatever_its_thief_does_serves_him_for_one_ripe_rotation_at_most(
    world: World, explored: Callable[[str], None]
) -> None:
    """
    After a theft one of the two is soon left with nothing or the session is over, the owner waits for an overlap at
    most, and a session that was said to be over stays over.
    """
    findings = keeps_every_promise(world, explored)
    assert {"stale", "replay"} <= findings.outcomes


@pytest.mark.parametrize("world", [w for w in HONEST if not w.echoes], ids=lambda world: world.name)
def test_an_honest_session_without_late_echoes_never_meets_stale(world: World) -> None:
    """
    While messages live no longer than promised, no tab is ever told to wait.
    """
    assert "stale" not in walked(world).outcomes


@pytest.mark.parametrize(
    ("name", "too_young"),
    [("tabs", 6), ("two messages, each way", 12), ("two messages, each way, finest tick", 28)],
    ids=["an exchange of up to an overlap", "each way just under an overlap", "each way, finest tick"],
)
def test_a_maturity_of_one_tick_less_than_needed_ends_an_honest_session(
    name: str, too_young: int, explored: Callable[[str], None]
) -> None:
    """
    A sibling that lost can be presented at an age of three lives of an exchange, or four of one way, and no later.
    """
    world = BY_NAME[name]

    def walk(maturity: int) -> Findings:
        changed = ("return MATURITY_IN_OVERLAPS * self.overlap_ms", f"return {maturity}")
        return explore(Walk(world, source(changed)(world.overlap, world.idle)))

    caught = walk(too_young)
    assert caught.broken
    explored(f"{name}: a maturity of {too_young / world.overlap:g} overlaps is too little, a tick more suffices")
    assert not walk(too_young + 1).broken


@pytest.mark.soak
@pytest.mark.parametrize("world", LONG, ids=lambda world: world.name)
def test_a_larger_world_keeps_every_promise(world: World, explored: Callable[[str], None]) -> None:
    """
    More messages in flight, finer ticks, older backups and deeper pockets change nothing.
    """
    keeps_every_promise(world, explored)


def test_the_same_world_walked_twice_is_seen_the_same() -> None:
    """
    The walk is deterministic: the same states, the same steps, the same depth.
    """
    world = World("twice", 1, 1, 1)
    first, second = (explore(Walk(world, Server(1))) for _ in range(2))
    assert (first.states, first.steps, first.depth) == (second.states, second.steps, second.depth)
