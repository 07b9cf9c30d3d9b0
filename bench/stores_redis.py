"""Rotations in Redis: a pipeline for all who wait beside a call each, at 1, 64 and 256 callers."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis
from redis.asyncio import BlockingConnectionPool, Redis

from bench.disk import file_system
from bench.effort import Effort, cores, pin
from bench.report import Section, at_least, median, micros, percentile, rate, ratio
from bench.stores import Rotate, Rotating, rotations_per_second
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import AccountState, Caller, NewSession, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, RotationPolicy
from evertoken.stores.redis.rotation import command
from evertoken.stores.redis.scripts import ROTATE
from evertoken.stores.redis.store import RedisStore
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery

CALLERS = (1, 64, 256)
GOAL_AT = 64
CONNECTIONS = 8
POLICY = RotationPolicy(overlap_ms=0, idle_ms=7 * 24 * 3600 * 1000)
DEVICE = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
SESSIONS_WEIGHED = 20_000

_ACCOUNT = AccountState(0, disabled=False, username="somebody", roles=("member",))
_READY_WITHIN_SECONDS = 10.0


@dataclass(slots=True)
class Measured:
    """Rates of both sides by the number of callers, what a caller waits, CPU per rotation, and memory per session."""

    file_system: str
    grouped: dict[int, list[float]] = field(default_factory=dict)
    one_each: dict[int, list[float]] = field(default_factory=dict)
    cpu_grouped: dict[int, list[float]] = field(default_factory=dict)
    cpu_one_each: dict[int, list[float]] = field(default_factory=dict)
    waits: dict[int, list[float]] = field(default_factory=dict)
    bytes_per_session: float = 0.0


class _Grouped:
    """Our store behind the queue; it remembers how long each rotation took."""

    def __init__(self, store: RedisStore) -> None:
        self._commits = GroupCommit(store.rotate)
        self.took: list[float] = []

    async def submit(self, request: RotationRequest) -> RotationResult:
        began = time.perf_counter()
        result = await self._commits.submit(replace(request, account=_ACCOUNT))
        self.took.append(time.perf_counter() - began)
        return result


class _OneEach:
    """The driver alone: a pool, and the same script for each rotation."""

    def __init__(self, store: RedisStore, client: Redis) -> None:
        self._store = store
        self._client = client

    async def submit(self, request: RotationRequest) -> RotationResult:
        known = replace(request, account=_ACCOUNT)
        sent = command(self._store.keys, known, POLICY, told_ms=0)
        answer = await self._client.execute_command(*sent)  # type: ignore[no-untyped-call]
        assert answer[0] == 3, answer  # ADVANCE
        return RotationResult(Outcome.ADVANCE, 0)


async def measure(folder: Path, program: str, effort: Effort) -> Measured:
    """Alternate between the two kinds of call, for each number of callers; then weigh sessions."""
    measured = Measured(file_system(folder))
    place = folder / "redis"
    place.mkdir()
    with _running(place, program) as port:  # on the core that we are on now
        pin(cores()[0])
        url = f"redis://127.0.0.1:{port}/0"
        store = RedisStore(url, policy=POLICY, access_lifetime_ms=1_800_000)
        await store.start()
        pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=None, protocol=2)
        client = Redis.from_pool(pool)
        try:
            await client.script_load(ROTATE.source)
            sessions = [await _begin(store, number) for number in range(max(CALLERS))]
            for callers in CALLERS:
                await _measure(measured, sessions[:callers], store, client, effort)
            measured.bytes_per_session = await _weigh(store, client, round(SESSIONS_WEIGHED * min(effort.seconds, 1)))
        finally:
            await client.aclose()
            await store.stop()
            pin(cores()[1])
    return measured


async def _measure(
    measured: Measured, sessions: list[Rotating], store: RedisStore, client: Redis, effort: Effort
) -> None:
    callers = len(sessions)
    grouped, one_each = _Grouped(store), _OneEach(store, client)
    sides: list[tuple[dict[int, list[float]], dict[int, list[float]], Rotate]] = [
        (measured.grouped, measured.cpu_grouped, grouped.submit),
        (measured.one_each, measured.cpu_one_each, one_each.submit),
    ]
    for rates, cpu, submit in sides * effort.rounds:
        began = time.process_time()
        rate_now = await rotations_per_second(sessions, submit, effort.seconds)
        rates.setdefault(callers, []).append(rate_now)
        cpu.setdefault(callers, []).append((time.process_time() - began) / (rate_now * effort.seconds))
    measured.waits[callers] = grouped.took


async def _begin(store: RedisStore, number: int) -> Rotating:
    token = refresh_token.first(session_id=number.to_bytes(16, "little"), delivery=Delivery.BODY, now_ms=system_clock())
    await store.create(NewSession(f"u{number}", f"u{number}", 0, "bench", token, Caller("127.0.0.1", DEVICE)))
    return Rotating(token)


async def _weigh(store: RedisStore, client: Redis, many: int) -> float:
    """Memory per session of a user of its own, refreshed once; with the lists that name it."""
    before = int((await client.info("memory"))["used_memory"])
    started = max(CALLERS)
    for number in range(started, started + many):
        await (await _begin(store, number)).rotate(_Grouped(store).submit)
    return (int((await client.info("memory"))["used_memory"]) - before) / many


@contextlib.contextmanager
def _running(folder: Path, program: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "save": '""',
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": "always",
        "auto-aof-rewrite-percentage": 0,
    }
    configuration = folder / "redis.conf"
    configuration.write_text("\n".join(f"{name} {value}" for name, value in settings.items()))
    server = subprocess.Popen([program, configuration], stdout=subprocess.DEVNULL)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        with redis.Redis(port=port) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    if time.monotonic() > give_up_at:
                        raise
                    time.sleep(0.02)
        yield port
    finally:
        server.terminate()
        server.wait()


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found; nothing where there is no Redis."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return [Section("Store operations (Redis)", "not measured: Redis is not installed")]
    return [report(await measure(folder, program, effort))]


def report(measured: Measured) -> Section:
    """Rates, waits and CPU for each number of callers, and memory per session."""
    section = Section(
        "Store operations (Redis, appendfsync always)",
        f"rotations through the store alone on one core, the server on another, on {measured.file_system};"
        f" a call each: redis-py, {CONNECTIONS} connections, the same script",
    )
    for callers in CALLERS:
        name = f"{callers} callers" if callers > 1 else "a lone caller"
        section.add(
            f"{name}, a call each in Redis",
            rate(median(measured.one_each[callers])),
            note=f"our CPU {micros(median(measured.cpu_one_each[callers]))} each",
        )
        waits = measured.waits[callers]
        section.add(
            f"{name}, one pipeline in Redis",
            rate(median(measured.grouped[callers])),
            value=ratio(measured.grouped[callers], measured.one_each[callers]),
            goal=at_least(2) if callers == GOAL_AT else None,
            note=f"our CPU {micros(median(measured.cpu_grouped[callers]))} each,"
            f" waits p50 {micros(median(waits))}, p99 {micros(percentile(waits, 99))}",
        )
    section.add("memory per session in Redis", f"{measured.bytes_per_session:.0f} bytes")
    return section
