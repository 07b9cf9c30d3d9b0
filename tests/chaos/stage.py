"""A run: a real `evertoken serve` over a real database, 64 honest clients, thieves, an operator, and some bad luck."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.users import User
from evertoken.assembly import open_store
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.errors import RefreshUnavailable
from evertoken.secret import Secret
from evertoken.sessions.model import EventKind, session_id_bytes
from tests.chaos.checker import Promises, check
from tests.chaos.clients import Client, Thief
from tests.chaos.engines import Engine
from tests.chaos.history import Ask, Clock, Got, History, Incident, Standing
from tests.processes.connection import Connection, ConnectionLost
from tests.processes.ledger import SECRET
from tests.stores.proxy import Proxy
from tests.support.process import ServerProcess
from tests.support.server import PASSWORD

CLIENTS = 64
USERS = 16
THIEVES = 3
"""At work at once; whoever is found out makes room for the next."""

WORKERS = 2
OPERATOR = "root"
PROMISES = Promises(known_within=4.0)
"""As the defaults, but twice the time for guards: the machine of a test may be busy."""
SEED = "EVERTOKEN_TEST_SEED"
"""The environment's way to say how chance falls. Processes still meet as they like."""

SETTINGS = {
    "workers": WORKERS,
    # Shorter than any of ours would be: tokens are ripe after a second, so that in a short run sessions rotate often.
    "overlap": "0.25s",
    "access_lifetime": "10s",
    "log_level": "warning",
    # All come from one address, and a sign-in that is cut off counts as one that failed.
    "free_failures_per_pair": 85,
    "free_failures_per_account": 85,
    "free_failures_per_address": 278,
}

_WAITS_FOR_STORE = ("evertoken.errors.ConfigurationError: store:", "evertoken.errors.StoreUnavailable:")
"""What a worker says that was started while the database was away; it is started again."""

READY_IN_A_ROW = 4 * WORKERS
WELL_WITHIN_SECONDS = 60.0


@dataclass(slots=True)
class Stage:
    """
    Everything of one run.

    Args:
        database, entry: The ways to the database and to the servers, where they can be cut.
        pace: Seconds between two requests of a client, at most.
    """

    engine: Engine
    server: ServerProcess
    folder: Path
    chance: random.Random
    database: Proxy | None = None
    entry: Proxy | None = None
    pace: float = 1.0
    history: History = field(default_factory=History)
    clock: Clock = field(default_factory=Clock)
    clients: list[Client] = field(default_factory=list)
    thieves: list[Thief] = field(default_factory=list)

    async def play(self, chaos: Callable[["Stage"], Awaitable[None]]) -> None:
        """Sign everybody in, let `chaos` rage while they go on, and at the end have everybody refresh once more."""
        async with contextlib.AsyncExitStack() as stack:
            everybody = [self._client(f"client {number}", f"user{number % USERS}") for number in range(CLIENTS)]
            operator = self._client("operator", OPERATOR)
            for client in (*everybody, operator):
                await stack.enter_async_context(client)
                client.siblings = [one for one in everybody if one.account == client.account and one is not client]
            self.clients = everybody
            await asyncio.gather(*(client.sign_in() for client in (*everybody, operator)))
            ending = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for client in everybody:
                    group.create_task(client.live())
                group.create_task(self._operate(operator, ending))
                group.create_task(self._steal(ending))
                await chaos(self)
                await self.all_is_well()
                ending.set()
                for client in everybody:
                    client.stop()
            await asyncio.gather(*(client.refresh() for client in (*everybody, operator)))
            await asyncio.gather(*(self._until_noticed(thief) for thief in self.thieves))

    @contextlib.asynccontextmanager
    async def incident(self, what: str, *, settles_seconds: float = 0.0) -> AsyncIterator[None]:
        """
        Something that loses nothing.

        Args:
            settles_seconds: How much longer somebody may wait for what was lost on the way.
        """
        began = self.clock()
        yield
        await asyncio.sleep(settles_seconds)
        await self.over(what, began)

    async def over(self, what: str, began: float, *, kept_until: float | None = None) -> None:
        """Wait until all is well again, and write it down."""
        await self.all_is_well()
        self.history.incidents.append(Incident(what, began, self.clock(), kept_until))

    async def all_is_well(self) -> None:
        """Until every worker is there and ready, whichever of them is asked."""
        ready = 0
        async with asyncio.timeout(WELL_WITHIN_SECONDS):
            while ready < READY_IN_A_ROW:
                assert self.server.is_running(), f"the server has ended:\n{self.server.stderr[-4000:]}"
                is_ready = len(self.server.workers()) == WORKERS and await self._is_ready()
                ready = ready + 1 if is_ready else 0
                if not is_ready:
                    await asyncio.sleep(0.05)

    async def until_said(self, what: str, times: int) -> None:
        """Until the server's log says it so many times."""
        async with asyncio.timeout(WELL_WITHIN_SECONDS):
            while self.server.stderr.count(what) < times:
                await asyncio.sleep(0.05)

    def kill_worker(self) -> None:
        """End one of the workers as a crash does; the server starts another."""
        workers = self.server.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers), signal.SIGKILL)

    async def read_standings(self) -> None:
        """What the store has of every session that anybody knows."""
        self.history.read_at = self.clock()
        bench = self.engine.bench(self.folder)
        store = bench.open()
        try:
            known = {call.session: session_id_bytes(call.session) for call in self.history.calls if call.session}
            rows = await bench.read_rows([raw for raw in known.values() if raw is not None])
            for session, raw in known.items():
                row = None if raw is None else rows.get(raw)
                if raw is None or row is None:
                    continue
                kinds = Counter(line.kind for line in await store.timeline(raw) for _ in range(line.count))
                self.history.standings[session] = Standing(
                    row.generation, row.current.hex(), row.over or "", kinds[EventKind.HEAL], kinds[EventKind.REPLAY]
                )
        finally:
            await bench.stop()

    def _client(self, who: str, account: str) -> Client:
        url = f"http://127.0.0.1:{(self.entry or self.server).port}"
        chance = random.Random(self.chance.random())
        return Client(who, url, account, self.history, self.clock, chance, pace=self.pace)

    async def _operate(self, operator: Client, ending: asyncio.Event) -> None:
        while not await _is_set_within(ending, self.chance.uniform(0.2, 1.0)):
            try:
                await operator.end(self.chance.choice(self.clients))
            except RefreshUnavailable as later:
                await asyncio.sleep(later.retry_after_seconds)

    async def _steal(self, ending: asyncio.Event) -> None:
        while not await _is_set_within(ending, self.chance.uniform(0.3, 1.5)):
            if sum(not thief.is_over for thief in self.thieves) < THIEVES:
                victim = self.chance.choice(self.clients)
                name = f"thief {len(self.thieves)}"
                self.thieves.append(Thief(name, self.server.url, victim, self.history, self.clock))
            await asyncio.gather(*(thief.once() for thief in self.thieves))

    async def _until_noticed(self, thief: Thief) -> None:
        """Who is robbed and goes on loses the session, and so does the thief."""
        victims = [client for client in self.clients if client.session == thief.session]
        async with asyncio.timeout(WELL_WITHIN_SECONDS):
            while not thief.is_over:
                for victim in victims:
                    await victim.refresh()
                await thief.once()
                await asyncio.sleep(0.3)

    async def _is_ready(self) -> bool:
        connection = Connection(self.server.port)
        try:
            async with asyncio.timeout(5):
                return (await connection.get("/readyz")).status == 200
        except (ConnectionLost, TimeoutError):
            return False
        finally:
            connection.close()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def play(
    folder: Path,
    engine: Engine,
    chaos: Callable[[Stage], Awaitable[None]],
    tell: Callable[[str], None],
    *,
    within_seconds: float,
    promises: Promises = PROMISES,
    is_cut: bool = False,
    **settings: Any,
) -> History:
    """
    Play a run, and check it.

    Args:
        chaos: What befalls them.
        tell: Told what happened, in figures.
        within_seconds: How long all of it may take.
        is_cut: Whether there is a network in between that `chaos` can cut, before the database and before the servers.
        settings: Of the server, instead of those here.
    """
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    began = time.monotonic()

    async def bounded() -> Stage:
        async with asyncio.timeout(within_seconds), contextlib.AsyncExitStack() as stack:
            database = await stack.enter_async_context(Proxy(engine.port)) if is_cut else None
            where = engine.settings(port=None if database is None else database.port)
            await _add_users(where)
            server = ServerProcess(
                folder, environment={"EVERTOKEN_SECRET": SECRET}, **{**SETTINGS, **where, **settings}
            )
            entry = await stack.enter_async_context(Proxy(server.port)) if is_cut else None
            stage = Stage(engine, server, folder, random.Random(seed), database, entry)
            await asyncio.to_thread(server.__enter__)
            try:
                await stage.play(chaos)
                await stage.read_standings()
            finally:
                await asyncio.to_thread(server.__exit__, None, None, None)
        return stage

    try:
        stage = asyncio.run(bounded())
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    history, stderr = stage.history, stage.server.stderr
    findings = check(history, promises)
    if findings:
        history.write(folder / "history.jsonl")
    assert not findings, "\n".join([f"seed {seed}, history in {folder / 'history.jsonl'}", *findings[:40]])
    traced = [line for line in stderr.splitlines() if "Traceback" in line]
    faults = [line for line in traced if not any(known in line for known in _WAITS_FOR_STORE)]
    assert not faults, "\n".join(faults)[-4000:]
    done = Counter(call.ask for call in history.calls if call.got is Got.DONE)
    assert done[Ask.REFRESH] > 2 * CLIENTS and done[Ask.USE] > CLIENTS and history.thefts, "nothing much has happened"
    tell(f"{_figures(history)}; {time.monotonic() - began:.0f} s, seed {seed}")
    return history


async def _add_users(where: dict[str, Any]) -> None:
    """Everybody, with one hash for all: hashing takes its time."""
    hashing = PasswordHashing()
    hashed = hashing.hash_now(Secret(PASSWORD))
    hashing.close()
    store = open_store(Settings(store=str(where["store"]), users_store=str(where.get("users_store", ""))))
    await store.start()
    try:
        for name in (OPERATOR, *(f"user{number}" for number in range(USERS))):
            roles = ("admin",) if name == OPERATOR else ()
            await store.add_user(User(f"usr_{name}", name, hashed, 0, False, roles, system_clock()))
    finally:
        await store.stop()


def _figures(history: History) -> str:
    calls = Counter((call.ask, call.got) for call in history.calls)
    asked = ", ".join(f"{count} {ask} {got}" for (ask, got), count in sorted(calls.items()))
    heals = sum(standing.heals for standing in history.standings.values())
    incidents = ", ".join(f"{count} {what}" for what, count in Counter(one.what for one in history.incidents).items())
    return f"{incidents or 'no incident'}; {len(history.thefts)} thefts, {heals} heals; {asked}"
