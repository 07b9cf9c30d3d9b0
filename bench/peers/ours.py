"""evertoken's clients: one Session, and the adapter of an HTTP library."""

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx2
import requests

from bench.peers.playing import CLIENT_ID, LIFETIME_SECONDS, Chunks, Peer, Reply, Start, generated
from evertoken.client import aiohttp as for_aiohttp
from evertoken.client import httpx2 as for_httpx2
from evertoken.client import requests as for_requests
from evertoken.client.oauth import oauth_session
from evertoken.client.session import Session
from evertoken.client.token_stores.file import FileStore
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.clock import both_clocks


def session_of(start: Start) -> Session:
    """The session: at a foreign server by its token endpoint, at evertoken's own as it is."""
    passed = 0.0

    def clock() -> tuple[float, float]:
        wall, monotonic = both_clocks()
        return wall + passed, monotonic + passed

    store = MemoryStore() if start.file is None else FileStore(start.file)
    if start.is_own_server:
        session = Session(start.server, store=store, clock=clock)
    else:
        session = oauth_session(
            start.server, token_endpoint=f"{start.server}/oauth/token", client_id=CLIENT_ID, store=store, clock=clock
        )
    session.on_signed_out(start.events.append)
    if session.is_signed_in():
        return session
    pair = {name: start.tokens[name] for name in ("access_token", "refresh_token")}
    if start.left_seconds > 0:
        session.adopt(**pair, expires_in=LIFETIME_SECONDS)
        passed = LIFETIME_SECONDS - start.left_seconds
    else:
        session.adopt(**pair, expires_in=0.001)
    return session


def save(start: Start) -> None:
    """What the first process has done: signed in, with the file as its store."""
    session_of(start)


@contextlib.contextmanager
def httpx2_threads(start: Start) -> Iterator[Any]:
    """httpx2.Client."""
    with httpx2.Client(base_url=start.server, auth=for_httpx2.SilentAuth(session_of(start))) as client:

        def send(path: str, chunks: Chunks) -> Reply:
            answer = client.get(path) if chunks is None else client.post(path, content=generated(chunks))
            return Reply(answer.status_code, answer.content)

        yield send


@contextlib.asynccontextmanager
async def httpx2_tasks(start: Start) -> AsyncIterator[Any]:
    """httpx2.AsyncClient."""
    async with httpx2.AsyncClient(base_url=start.server, auth=for_httpx2.SilentAuth(session_of(start))) as client:

        async def send(path: str, chunks: Chunks) -> Reply:
            if chunks is None:
                answer = await client.get(path)
            else:
                answer = await client.post(path, content=agenerated(chunks))
            return Reply(answer.status_code, answer.content)

        yield send


@contextlib.contextmanager
def requests_threads(start: Start) -> Iterator[Any]:
    """requests.Session, one per thread as requests wants it, over one Session of ours."""
    auth = for_requests.SilentAuth(session_of(start))
    opened: list[requests.Session] = []
    own = threading.local()

    def client() -> requests.Session:
        if not hasattr(own, "client"):
            own.client = requests.Session()
            own.client.auth = auth
            opened.append(own.client)
        found: requests.Session = own.client
        return found

    def send(path: str, chunks: Chunks) -> Reply:
        if chunks is None:
            answer = client().get(start.server + path)
        else:
            answer = client().post(start.server + path, data=generated(chunks))
        return Reply(answer.status_code, answer.content)

    yield send
    for each in opened:
        each.close()


@contextlib.asynccontextmanager
async def aiohttp_tasks(start: Start) -> AsyncIterator[Any]:
    """aiohttp.ClientSession."""
    async with aiohttp.ClientSession(start.server, middlewares=(for_aiohttp.SilentAuth(session_of(start)),)) as client:

        async def send(path: str, chunks: Chunks) -> Reply:
            asked = client.get(path) if chunks is None else client.post(path, data=agenerated(chunks))
            async with asked as answer:
                return Reply(answer.status, await answer.read())

        yield send


async def agenerated(chunks: Any) -> AsyncIterator[bytes]:
    """A body that can be read once, for a task."""
    for chunk in chunks:
        yield chunk


OURS = (
    Peer("evertoken, httpx2", ("httpx2",), httpx2_threads, httpx2_tasks, save, tells=True),
    Peer("evertoken, requests", ("requests",), requests_threads, None, save, tells=True),
    Peer("evertoken, aiohttp", ("aiohttp",), None, aiohttp_tasks, save, tells=True),
)
