"""
One of the processes: `python -m tests.chaos.worker URL STORE SECONDS` asks as who it is signed in, again and again.

Threads over httpx2 and tasks over aiohttp, all through one Session; who is told to try again later does so. At the end
one line of JSON says how often each request ended in which way, and how long the longest took.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx2

from evertoken import FileStore, Session
from evertoken.client.aiohttp import SilentAuth as AiohttpAuth
from evertoken.client.httpx2 import SilentAuth as Httpx2Auth
from evertoken.errors import RefreshUnavailable

THREADS = 2
TASKS = 2


class Ends:
    """How requests ended."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.longest_seconds = 0.0

    def add(self, end: str, began: float) -> None:
        """One more."""
        self.counts[end] += 1
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


def in_thread(session: Session, ends: Ends, until: float) -> None:
    """One request after the other."""
    with httpx2.Client(base_url=session.base_url, auth=Httpx2Auth(session), timeout=30) as client:
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                end = str(client.get("/auth/me").status_code)
            except RefreshUnavailable as unavailable:
                end = "refresh unavailable"
                time.sleep(unavailable.retry_after_seconds)  # what a program that is told to wait does
            except httpx2.TransportError:
                end = "lost on the way"
            except Exception as error:  # noqa: BLE001 - counted, and refused by the test
                end = repr(error)
            ends.add(end, began)


async def in_task(http: aiohttp.ClientSession, ends: Ends, until: float) -> None:
    """One request after the other."""
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            async with http.get("/auth/me") as answer:
                end = str(answer.status)
        except RefreshUnavailable as unavailable:
            end = "refresh unavailable"
            await asyncio.sleep(unavailable.retry_after_seconds)  # as above
        except aiohttp.ClientConnectionError:
            end = "lost on the way"
        except Exception as error:  # noqa: BLE001 - counted, and refused by the test
            end = repr(error)
        ends.add(end, began)


async def in_tasks(session: Session, ends: Ends, until: float) -> None:
    """Several tasks in one event loop."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
    async with aiohttp.ClientSession(session.base_url, middlewares=(AiohttpAuth(session),), timeout=timeout) as http:
        await asyncio.gather(*(in_task(http, ends, until) for _ in range(TASKS)))


def main(url: str, store: str, seconds: str) -> None:
    """Run, and say how it went."""
    session = Session(url, store=FileStore(store))
    events: list[str] = []
    session.on_signed_out(events.append)
    ends = Ends()
    until = time.monotonic() + float(seconds)
    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(in_thread, session, ends, until) for _ in range(THREADS)]
        asyncio.run(in_tasks(session, ends, until))
        for each in running:
            each.result()
    print(json.dumps({"ends": ends.counts, "longest_seconds": ends.longest_seconds, "signed_out": events}))


if __name__ == "__main__":
    main(*sys.argv[1:])
