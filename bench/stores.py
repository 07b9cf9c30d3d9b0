"""Rotations in the store, with and without group commit; a lone caller beside a bare commit."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.disk import file_system, sync_seconds
from bench.effort import Effort, cores, pin
from bench.report import Section, at_least, at_most, median, micros, percentile, rate, ratio
from evertoken.accounts.users import User
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import Caller, NewSession, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, RotationPolicy
from evertoken.stores.sqlite import worker
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.stores.store import Store
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken

CALLERS = 64
LONE_CALLS = 100

Rotate = Callable[[RotationRequest], Awaitable[RotationResult]]


@dataclass(slots=True)
class Measured:
    """Rates at 64 callers, and the times of a lone one."""

    file_system: str = ""
    sync_seconds: float = 0.0
    grouped: list[float] = field(default_factory=list)
    one_each: list[float] = field(default_factory=list)
    lone: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


async def measure(folder: Path, effort: Effort) -> Measured:
    """Alternate between the two kinds of commit, and between a lone caller and a bare commit."""
    measured = Measured(file_system(folder), sync_seconds(folder))
    pin(cores()[0])
    store = SqliteStore(
        folder / "rotations.db",
        clock=system_clock,
        policy=RotationPolicy(overlap_ms=0, idle_ms=7 * 24 * 3600 * 1000),
        access_lifetime_ms=1_800_000,
    )
    try:
        sessions = [await Rotating.begin(store, number) for number in range(CALLERS)]
        grouped = GroupCommit(store.rotate).submit

        async def one_each(request: RotationRequest) -> RotationResult:
            return (await store.rotate([request]))[0]

        for _ in range(effort.rounds):
            measured.grouped.append(await rotations_per_second(sessions, grouped, effort.seconds))
            with _one_job_per_commit():
                measured.one_each.append(await rotations_per_second(sessions, one_each, effort.seconds))
        with contextlib.closing(_bare_database(folder / "bare.db")) as bare:
            for _ in range(round(LONE_CALLS * effort.seconds * effort.rounds)):
                measured.lone.append(await _timed(sessions[0].rotate(grouped)))
                measured.bare.append(_bare_commit(bare))
    finally:
        store.close()
        pin(cores()[1])
    return measured


class Rotating:
    """A caller who presents the newest token that there is, again and again."""

    def __init__(self, token: RefreshToken) -> None:
        self._token = token
        self._caller = Caller("127.0.0.1", "evertoken-bench/1")

    @classmethod
    async def begin(cls, store: Store, number: int) -> "Rotating":
        name = f"user{number}"
        await store.add_user(User(name, name, "", 0, False, ("member",), system_clock()))
        session_id = number.to_bytes(16, "big")
        token = refresh_token.first(session_id=session_id, delivery=Delivery.BODY, now_ms=system_clock())
        session = cls(token)
        await store.create(NewSession(name, name, 0, "bench", token, session._caller))
        return session

    async def rotate(self, rotate: Rotate) -> None:
        child = refresh_token.child_of(self._token, now_ms=system_clock())
        result = await rotate(RotationRequest(child, self._caller))
        assert result.outcome is Outcome.ADVANCE, result.outcome
        self._token = child


async def rotations_per_second(sessions: list[Rotating], rotate: Rotate, seconds: float) -> float:
    done = 0
    began = time.perf_counter()

    async def caller(session: Rotating) -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await session.rotate(rotate)
            done += 1

    await asyncio.gather(*map(caller, sessions))
    return done / (time.perf_counter() - began)


@contextlib.contextmanager
def _one_job_per_commit() -> Iterator[None]:
    usual = worker.MAX_JOBS_PER_COMMIT
    worker.MAX_JOBS_PER_COMMIT = 1
    try:
        yield
    finally:
        worker.MAX_JOBS_PER_COMMIT = usual


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def _bare_database(path: Path) -> sqlite3.Connection:
    """One row in a file of its own, with the same promise: on the disk when the commit returns."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE bare (n INTEGER)",
        "INSERT INTO bare VALUES (0)",
    ):
        connection.execute(statement)
    return connection


def _bare_commit(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    connection.execute("UPDATE bare SET n = n + 1")
    return time.perf_counter() - began


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found."""
    return [report(await measure(folder, effort))]


def report(measured: Measured) -> Section:
    """Rates, and what a lone caller waits beyond one commit."""
    section = Section(
        "Store operations (SQLite, synchronous=FULL)",
        f"rotations through the store alone, one core, on {measured.file_system}:"
        f" one fdatasync takes {micros(measured.sync_seconds)}",
    )
    section.add(f"{CALLERS} callers, a commit each", rate(median(measured.one_each)))
    section.add(
        f"{CALLERS} callers, group commit",
        rate(median(measured.grouped)),
        value=ratio(measured.grouped, measured.one_each),
        goal=at_least(5),
    )
    bare = median(measured.bare)
    beyond = median([lone - bare for lone, bare in zip(measured.lone, measured.bare, strict=True)])
    section.add("one bare commit (sqlite3)", micros(bare), note=f"p99 {micros(percentile(measured.bare, 99))}")
    section.add(
        "a lone caller's rotation, beyond it",
        micros(median(measured.lone)),
        value=beyond * 1e3,
        goal=at_most(1, " ms"),
        note=f"p99 {micros(percentile(measured.lone, 99))}",
    )
    return section
