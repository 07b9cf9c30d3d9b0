"""Rotations in SQLite: group commit beside a statement each of Python's sqlite3; a lone caller beside a bare commit."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path

from bench import stores
from bench.disk import file_system, sync_seconds
from bench.effort import Effort, cores, pin
from bench.report import Section, at_most, median, micros, percentile
from bench.stores import CALLERS, IDLE_MS, POLICY, Measured, Rotate, Rotating
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome
from evertoken.stores.sqlite.connection import open_for_writing
from evertoken.stores.sqlite.store import SqliteStore

LONE_CALLS = 100

# What one would write by hand: the same row and the same promise, without the cases that an ADVANCE does not need.
_ONE = f"""
UPDATE sessions SET outcome = 3, previous = tag, tag = ?2, generation = ?4, advanced_at_ms = ?5, refreshed_at_ms = ?5,
  refreshed_address = ?6, refreshed_device = ?7, idle_expires_at_ms = ?5 + {IDLE_MS}, rotations = rotations + 1,
  recent_rotations = substr(?5 || ',' || recent_rotations, 1, 280)
WHERE id = ?1 AND tag = ?3 AND revoked_at_ms IS NULL AND idle_expires_at_ms > ?5
  AND user_epoch = (SELECT epoch FROM users WHERE users.id = sessions.user_id AND disabled = 0)
RETURNING user_id, client_id, (SELECT username FROM users WHERE users.id = sessions.user_id),
  (SELECT roles FROM users WHERE users.id = sessions.user_id)
"""


@dataclass(slots=True)
class _Lone:
    """The times of a lone caller, and of a bare commit beside each."""

    rotations: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


class _OneEach:
    """
    The driver alone: one connection, and a statement with a commit of its own for each rotation, first come, first
    served. In the event loop, for a thread would cost more than it gives: SQLite writes one after the other anyway.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def submit(self, request: RotationRequest) -> RotationResult:
        token, caller, now_ms = request.token, request.caller, system_clock()
        given = (token.session_id, token.tag, token.parent, token.generation, now_ms, caller.address, caller.device)
        async with self._turn:
            await asyncio.sleep(0)  # the others come to stand in the queue, so that what they wait is counted
            found = self._connection.execute(_ONE, given).fetchall()
        assert len(found) == 1
        return RotationResult(Outcome.ADVANCE, now_ms)


async def _measure(folder: Path, effort: Effort) -> tuple[Measured, _Lone]:
    path = folder / "rotations.db"
    store = SqliteStore(path, clock=system_clock, policy=POLICY, access_lifetime_ms=1_800_000)
    try:
        sessions = [await Rotating.begin(store, number) for number in range(max(CALLERS))]
        grouped = GroupCommit(store.rotate).submit
        with contextlib.closing(open_for_writing(path)) as connection:
            measured = await stores.compare(sessions, each=_OneEach(connection).submit, together=grouped, effort=effort)
        return measured, await _alone(folder, sessions[0], grouped, round(LONE_CALLS * effort.seconds * effort.rounds))
    finally:
        store.close()


async def _alone(folder: Path, session: Rotating, grouped: Rotate, times: int) -> _Lone:
    """Alternate between a lone caller and a bare commit."""
    lone = _Lone()
    with contextlib.closing(_bare_database(folder / "bare.db")) as bare:
        for _ in range(times):
            lone.rotations.append(await _timed(session.rotate(grouped)))
            lone.bare.append(_bare_commit(bare))
    return lone


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
    """Measure on one core, and say what was found."""
    section = Section(
        "Store operations (SQLite, synchronous=FULL)",
        f"rotations through the store alone, one core, on {file_system(folder)}:"
        f" one fdatasync takes {micros(sync_seconds(folder))}; its CPU is in ours",
    )
    pin(cores()[0])
    try:
        measured, lone = await _measure(folder, effort)
    finally:
        pin(cores()[1])
    stores.report(section, measured, store="SQLite", each="sqlite3's own statement each", goal=5)
    bare = median(lone.bare)
    beyond = median([rotation - bare for rotation, bare in zip(lone.rotations, lone.bare, strict=True)])
    section.add("one bare commit (sqlite3)", micros(bare), note=f"p99 {micros(percentile(lone.bare, 99))}")
    section.add(
        "a lone caller's rotation, beyond it",
        micros(median(lone.rotations)),
        value=beyond * 1e3,
        goal=at_most(1, " ms"),
        note=f"p99 {micros(percentile(lone.rotations, 99))}",
    )
    return [section]
