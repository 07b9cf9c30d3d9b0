"""The measurement: an empty store, a full one, what each is asked, and sweeping while refreshes go on."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.millions.asking import timed, what_operators_ask, what_servers_ask
from bench.millions.filling import POLICY, Engine, Plans, Weight
from bench.millions.people import Person, live_ones, users_of
from bench.stores import Rotate, Rotating, rotations_per_second
from evertoken.clock import system_clock
from evertoken.edge.background import SWEEP_PAUSE_SECONDS
from evertoken.sessions.group_commit import GroupCommit

CALLERS = 64
EMPTY = 1_000
"""How many sessions are in a store that is called empty: each caller has some."""

ROUNDS = 3
SWEPT_FOR_SECONDS = 45.0
"""How long sweeping is looked at; of ten million it would take a quarter of an hour."""

_PRESENTED = 200_000
"""Of how many sessions, from all over the store, the callers present tokens in turn."""


@dataclass(slots=True)
class Refreshes:
    """What refreshes did for a while, all callers together; waits in seconds."""

    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Sweep:
    """What sweeping took, and what refreshes waited meanwhile; in seconds."""

    gone: int = 0
    seconds: float = 0.0
    longest_step: float = 0.0
    refreshes: Refreshes = field(default_factory=Refreshes)


@dataclass(slots=True)
class Measured:
    """Everything of one engine."""

    sessions: int
    empty: Refreshes = field(default_factory=Refreshes)
    full: Refreshes = field(default_factory=Refreshes)
    fill_seconds: float = 0.0
    start_seconds: float = 0.0
    weights: dict[str, Weight] = field(default_factory=dict)
    weights_later: dict[str, Weight] = field(default_factory=dict)
    plans: Plans = field(default_factory=Plans)
    questions: dict[str, list[float]] = field(default_factory=dict)
    sweep: Sweep = field(default_factory=Sweep)
    facts: list[tuple[str, str]] = field(default_factory=list)


class _Crowd:
    """Many sessions, refreshed one after the other: as they lie in the store, not one page again and again."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._turn = itertools.cycle([Rotating(one.token()) for one in people])

    async def rotate(self, rotate: Rotate) -> None:
        await next(self._turn).rotate(rotate)


async def measure_empty(engine: Engine, *, seconds: float, rounds: int = ROUNDS) -> Refreshes:
    """What refreshes do where there are few sessions."""
    now_ms = system_clock()
    await engine.fill(EMPTY, now_ms)
    crowds = _crowds(live_ones(EMPTY, EMPTY, now_ms, idle_ms=POLICY.idle_ms))
    store = await engine.open()
    try:
        return await _refresh(engine, store, crowds, seconds, rounds)
    finally:
        await store.stop()


async def measure_full(
    engine: Engine, measured: Measured, *, seconds: float, rounds: int = ROUNDS, say: Callable[[str], None]
) -> None:
    """
    Fill a new store, and measure everything else.

    Args:
        measured: Where the figures go, as they come.
        say: Told what is being done.
    """
    now_ms, count = system_clock(), measured.sessions
    say(f"filling {engine.title} with {count:,} sessions")
    began = time.perf_counter()
    await engine.fill(count, now_ms)
    measured.fill_seconds = time.perf_counter() - began
    measured.weights = await engine.weigh()
    people = live_ones(count, _PRESENTED, now_ms, idle_ms=POLICY.idle_ms)
    asked, people = people[:4], people[4:]

    say("starting, and refreshing")
    began = time.perf_counter()
    store = await engine.open()
    await store.find(people[0].id)
    measured.start_seconds = time.perf_counter() - began
    try:
        crowds = _crowds(people)
        measured.full = await _refresh(engine, store, crowds, seconds, rounds)
        measured.facts = await engine.facts()
        say("asking")
        for name, question in what_operators_ask(store, asked[0], users_of(count)).items():
            measured.questions[name] = [await timed(question) for _ in range(5)]
        say("sweeping while refreshes go on")
        measured.sweep = await _sweep(engine, store, crowds)
    finally:
        await store.stop()
    measured.weights_later = await engine.weigh()
    say("looking at the plans")

    async def ask_everything(store: Any) -> None:
        for question in what_operators_ask(store, asked[1], users_of(count)).values():
            await timed(question)
        for question in what_servers_ask(store, asked[2], asked[3]).values():
            await timed(question)

    measured.plans = await engine.plans(ask_everything)


def _crowds(people: Sequence[Person]) -> list[_Crowd]:
    callers = min(CALLERS, len(people))
    return [_Crowd(people[number::callers]) for number in range(callers)]


def _queued(engine: Engine, store: Any) -> Rotate:
    return GroupCommit(engine.rotate(store)).submit


async def _refresh(engine: Engine, store: Any, crowds: Sequence[_Crowd], seconds: float, rounds: int) -> Refreshes:
    done = Refreshes()
    rotate = _queued(engine, store)
    await rotations_per_second(crowds, rotate, seconds / 2)
    for _ in range(rounds):
        done.rates.append(await rotations_per_second(crowds, rotate, seconds, waits=done.waits))
    return done


async def _sweep(engine: Engine, store: Any, crowds: Sequence[_Crowd]) -> Sweep:
    """As the server does it, step after step with a pause in between, until the walk has been round or it is enough."""
    sweep = Sweep()
    rotate = _queued(engine, store)
    over = asyncio.Event()

    async def refresh() -> None:
        while not over.is_set():
            rate = await rotations_per_second(crowds[:16], rotate, 0.5, waits=sweep.refreshes.waits)
            sweep.refreshes.rates.append(rate)

    refreshing = asyncio.create_task(refresh())
    try:
        began = time.perf_counter()
        while (gone := await _step(store.sweep, sweep)) is not None:
            sweep.gone += gone
            if time.perf_counter() - began > SWEPT_FOR_SECONDS:
                break
            await asyncio.sleep(SWEEP_PAUSE_SECONDS)
        sweep.seconds = time.perf_counter() - began
    finally:
        over.set()
        await refreshing
    return sweep


async def _step(sweep_once: Callable[[], Awaitable[int | None]], sweep: Sweep) -> int | None:
    began = time.perf_counter()
    gone = await sweep_once()
    sweep.longest_step = max(sweep.longest_step, time.perf_counter() - began)
    return gone
