"""One worker process of several on one SQLite file, and what it remembers of its race."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from evertoken.clock import system_clock
from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import Caller, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.tokens.refresh_token import RefreshToken
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY

PATIENCE_SECONDS = 30
"""For the barrier: a worker that died fails the test instead of hanging it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One acknowledged answer, with the moments between which it was decided."""

    worker: int
    session_id: bytes
    generation: int
    outcome: Outcome
    began_at: float
    ended_at: float


def open_store(path: Path) -> SqliteStore:
    """As a worker of the server opens it, with the machine's clock."""
    return SqliteStore(path, clock=system_clock, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS)


def present_in_rounds(
    number: int, path: Path, rounds: Sequence[Sequence[RefreshToken]], barrier: Barrier, out: "Queue[list[Seen]]"
) -> None:
    """Present every token of a round, and those of the round before again, while the other workers do the same."""
    asyncio.run(_present_in_rounds(number, path, rounds, barrier, out))


async def _present_in_rounds(
    number: int, path: Path, rounds: Sequence[Sequence[RefreshToken]], barrier: Barrier, out: "Queue[list[Seen]]"
) -> None:
    chance = random.Random(number)
    store = open_store(path)
    seen: list[Seen] = []
    late: Sequence[RefreshToken] = ()
    for tokens in rounds:
        barrier.wait(PATIENCE_SECONDS)
        for batch in (*_batches(tokens, chance), *_batches(late, chance)):
            seen += await _present(number, store, batch)
        late = tokens
    store.close()
    out.put(seen)


def _batches(tokens: Sequence[RefreshToken], chance: random.Random) -> list[list[RefreshToken]]:
    shuffled = chance.sample(tokens, len(tokens))
    size = chance.randint(1, 8)
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]


async def _present(number: int, store: SqliteStore, batch: Sequence[RefreshToken]) -> list[Seen]:
    began_at = time.monotonic()
    results = await store.rotate([RotationRequest(token, Caller(f"worker {number}")) for token in batch])
    ended_at = time.monotonic()
    return [_seen(number, token, result, began_at, ended_at) for token, result in zip(batch, results, strict=True)]


def _seen(number: int, token: RefreshToken, result: RotationResult, began_at: float, ended_at: float) -> Seen:
    return Seen(number, token.session_id, token.generation, result.outcome, began_at, ended_at)


def refresh_without_end(
    number: int, path: Path, tokens: Sequence[RefreshToken], barrier: Barrier, out: "Queue[list[Seen]]"
) -> None:
    """Refresh these sessions again and again until all of them are over, and once more."""

    async def body() -> list[Seen]:
        store = open_store(path)
        barrier.wait(PATIENCE_SECONDS)
        seen: list[Seen] = []
        answers: list[Seen] = []
        while {answer.outcome for answer in answers} != {Outcome.GONE}:
            answers = await _present(number, store, tokens)
            seen += answers
        # All of them may have ended within one round, which began before.
        seen += await _present(number, store, tokens)
        store.close()
        return seen

    out.put(asyncio.run(body()))


def end_one_by_one(
    path: Path, tokens: Sequence[RefreshToken], barrier: Barrier, out: "Queue[dict[bytes, float]]"
) -> None:
    """End these sessions; tells when each ending had been acknowledged."""

    async def body() -> dict[bytes, float]:
        store = open_store(path)
        barrier.wait(PATIENCE_SECONDS)
        acknowledged: dict[bytes, float] = {}
        for token in tokens:
            await store.end(token.session_id, Reason.SIGNED_OUT, Caller())
            acknowledged[token.session_id] = time.monotonic()
        store.close()
        return acknowledged

    out.put(asyncio.run(body()))


def refresh_until_killed(path: Path, token: RefreshToken, acknowledged: Any) -> None:
    """Refresh one session for ever; `acknowledged` counts the answers that came."""

    async def body() -> None:
        store = open_store(path)
        while True:
            try:
                await store.rotate([RotationRequest(token, Caller())])
            except StoreUnavailable:
                continue
            acknowledged.value += 1

    asyncio.run(body())
