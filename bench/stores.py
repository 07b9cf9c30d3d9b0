"""
Rotations in a store alone, without HTTP: group commit beside the driver's own statement each.

What is the same for every engine is here; an engine's own file starts its database, says what one would write by hand
with its driver, and lends both to `compare`.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.effort import Effort
from bench.report import Section, at_least, median, micros, percentile, rate, ratio
from evertoken.accounts.users import User
from evertoken.clock import system_clock
from evertoken.sessions.model import AccountState, Caller, NewSession, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, RotationPolicy
from evertoken.stores.store import Store
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken

CALLERS = (1, 64, 256)
GOAL_AT = 64
"""At how many callers the goals are meant."""

IDLE_MS = 7 * 24 * 3600 * 1000
POLICY = RotationPolicy(overlap_ms=0, idle_ms=IDLE_MS)
"""Every successor counts at once, so that every rotation is an ADVANCE."""

Rotate = Callable[[RotationRequest], Awaitable[RotationResult]]
ACCOUNT = AccountState(0, disabled=False, username="somebody", roles=("member",))
"""Of everybody, where users are not in the store."""

CpuClock = Callable[[], float]
"""Reads the CPU seconds that something has used so far."""


def with_account(rotate: Rotate) -> Rotate:
    """Where users are elsewhere, what is known of them comes with each request."""
    return lambda request: rotate(replace(request, account=ACCOUNT))


class Refreshing(Protocol):
    """Somebody who refreshes, again and again."""

    async def rotate(self, rotate: Rotate) -> None:
        """Once."""


@dataclass(slots=True)
class Rounds:
    """
    What one side did at one number of callers.

    Args:
        waits: How long each rotation took, from call to answer, in seconds; of all rounds together.
        cpu: Of our process, the load included, in seconds for each rotation, by round.
        database_cpu: Of the database's processes likewise; empty where it has none.
    """

    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    database_cpu: list[float] = field(default_factory=list)

    def note(self) -> str:
        """Latencies and CPU, for the table."""
        parts = [
            f"p50 {micros(median(self.waits))}, p99 {micros(percentile(self.waits, 99))}",
            f"our CPU {micros(median(self.cpu))} each",
        ]
        if self.database_cpu:
            parts.append(f"its CPU {micros(median(self.database_cpu))} each")
        return "; ".join(parts)


@dataclass(slots=True)
class Measured:
    """Both sides, by the number of callers."""

    each: dict[int, Rounds] = field(default_factory=dict)
    together: dict[int, Rounds] = field(default_factory=dict)


class Rotating:
    """A caller who presents the newest token that there is, again and again."""

    def __init__(self, token: RefreshToken) -> None:
        self._token = token
        self._caller = Caller("127.0.0.1", "evertoken-bench/1")

    @classmethod
    async def begin(cls, store: Store, number: int) -> "Rotating":
        """A session of a user of its own."""
        name = f"user{number}"
        await store.add_user(User(name, name, "", 0, False, ("member",), system_clock()))
        session_id = number.to_bytes(16, "big")
        token = refresh_token.first(session_id=session_id, delivery=Delivery.BODY, now_ms=system_clock())
        session = cls(token)
        await store.create(NewSession(name, name, 0, "bench", token, session._caller))
        return session

    async def rotate(self, rotate: Rotate) -> None:
        """The next refresh; it must be an ADVANCE."""
        child = refresh_token.child_of(self._token, now_ms=system_clock())
        result = await rotate(RotationRequest(child, self._caller))
        assert result.outcome is Outcome.ADVANCE, result.outcome
        self._token = child


async def rotations_per_second(
    sessions: Sequence[Refreshing], rotate: Rotate, seconds: float, *, waits: list[float] | None = None
) -> float:
    """
    A closed loop: each session is refreshed again as soon as it was.

    Args:
        waits: Where how long each rotation took is added.
    """
    done = 0
    began = time.perf_counter()

    async def caller(session: Refreshing) -> None:
        nonlocal done
        sent = began
        while sent - began < seconds:
            await session.rotate(rotate)
            done += 1
            answered = time.perf_counter()
            if waits is not None:
                waits.append(answered - sent)
            sent = answered

    await asyncio.gather(*map(caller, sessions))
    return done / (time.perf_counter() - began)


async def compare(
    sessions: Sequence[Rotating],
    *,
    each: Rotate,
    together: Rotate,
    effort: Effort,
    database_cpu: CpuClock | None = None,
) -> Measured:
    """
    Alternate between the two sides, for each number of callers.

    Args:
        sessions: As many as the greatest number of callers.
        each: The driver's own statement, and a commit, for each rotation.
        together: Our store behind its queue.
        database_cpu: Of the database's processes; None where the database is a library.
    """
    measured = Measured()
    for callers in CALLERS:
        sides = [(measured.together.setdefault(callers, Rounds()), together)]
        sides.append((measured.each.setdefault(callers, Rounds()), each))
        for rounds, rotate in itertools.chain.from_iterable([sides] * effort.rounds):
            cpu, database = time.process_time(), database_cpu() if database_cpu else 0.0
            before = len(rounds.waits)
            rounds.rates.append(
                await rotations_per_second(sessions[:callers], rotate, effort.seconds, waits=rounds.waits)
            )
            done = len(rounds.waits) - before
            rounds.cpu.append((time.process_time() - cpu) / done)
            if database_cpu:
                rounds.database_cpu.append((database_cpu() - database) / done)
    return measured


def report(section: Section, measured: Measured, *, store: str, each: str, goal: float) -> Section:
    """
    Rates, waits and CPU of both sides for each number of callers.

    Args:
        store: The engine's name; it stands in every row, so that each can be told from another's.
        each: What the other side is, as `asyncpg's own statement each`.
        goal: For the ratio at `GOAL_AT` callers.
    """
    for callers in CALLERS:
        name = f"{store}, {callers} callers" if callers > 1 else f"{store}, a lone caller"
        one, all_ = measured.each[callers], measured.together[callers]
        section.add(f"{name}, {each}", rate(median(one.rates)), note=one.note())
        section.add(
            f"{name}, group commit",
            rate(median(all_.rates)),
            value=ratio(all_.rates, one.rates),
            goal=at_least(goal) if callers == GOAL_AT else None,
            note=all_.note(),
        )
    return section
