"""Rotations in Redis: a pipeline for all who wait beside a call each."""

from pathlib import Path

from redis.asyncio import BlockingConnectionPool, Redis

from bench import redis_server, stores
from bench.disk import file_system
from bench.effort import Effort, cores, pin
from bench.processes import cpu_of
from bench.report import Section
from bench.stores import CALLERS, POLICY, Measured, Rotate, Rotating, with_account
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import Caller, NewSession, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome
from evertoken.stores.redis.rotation import command
from evertoken.stores.redis.scripts import ROTATE
from evertoken.stores.redis.store import RedisStore
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery

CONNECTIONS = 8
DEVICE = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
SESSIONS_WEIGHED = 20_000


class _OneEach:
    """The driver alone: a pool, and the same script for each rotation."""

    def __init__(self, store: RedisStore, client: Redis) -> None:
        self._store = store
        self._client = client

    async def submit(self, request: RotationRequest) -> RotationResult:
        sent = command(self._store.keys, request, POLICY, told_ms=0)
        answer = await self._client.execute_command(*sent)  # type: ignore[no-untyped-call]
        assert answer[0] == 3, answer  # ADVANCE
        return RotationResult(Outcome.ADVANCE, 0)


async def _measure(folder: Path, program: str, effort: Effort) -> tuple[Measured, float]:
    place = folder / "redis"
    place.mkdir()
    with redis_server.running(place, program) as server:  # on the core that we are on now
        pin(cores()[0])
        store = RedisStore(server.url, policy=POLICY, access_lifetime_ms=1_800_000)
        await store.start()
        pool = BlockingConnectionPool.from_url(server.url, max_connections=CONNECTIONS, timeout=None, protocol=2)
        client = Redis.from_pool(pool)
        try:
            await client.script_load(ROTATE.source)
            sessions = [await _begin(store, number) for number in range(max(CALLERS))]
            together = with_account(GroupCommit(store.rotate).submit)
            measured = await stores.compare(
                sessions,
                each=with_account(_OneEach(store, client).submit),
                together=together,
                effort=effort,
                database_cpu=lambda: cpu_of(server.pid),
            )
            return measured, await _weigh(store, client, together, round(SESSIONS_WEIGHED * min(effort.seconds, 1)))
        finally:
            await client.aclose()
            await store.stop()
            pin(cores()[1])


async def _begin(store: RedisStore, number: int) -> Rotating:
    token = refresh_token.first(session_id=number.to_bytes(16, "little"), delivery=Delivery.BODY, now_ms=system_clock())
    await store.create(NewSession(f"u{number}", f"u{number}", 0, "bench", token, Caller("127.0.0.1", DEVICE)))
    return Rotating(token)


async def _weigh(store: RedisStore, client: Redis, rotate: Rotate, many: int) -> float:
    """Memory per session of a user of its own, refreshed once; with the lists that name it."""
    before = int((await client.info("memory"))["used_memory"])
    started = max(CALLERS)
    for number in range(started, started + many):
        await (await _begin(store, number)).rotate(rotate)
    return (int((await client.info("memory"))["used_memory"]) - before) / many


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found; nothing where there is no Redis."""
    program = redis_server.program()
    if program is None:
        return [Section("Store operations (Redis)", "not measured: Redis is not installed")]
    section = Section(
        "Store operations (Redis, appendfsync always)",
        f"rotations through the store alone on one core, the server on another, on {file_system(folder)};"
        f" a call each: redis-py, {CONNECTIONS} connections, the same script",
    )
    measured, weight = await _measure(folder, program, effort)
    stores.report(section, measured, store="Redis", each="redis-py's own call each", goal=2)
    section.add("memory per session in Redis", f"{weight:.0f} bytes")
    return [section]
