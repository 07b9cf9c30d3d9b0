"""What the adapters cost: CPU per request beside the plain client's, and the time to recover from a hundred 401s."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import httpx
import httpx2
import requests
import requests.adapters

from bench.effort import Effort, cores
from bench.report import Section, at_most, median, micros, ratio
from evertoken.client import Session
from evertoken.client.aiohttp import SilentAuth as AiohttpAuth
from evertoken.client.httpx import SilentAuth as HttpxAuth
from evertoken.client.httpx2 import SilentAuth as Httpx2Auth
from evertoken.client.requests import SilentAuth as RequestsAuth

_ROOT = Path(__file__).resolve().parent.parent
STORM = 100
DELAY_MS = 20
AT_ONCE = 32

Run = Callable[[int], float]
"""Sends that many requests, and returns what they took: CPU seconds of the thread, or seconds by the clock."""


class Api:
    """The API, running."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> str:
        """What it answers, asked by somebody who is not measured."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read(), "utf-8")

    def refreshes(self) -> int:
        """How many refreshes it has seen."""
        return int(json.loads(self.get("/counts"))[0])

    def signed_in(self) -> Session:
        """A session of its own."""
        session = Session(self.url)
        session.login("ada", "correct-horse-battery")
        return session


@contextlib.contextmanager
def running() -> Iterator[Api]:
    """Start the API; it is gone at the end, whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.api", json.dumps({"core": cores()[0]})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Api(json.loads(process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        process.wait(timeout=15)
        process.stdout.close()


def _blocking(get: Callable[[], object]) -> Run:
    def run(count: int) -> float:
        began = time.thread_time()
        for _ in range(count):
            get()
        return time.thread_time() - began

    return run


async def _in_tasks(get: Callable[[], Awaitable[object]], count: int, at_once: int) -> None:
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await get()

    await asyncio.gather(*(worker() for _ in range(at_once)))


class _Compared:
    """One client, plain and with the adapter, in turns; seconds of CPU per request, round by round."""

    def __init__(self, name: str, goal: float | None) -> None:
        self.name, self.goal = name, goal
        self.plain: list[float] = []
        self.ours: list[float] = []

    def add_to(self, section: Section) -> None:
        """Two lines of the table."""
        section.add(f"{self.name}, plain", f"{micros(median(self.plain))} CPU")
        section.add(
            f"{self.name}, SilentAuth",
            f"{micros(median(self.ours))} CPU",
            value=ratio(self.ours, self.plain),
            goal=None if self.goal is None else at_most(self.goal),
        )


def _alternate(compared: _Compared, plain: Run, ours: Run, effort: Effort) -> _Compared:
    per_second = 200 / max(plain(200), 1e-6)
    ours(50)
    # Short turns: whatever else the machine does then falls on both sides alike.
    count = max(50, int(per_second * effort.seconds / 4))
    for turn in range(effort.rounds * 4):
        sides = ((compared.plain, plain), (compared.ours, ours))
        for cpu, run in sides if turn % 2 else reversed(sides):
            cpu.append(run(count) / count)
    return compared


def measure_blocking(api: Api, effort: Effort) -> list[_Compared]:
    """httpx2, httpx and requests, one request after the other."""
    url = api.url + "/guarded"
    headers = {"Authorization": "Bearer " + api.signed_in().token()}
    done = []
    with httpx2.Client(headers=headers) as plain, httpx2.Client(auth=Httpx2Auth(api.signed_in())) as ours:
        sides = _blocking(lambda: plain.get(url)), _blocking(lambda: ours.get(url))
        done.append(_alternate(_Compared("httpx2", 1.05), *sides, effort))
    with httpx.Client(headers=headers) as plain1, httpx.Client(auth=HttpxAuth(api.signed_in())) as ours1:
        sides = _blocking(lambda: plain1.get(url)), _blocking(lambda: ours1.get(url))
        done.append(_alternate(_Compared("httpx", None), *sides, effort))
    with requests.Session() as plain2, requests.Session() as ours2:
        plain2.headers.update(headers)
        ours2.auth = RequestsAuth(api.signed_in())
        sides = _blocking(lambda: plain2.get(url)), _blocking(lambda: ours2.get(url))
        done.append(_alternate(_Compared("requests", 1.05), *sides, effort))
    return done


async def measure_tasks(api: Api, effort: Effort) -> list[_Compared]:
    """httpx2 and aiohttp in an event loop, one after the other and many at once."""
    url = api.url + "/guarded"
    headers = {"Authorization": "Bearer " + api.signed_in().token()}
    done = []
    async with (
        httpx2.AsyncClient(headers=headers) as plain,
        httpx2.AsyncClient(auth=Httpx2Auth(api.signed_in())) as ours,
        aiohttp.ClientSession(headers=headers) as plain2,
        aiohttp.ClientSession(middlewares=(AiohttpAuth(api.signed_in()),)) as ours2,
    ):

        async def fetch(client: aiohttp.ClientSession) -> None:
            async with client.get(url) as answer:
                await answer.read()

        for name, goal, one, other in (
            ("httpx2 in asyncio", 1.05, lambda: plain.get(url), lambda: ours.get(url)),
            ("aiohttp", 1.15, lambda: fetch(plain2), lambda: fetch(ours2)),
        ):
            for at_once in (1, AT_ONCE):
                compared = _Compared(f"{name}, {at_once} at once", goal)
                await _alternate_tasks(compared, one, other, at_once, effort)
                done.append(compared)
    return done


async def _alternate_tasks(
    compared: _Compared,
    plain: Callable[[], Awaitable[object]],
    ours: Callable[[], Awaitable[object]],
    at_once: int,
    effort: Effort,
) -> None:
    async def run(get: Callable[[], Awaitable[object]], count: int) -> float:
        began = time.thread_time()
        await _in_tasks(get, count, at_once)
        return time.thread_time() - began

    per_second = 200 / max(await run(plain, 200), 1e-6)
    await run(ours, 50)
    count = max(AT_ONCE, int(per_second * effort.seconds / 4))
    for turn in range(effort.rounds * 4):
        sides = ((compared.plain, plain), (compared.ours, ours))
        for cpu, get in sides if turn % 2 else reversed(sides):
            cpu.append(await run(get, count) / count)


class _Storm:
    """Seconds by the clock, round by round: the floor, and the recovery."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.floor: list[float] = []
        self.recovery: list[float] = []
        self.refreshes: list[int] = []

    def add_to(self, section: Section) -> None:
        """Two lines of the table."""
        exactly_one = all(count == 1 for count in self.refreshes)
        section.add(f"{self.name}: {STORM} plain + 1 + {STORM} plain", micros(median(self.floor)))
        section.add(
            f"{self.name}: {STORM} refused, refreshed, sent again",
            micros(median(self.recovery)),
            value=ratio(self.recovery, self.floor),
            goal=at_most(1.25),
            note="1 refresh each time" if exactly_one else f"REFRESHES: {self.refreshes}",
        )


def storm_in_threads(api: Api, effort: Effort) -> _Storm:
    """requests, a thread for each request."""
    storm = _Storm("requests")
    with requests.Session() as plain, requests.Session() as ours, ThreadPoolExecutor(STORM) as pool:
        for client in (plain, ours):
            client.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=STORM))
        ours.auth = RequestsAuth(api.signed_in())

        def all_of(client: requests.Session, path: str) -> None:
            answers = pool.map(lambda _: client.get(api.url + path).status_code, range(STORM))
            assert set(answers) == {200}

        for client, path in ((plain, "/plain"), (ours, "/guarded")):
            all_of(client, path)
        for _ in range(effort.rounds * 2):
            began = time.perf_counter()
            all_of(plain, "/plain")
            plain.get(api.url + "/plain")
            all_of(plain, "/plain")
            storm.floor.append(time.perf_counter() - began)
            api.get("/expire")
            before = api.refreshes()
            began = time.perf_counter()
            all_of(ours, "/guarded")
            storm.recovery.append(time.perf_counter() - began)
            storm.refreshes.append(api.refreshes() - before)
    return storm


async def storm_in_tasks(api: Api, effort: Effort) -> list[_Storm]:
    """httpx2 and aiohttp, a task for each request."""
    limits = httpx2.Limits(max_connections=STORM, max_keepalive_connections=STORM)
    async with (
        httpx2.AsyncClient(limits=limits) as plain,
        httpx2.AsyncClient(limits=limits, auth=Httpx2Auth(api.signed_in())) as ours,
        aiohttp.ClientSession() as plain2,
        aiohttp.ClientSession(middlewares=(AiohttpAuth(api.signed_in()),)) as ours2,
    ):

        async def fetch(client: aiohttp.ClientSession, path: str) -> None:
            async with client.get(api.url + path) as answer:
                await answer.read()
                assert answer.status == 200

        async def fetch_x(client: httpx2.AsyncClient, path: str) -> None:
            assert (await client.get(api.url + path)).status_code == 200

        return [
            await _storm("httpx2", api, effort, lambda: fetch_x(plain, "/plain"), lambda: fetch_x(ours, "/guarded")),
            await _storm("aiohttp", api, effort, lambda: fetch(plain2, "/plain"), lambda: fetch(ours2, "/guarded")),
        ]


async def _storm(
    name: str,
    api: Api,
    effort: Effort,
    plain: Callable[[], Awaitable[object]],
    ours: Callable[[], Awaitable[object]],
) -> _Storm:
    storm = _Storm(name)
    for get in (plain, ours):
        await _in_tasks(get, STORM, STORM)
    for _ in range(effort.rounds * 2):
        began = time.perf_counter()
        await _in_tasks(plain, STORM, STORM)
        await plain()
        await _in_tasks(plain, STORM, STORM)
        storm.floor.append(time.perf_counter() - began)
        await asyncio.to_thread(api.get, "/expire")
        before = await asyncio.to_thread(api.refreshes)
        began = time.perf_counter()
        await _in_tasks(ours, STORM, STORM)
        storm.recovery.append(time.perf_counter() - began)
        storm.refreshes.append(await asyncio.to_thread(api.refreshes) - before)
    return storm


def _measure(effort: Effort) -> list[Section]:
    cost = Section(
        "A request through an adapter",
        "a keep-alive GET of an API of prepared bytes on the other core; CPU of the client's thread, in short turns",
    )
    storms = [
        Section(
            f"{STORM} requests refused at once" + (f", the network {delay_ms} ms away" if delay_ms else ""),
            "one refresh for all of them, over a new connection; beside the same client's requests without any refusal",
        )
        for delay_ms in (0, DELAY_MS)
    ]
    with running() as api:
        for compared in (*measure_blocking(api, effort), *asyncio.run(measure_tasks(api, effort))):
            compared.add_to(cost)
        for section, delay_ms in zip(storms, (0, DELAY_MS), strict=True):
            api.get(f"/delay/{delay_ms}")
            for storm in (storm_in_threads(api, effort), *asyncio.run(storm_in_tasks(api, effort))):
                storm.add_to(section)
    return [cost, *storms]


async def run(_folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found. In a thread, because asyncio's own loop is what users have."""
    return await asyncio.to_thread(_measure, effort)
