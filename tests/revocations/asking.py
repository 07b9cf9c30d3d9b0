"""What the tests of the feed share: a client that may ask, polls that wait, and sight of who waits."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from evertoken.edge.feed import RevocationFeed
from evertoken.sessions.model import session_id_text
from evertoken.stores.sqlite import revoking
from evertoken.stores.sqlite.store import SqliteStore
from tests.oauth.speaking import API, add_client
from tests.support.server import LiveServer

PATH: Final = "/auth/revocations"
LONG: Final = 30
WITHIN_SECONDS: Final = 20
"""The bound of every wait: far above what it takes, and below the time after which a long poll ends by itself."""


class Asker:
    """A guard as the server sees it, on one connection."""

    def __init__(self, live: LiveServer, secret: str | None = None) -> None:
        self.live = live
        self.auth = (API, secret or add_client(live, API))
        self._http = live.client(auth=self.auth, timeout=LONG + 15)
        self._pool = ThreadPoolExecutor(4)

    def raw(self, **parameters: Any) -> httpx2.Response:
        return self._http.get(PATH, params=parameters)

    def ask(self, **parameters: Any) -> dict[str, Any]:
        """An answer; at once unless told to wait."""
        answer = self.raw(**{"wait": 0} | parameters)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        found: dict[str, Any] = answer.json()
        return found

    def waits(self, **parameters: Any) -> "Future[dict[str, Any]]":
        """The same in a thread of its own."""
        return self._pool.submit(self.ask, **{"wait": LONG} | parameters)

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._http.close()


def told(answer: dict[str, Any]) -> list[str]:
    """The sessions of an answer, in its order."""
    return [entry["session_id"] for entry in answer["revoked"]]


class Waits:
    """Long polls as they begin and end; `begun` and `ended` can be waited for."""

    def __init__(self) -> None:
        self._begun = threading.Semaphore(0)
        self._ended = threading.Semaphore(0)

    def begun(self, count: int = 1) -> None:
        """Wait until so many more polls wait."""
        for _ in range(count):
            assert self._begun.acquire(timeout=WITHIN_SECONDS), "no poll has begun to wait"

    def ended(self) -> None:
        """Wait until one more has stopped waiting."""
        assert self._ended.acquire(timeout=WITHIN_SECONDS), "no poll has stopped waiting"


@contextmanager
def watched(feed: RevocationFeed) -> Iterator[Waits]:
    """See the long polls of a feed."""
    waits, original = Waits(), feed.wait

    async def wait(seconds: float, *, hand_over: Callable[[Callable[[], None]], None]) -> None:
        def hand_on(let_go: Callable[[], None]) -> None:
            hand_over(let_go)
            waits._begun.release()

        try:
            await original(seconds, hand_over=hand_on)
        finally:
            waits._ended.release()

    feed.wait = wait  # type: ignore[method-assign, assignment]
    try:
        yield waits
    finally:
        feed.wait = original  # type: ignore[method-assign]


def sign_out(live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]) -> str:
    """Sign out and give the session that has ended."""
    answer = http.post("/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 204
    session_id: str = tokens["session_id"]
    return session_id


def revoke_many(live: LiveServer, session_ids: Sequence[bytes]) -> list[str]:
    """So many lines in the store at once, as the end of so many sessions leaves them."""
    store = live.server.store
    assert isinstance(store, SqliteStore)
    live.run(store._writer.run(lambda connection, now_ms: revoking.announce(connection, tuple(session_ids), now_ms)))
    return [session_id_text(session_id) for session_id in session_ids]
