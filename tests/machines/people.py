"""Many people with our Python client, and a record of what they were told."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from evertoken.client import FileStore, MemoryStore, Session, TokenStore
from evertoken.client.http import HttpTransport
from evertoken.client.http.transport import Answer, Call, NoAnswer
from evertoken.client.httpx2 import SilentAuth
from evertoken.clock import system_clock
from evertoken.errors import RefreshUnavailable
from tests.processes.ledger import Ledger
from tests.support.server import PASSWORD

AT_ONCE: Final = 3
"""Requests that a person sends at the same time: where the token has expired, all of them want a new one."""

SHARED_EVERY: Final = 8
"""Every so many people have two programs, which share one store of tokens."""

SIGNING_IN_AT_ONCE: Final = 6
PAUSE_SECONDS: Final = (0.2, 0.6)
TOLD_TO_COME_AGAIN: Final = frozenset({502, 503, 504})


@dataclass
class Record:
    """What was promised to all of them. `access_tokens` are those not yet taken by `take`."""

    ledger: Ledger = field(default_factory=Ledger)
    answers: Counter[str] = field(default_factory=Counter)
    held: dict[bytes, str] = field(default_factory=dict)
    _access_tokens: list[tuple[str, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lost(self, presented: str, kind: str) -> None:
        """A call of a client's own that was not answered."""
        with self._lock:
            self.answers[kind] += 1
            if presented:
                self.ledger.lost(presented)

    def asked(self, path: str, presented: str, answer: Answer) -> None:
        """A call of a client's own, and its answer."""
        with self._lock:
            self.answers[f"{path.removeprefix('/auth/')} {answer.status}"] += 1
            if answer.status != 200:
                return
            tokens = json.loads(answer.body)
            self._access_tokens.append((tokens["access_token"], system_clock()))
            if presented:
                self.ledger.refreshed(presented, tokens)
            else:
                self.ledger.signed_in(tokens)
            held = tokens.get("refresh_token", presented)
            self.held[self.ledger.read(held).session_id] = held

    def answered(self, kind: str) -> None:
        """A request of an application's."""
        with self._lock:
            self.answers[kind] += 1

    def take(self) -> list[tuple[str, int]]:
        """The access tokens that came since the last call, and when they came, in milliseconds."""
        with self._lock:
            taken, self._access_tokens = self._access_tokens, []
        return taken

    @property
    def refreshes(self) -> int:
        """How many were acknowledged."""
        return self.ledger.refreshes

    def in_words(self) -> str:
        """The figures."""
        return ", ".join(f"{count} {kind}" for kind, count in self.answers.most_common())


class Witness:
    """Sends the calls of a session, and writes them down."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._send = HttpTransport()

    def __call__(self, call: Call, *, timeout_seconds: float) -> Answer:
        path = urlsplit(call.url).path
        presented = json.loads(call.body)["refresh_token"] if path == "/auth/refresh" else ""
        began = time.monotonic()
        try:
            answer = self._send(call, timeout_seconds=timeout_seconds)
        except NoAnswer:
            is_late = time.monotonic() - began > timeout_seconds - 0.1
            self._record.lost(presented, "answer too late" if is_late else "no answer")
            raise
        self._record.asked(path, presented, answer)
        return answer


class People:
    """
    `count` people, signed in at one URL, who use an API until they are told to stop.

    Args:
        url: Of nginx, or of a bad network before it.
        folder: For the stores that are shared.
    """

    def __init__(self, url: str, count: int, *, record: Record, chance: random.Random, folder: Path) -> None:
        self.record = record
        self._url = url
        self._chance = chance
        self._folder = folder
        self._stopping = asyncio.Event()
        self._signing_in = asyncio.Semaphore(SIGNING_IN_AT_ONCE)
        self._programs = [[self._session(store) for store in self._stores(number)] for number in range(count)]

    async def sign_in(self) -> None:
        """All of them, each under a name of his own (user0, user1, ...), a few at a time, since hashing takes long."""
        await asyncio.gather(*(self._sign_in(number, programs[0]) for number, programs in enumerate(self._programs)))

    async def use(self) -> None:
        """Send requests until `stop`; what was begun is finished."""
        limits = httpx2.Limits(max_connections=len(self._programs))
        async with (
            httpx2.AsyncClient(base_url=self._url, limits=limits, timeout=30.0) as client,
            asyncio.TaskGroup() as group,
        ):
            for programs in self._programs:
                for session in programs:
                    group.create_task(self._use(client, session))

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    async def refresh_all(self) -> None:
        """Each once more, with the token that he holds: whoever was signed out without noticing would learn of it."""
        await asyncio.gather(*(programs[0].arefresh() for programs in self._programs))

    def _stores(self, number: int) -> list[TokenStore]:
        if number % SHARED_EVERY:
            return [MemoryStore()]
        return [FileStore(self._folder / f"tokens{number}.json") for _ in range(2)]

    def _session(self, store: TokenStore) -> Session:
        return Session(self._url, store=store, transport=Witness(self.record))

    async def _sign_in(self, number: int, session: Session) -> None:
        async with self._signing_in:
            await session.alogin(f"user{number}", PASSWORD)

    async def _use(self, client: httpx2.AsyncClient, session: Session) -> None:
        while not self._stopping.is_set():
            await asyncio.gather(*(self._request(client, session) for _ in range(AT_ONCE)))
            await asyncio.sleep(self._chance.uniform(*PAUSE_SECONDS))

    async def _request(self, client: httpx2.AsyncClient, session: Session) -> None:
        try:
            answer = await client.get("/auth/me", auth=SilentAuth(session))
        except RefreshUnavailable:
            self.record.answered("refresh to be tried again")
            return
        except httpx2.TransportError:
            self.record.answered("request lost on the way")
            return
        self.record.answered(f"me {answer.status_code}")
        assert answer.status_code == 200 or answer.status_code in TOLD_TO_COME_AGAIN, answer.text


async def until(is_so: Any, *, within_seconds: float = 60.0) -> None:
    """Wait until something has become so."""
    async with asyncio.timeout(within_seconds):
        while not is_so():
            await asyncio.sleep(0.01)
