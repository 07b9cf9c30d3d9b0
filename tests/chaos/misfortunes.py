"""What befalls servers, databases and the network in between, one at a time."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable

from tests.chaos import engines
from tests.chaos.stage import Stage

Misfortune = Callable[[Stage], Awaitable[None]]

CANNOT_START = "a worker could not start"

SILENT_SECONDS = 1.0
GIVEN_UP_WITHIN_SECONDS = 8.5
"""How long a call waits for a database that says nothing, and a little more."""

LOST_SECONDS = 3.0
"""For how long things are acknowledged that will be lost: time for some clients to rotate twice."""

REAPPLIED_SECONDS = 3.0
"""How long after the store went back its servers may take to end again what they remember."""


async def _rest(stage: Stage, longest_seconds: float = 1.0) -> None:
    await asyncio.sleep(stage.chance.uniform(0.1, longest_seconds))


async def kill_worker(stage: Stage) -> None:
    """A worker ends in the middle of everything."""
    async with stage.incident("a worker killed"):
        stage.kill_worker()


async def kill_a_part(stage: Stage) -> None:
    """One of the database's processes ends; all of it, where it has but one."""
    parts = stage.engine.parts()
    if not parts:
        await kill_database(stage)
        return
    async with stage.incident("a process of the database killed"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(stage.chance.choice(parts), signal.SIGKILL)


async def kill_database(stage: Stage) -> None:
    """All of the database ends, and comes back."""
    async with stage.incident("the database killed"):
        await asyncio.to_thread(stage.engine.kill)
        await _rest(stage)
        await asyncio.to_thread(stage.engine.start)


async def kill_both(stage: Stage) -> None:
    """The database ends, then a worker: the next one finds no database."""
    async with stage.incident("a worker killed while the database was away"):
        before = stage.server.stderr.count(CANNOT_START)
        await asyncio.to_thread(stage.engine.kill)
        stage.kill_worker()
        await stage.until_said(CANNOT_START, before + 1)
        await asyncio.to_thread(stage.engine.start)


async def reset_clients(stage: Stage) -> None:
    """All connections of the clients end, and new ones too for a moment."""
    assert stage.entry is not None
    async with stage.incident("the clients' network reset"):
        stage.entry.reset()
        await _rest(stage)
        stage.entry.pass_on()


async def lose_answers(stage: Stage) -> None:
    """What clients ask reaches the servers, and no answer comes back; then their connections end."""
    assert stage.entry is not None
    async with stage.incident("the servers' answers lost"):
        stage.entry.swallow_answers()
        await _rest(stage)
        stage.entry.reset()
        stage.entry.pass_on()


async def reset_database(stage: Stage) -> None:
    """All connections to the database end, in the middle of transactions, and new ones too for a moment."""
    assert stage.database is not None
    async with stage.incident("the database's network reset"):
        stage.database.reset()
        await _rest(stage)
        stage.database.pass_on()


async def silence_database(stage: Stage) -> None:
    """First the database's answers are lost, then all that is sent to it; nobody is told."""
    assert stage.database is not None
    async with stage.incident("the database's network silent", settles_seconds=GIVEN_UP_WITHIN_SECONDS):
        stage.database.swallow_answers()
        await asyncio.sleep(SILENT_SECONDS / 2)
        stage.database.swallow()
        await asyncio.sleep(SILENT_SECONDS / 2)
        stage.database.pass_on()


async def fail_over(stage: Stage) -> None:
    """A standby takes over that lacks what was committed in the last seconds."""
    pair = stage.engine
    assert isinstance(pair, engines.PostgresPair)
    kept_until = stage.clock()
    await pair.cut_standby_off()
    await asyncio.sleep(LOST_SECONDS)
    began = stage.clock()
    await asyncio.to_thread(pair.kill)
    await _rest(stage)
    await pair.promote()
    await stage.over("failed over", began, kept_until=kept_until)
    await asyncio.sleep(REAPPLIED_SECONDS)


async def set_back(stage: Stage) -> None:
    """A snapshot that is some seconds old takes the place of the data."""
    redis = stage.engine
    assert isinstance(redis, engines.Redis)
    kept_until = stage.clock()
    snapshot = await asyncio.to_thread(redis.back_up)
    await asyncio.sleep(LOST_SECONDS)
    began = stage.clock()
    await asyncio.to_thread(redis.restore, snapshot)
    await stage.over("set back", began, kept_until=kept_until)
    await asyncio.sleep(REAPPLIED_SECONDS)


KILLS = (kill_worker, kill_a_part, kill_database, kill_both)
CUTS = (reset_clients, lose_answers, reset_database, silence_database)


def one_after_the_other(*misfortunes: Misfortune, lull_seconds: float = 1.0) -> Misfortune:
    """
    Let all of them happen.

    Args:
        lull_seconds: The longest time between two.
    """

    async def all_of_them(stage: Stage) -> None:
        for misfortune in misfortunes:
            await _rest(stage, lull_seconds)
            await misfortune(stage)
        await _rest(stage, lull_seconds)

    return all_of_them


def at_random(*misfortunes: Misfortune, for_seconds: float) -> Misfortune:
    """Let them happen in any order, again and again."""

    async def some_of_them(stage: Stage) -> None:
        until = stage.clock() + for_seconds
        while stage.clock() < until:
            await _rest(stage, 5)
            await stage.chance.choice(misfortunes)(stage)

    return some_of_them
