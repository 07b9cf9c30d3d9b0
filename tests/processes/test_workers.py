"""Several worker processes on one SQLite file behave as one."""

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evertoken.clock import system_clock
from evertoken.edge.settings.sources import load, to_environment
from evertoken.tokens import base64url, refresh_token
from tests.processes.connection import Answer, Connection, ConnectionLost
from tests.processes.ledger import SECRET, Ledger
from tests.support.process import ServerProcess, add_users, run_evertoken
from tests.support.server import PASSWORD

pytestmark = pytest.mark.slow

WORKERS = 4
RACERS = 50
HOUR_MS = 3_600_000
KNOWN_WITHIN_SECONDS = 2.0
ENVIRONMENT = {"EVERTOKEN_SECRET": SECRET}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`evertoken serve --workers 4`, all of them ready."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("there is no /proc here: it tells which worker serves which connection")
    process = ServerProcess(
        tmp_path_factory.mktemp("workers"), environment=ENVIRONMENT, workers=WORKERS, log_level="warning"
    )
    add_users(process.database, "ada", "grace")
    with process:
        yield process


class Crew:
    """Connections to every worker."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.by_worker: dict[int, Connection] = {}
        self._connections: list[Connection] = []

    async def reach_all(self) -> None:
        """Connect until every worker has accepted one connection; each is the way to its worker from then on."""
        async with asyncio.timeout(60):
            while len(self.by_worker) < WORKERS:
                connection = await self.connect()
                worker = self.server.worker_serving(connection.local_port)
                if worker is not None:
                    self.by_worker[worker] = connection

    async def connect(self) -> Connection:
        """One more connection, to whichever worker takes it; it has answered once."""
        connection = Connection(self.server.port)
        self._connections.append(connection)
        await connection.get("/healthz")
        return connection

    @property
    def ways(self) -> list[Connection]:
        """One connection to each worker."""
        return list(self.by_worker.values())

    async def sign_in(self, username: str = "ada") -> dict[str, Any]:
        """Sign in at one worker."""
        answer = await self.ways[0].post("/auth/login", {"username": username, "password": PASSWORD})
        assert answer.status == 200, answer
        return answer.json()

    async def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()
        await asyncio.sleep(0.01)


@pytest.fixture
async def crew(server: ServerProcess) -> AsyncIterator[Crew]:
    """A connection to each worker of `server`."""
    made = Crew(server)
    try:
        await made.reach_all()
        yield made
    finally:
        await made.close()


def aged_children(text: str, count: int) -> list[str]:
    """Children of a refresh token as the server would have made them an hour ago: ripe."""
    ledger = Ledger()
    parent = ledger.read(text)
    return [
        refresh_token.mint(refresh_token.child_of(parent, now_ms=system_clock() - HOUR_MS), ledger.secrets)
        for _ in range(count)
    ]


async def refresh(connection: Connection, text: str) -> Answer:
    """Present a refresh token."""
    return await connection.post("/auth/refresh", {"refresh_token": text})


async def test_a_session_begun_at_one_worker_is_refreshed_at_every_other(crew: Crew) -> None:
    """Sign in at one worker; any other refreshes the session and accepts the tokens that its colleagues made."""
    tokens = await crew.sign_in()
    for connection in crew.ways * 3:
        answer = await refresh(connection, tokens["refresh_token"])
        assert answer.status == 200, answer
        tokens |= answer.json()
        for other in crew.ways:
            assert (await other.get("/auth/me", bearer=tokens["access_token"])).status == 200


async def test_one_token_presented_fifty_times_at_once_to_four_workers_always_succeeds(crew: Crew) -> None:
    """Fifty connections present one ripe refresh token at once: all get tokens, and the chain is one step on."""
    tokens = await crew.sign_in()
    [ripe] = aged_children(tokens["refresh_token"], 1)
    racers = [await crew.connect() for _ in range(RACERS)]
    served_by = {crew.server.worker_serving(racer.local_port) for racer in racers}
    assert len(served_by) > 1
    answers = await asyncio.gather(*(refresh(racer, ripe) for racer in racers))
    assert [answer.status for answer in answers] == [200] * RACERS
    children = [Ledger().read(answer.json()["refresh_token"]) for answer in answers]
    assert {(child.generation, child.parent) for child in children} == {(2, Ledger().read(ripe).tag)}
    assert len({child.tag for child in children}) == RACERS


async def test_siblings_that_race_over_four_workers_leave_exactly_one_chain(crew: Crew) -> None:
    """
    Fifty tabs got a child each of one token and present them at once: one wins, the others are told to look again,
    and nobody is signed out.
    """
    tokens = await crew.sign_in()
    siblings = aged_children(tokens["refresh_token"], RACERS)
    racers = [await crew.connect() for _ in range(RACERS)]
    answers = await asyncio.gather(*map(refresh, racers, siblings))
    assert Counter(answer.status for answer in answers) == {200: 1, 503: RACERS - 1}
    assert {answer.code for answer in answers if answer.status == 503} == {"stale"}
    [winner] = [answer.json()["refresh_token"] for answer in answers if answer.status == 200]
    assert {(await refresh(connection, winner)).status for connection in crew.ways} == {200}


async def test_a_replay_is_seen_by_whichever_worker_it_comes_to(crew: Crew) -> None:
    """A token whose successors were presented to other workers ends the session for thief and owner, everywhere."""
    tokens = await crew.sign_in()
    first, second, third, fourth = crew.ways
    [child] = aged_children(tokens["refresh_token"], 1)
    [grandchild] = aged_children(child, 1)
    assert (await refresh(first, child)).status == 200
    assert (await refresh(second, grandchild)).status == 200
    answers = [await refresh(third, tokens["refresh_token"]), await refresh(fourth, grandchild)]
    assert [(answer.status, answer.json()["reason"]) for answer in answers] == [(401, "replayed")] * 2


async def test_a_sign_out_at_one_worker_is_known_to_all_within_two_seconds(
    crew: Crew, tell: Callable[[str], None]
) -> None:
    """After a sign-out no worker refreshes the session, and within two seconds none accepts its access tokens."""
    tokens = await crew.sign_in()
    assert [(await connection.get("/auth/me", bearer=tokens["access_token"])).status for connection in crew.ways] == [
        200
    ] * WORKERS
    out = await crew.ways[0].post("/auth/logout", {"refresh_token": tokens["refresh_token"]})
    since = time.monotonic()
    assert out.status == 204
    for connection in crew.ways:
        assert (await refresh(connection, tokens["refresh_token"])).json()["reason"] == "signed_out"
    took = []
    for connection in crew.ways:
        while (await connection.get("/auth/me", bearer=tokens["access_token"])).status != 401:
            assert time.monotonic() - since < KNOWN_WITHIN_SECONDS
            await asyncio.sleep(0.01)
        took.append(time.monotonic() - since)
    tell(f"{max(took):.2f} s until the last of {WORKERS} workers refused the access token")


async def test_failed_sign_ins_are_counted_by_all_workers_together(crew: Crew) -> None:
    """A guesser who goes from worker to worker is slowed down as if there were one."""
    tried: Counter[int] = Counter()
    for number in range(3 * WORKERS):
        worker, connection = list(crew.by_worker.items())[number % WORKERS]
        answer = await connection.post("/auth/login", {"username": "grace", "password": "not the one she chose"})
        if answer.status == 429:
            break
        assert answer.status == 401
        tried[worker] += 1
    assert answer.status == 429
    assert max(tried.values()) < 5 < tried.total() + 1, "no worker alone has seen enough failures to slow anybody down"


async def test_any_worker_shows_the_counters_of_all(crew: Crew) -> None:
    """Whichever worker Prometheus happens to ask, /metrics counts what all of them did."""
    tokens = await crew.sign_in()
    before = [await _reissued(connection) for connection in crew.ways]
    for connection in crew.ways * 2:
        assert (await refresh(connection, tokens["refresh_token"])).status == 200
    after = [await _reissued(connection) for connection in crew.ways]
    assert len(set(before)) == 1
    assert after == [before[0] + 2 * WORKERS] * WORKERS


async def _reissued(connection: Connection) -> int:
    text = (await connection.get("/metrics")).body.decode()
    found = re.search(r'^evertoken_refreshes_total\{outcome="reissue"\} (\S+)$', text, re.MULTILINE)
    return 0 if found is None else int(float(found[1]))


async def test_a_worker_that_is_killed_is_replaced_and_nobody_is_signed_out(crew: Crew) -> None:
    """Kill one worker: whoever was connected to it comes again and goes on, and soon there are as many as before."""
    tokens, ended = await crew.sign_in(), await crew.sign_in()
    assert (await crew.ways[0].post("/auth/logout", {"refresh_token": ended["refresh_token"]})).status == 204
    counted = await _reissued(crew.ways[1])
    victim, connection = next(iter(crew.by_worker.items()))
    os.kill(victim, signal.SIGKILL)
    await _lost(connection)
    assert (await refresh(connection, tokens["refresh_token"])).status == 200
    async with asyncio.timeout(30):
        while len(crew.server.workers()) < WORKERS or victim in crew.server.workers():
            await asyncio.sleep(0.05)
    del crew.by_worker[victim]
    veterans = set(crew.by_worker)
    await crew.reach_all()
    for way in crew.ways:
        assert (await way.get("/auth/me", bearer=tokens["access_token"])).status == 200
        assert (await refresh(way, tokens["refresh_token"])).status == 200
        assert await _reissued(way) > counted
    [newcomer] = [way for worker, way in crew.by_worker.items() if worker not in veterans]
    assert (await newcomer.get("/auth/me", bearer=ended["access_token"])).status == 401


async def _lost(connection: Connection) -> None:
    """Wait until the other end is gone."""
    async with asyncio.timeout(10):
        while True:
            try:
                await connection.get("/healthz")
            except ConnectionLost:
                return


async def test_a_new_signing_key_refuses_nobody_at_any_worker(crew: Crew, tell: Callable[[str], None]) -> None:
    """
    `evertoken keys rotate` while requests pour in: every token, of the old key and of the new, is good at every
    worker at every moment.
    """
    tokens = await crew.sign_in()
    old = tokens["access_token"]
    seen: list[str] = []
    checks = 0

    async def hammer(number: int) -> None:
        nonlocal checks
        while True:
            fresh = (await refresh(crew.ways[number], tokens["refresh_token"])).json()["access_token"]
            if _kid(fresh) not in seen:
                seen.append(_kid(fresh))
            for way in await asyncio.gather(*(crew.connect() for _ in range(2))):
                for token in (fresh, old):
                    answer = await way.get("/auth/me", bearer=token)
                    assert answer.status == 200, answer
                    checks += 1
                way.close()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hammer(number)) for number in range(WORKERS)]
        rotated = await asyncio.to_thread(
            run_evertoken,
            *("keys", "rotate", "--announce", "5s", "--store", str(crew.server.database)),
            environment=ENVIRONMENT,
        )
        assert rotated.returncode == 0, rotated.stderr
        async with asyncio.timeout(30):
            while len(seen) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(2 * KNOWN_WITHIN_SECONDS)
        for task in tasks:
            task.cancel()
    assert seen == [_kid(old), rotated.stdout.split()[0]]
    tell(f"{checks} checks of access tokens during a key rotation over {WORKERS} workers, none refused")


def _kid(encoded: str) -> str:
    header = json.loads(base64url.decode(encoded.split(".", 1)[0]))
    return str(header["kid"])


@pytest.mark.parametrize("moment", ["starting", "serving"])
def test_ctrl_c_stops_every_worker(tmp_path: Path, moment: str) -> None:
    """Ctrl-C ends the server and all its workers with status 0 and no traceback, even while they are starting."""
    server = ServerProcess(tmp_path, workers=2)
    with server.launched():
        assert _two(server)
        if moment == "serving":
            server.wait_until_ready()
        server.interrupt()
        assert server.wait() == 0
        assert not server.living_workers()
    assert "Traceback" not in server.stderr


def test_workers_whose_parent_was_killed_make_room_for_the_next_server(tmp_path: Path) -> None:
    """Kill the parent with SIGKILL: its workers stop by themselves, and a new server takes the port."""
    with ServerProcess(tmp_path, workers=2) as server:
        assert _two(server)
        server.kill()
        give_up_at = time.monotonic() + 20
        while server.living_workers():
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        server.start()


def _two(server: ServerProcess) -> bool:
    """Wait until both workers have been seen."""
    give_up_at = time.monotonic() + 20
    while len(server.workers()) < 2 and time.monotonic() < give_up_at:
        time.sleep(0.05)
    return len(server.workers()) == 2


def test_a_flag_that_says_the_default_wins_over_a_variable_in_the_workers_too() -> None:
    """Workers run on exactly the settings that the command line was given, whatever the environment says besides."""
    environment = {"EVERTOKEN_ALGORITHM": "EdDSA", "EVERTOKEN_SECRET": SECRET, "EVERTOKEN_MAX_AGE": "30d"}
    settings = load({"algorithm": "ES256", "max_age": "0"}, environment)
    assert load({}, environment | to_environment(settings)) == settings
