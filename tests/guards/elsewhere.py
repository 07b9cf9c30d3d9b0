"""What the tests of the guard in another service share: an issuer, a guard before it, gates and clocks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import httpx2

from evertoken.errors import TokenError
from evertoken.guards import Guard, GuardEvent
from evertoken.testing.listener import Answer, Hangup, Listener, Request
from tests.edge.attacking import forged
from tests.oauth.speaking import API, add_client
from tests.support.server import LiveServer

WITHIN_SECONDS: Final = 20
"""The bound of every wait; none of them takes nearly as long."""


class Standing:
    """Seconds of a clock that is never set back, as the test wants them."""

    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


class Heard:
    """What a guard has told, and a way to wait for more of it."""

    def __init__(self) -> None:
        self.events: list[GuardEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: GuardEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]

    def wait_for(self, kind: str) -> None:
        """Wait until it has been told."""
        with self._changed:
            assert self._changed.wait_for(lambda: kind in self.kinds, WITHIN_SECONDS), self.kinds


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something in another thread has become so."""
    give_up_at = time.monotonic() + WITHIN_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at, "it has not become so"
        time.sleep(0.002)


def passes(guard: Guard, live: LiveServer, token: str) -> bool:
    """Whether a token passes now, by the server's clock."""
    try:
        guard.check(token, now_ms=live.clock())
    except TokenError:
        return False
    return True


def refused(guard: Guard, live: LiveServer, token: str) -> None:
    """Wait until a token is refused."""
    until(lambda: not passes(guard, live, token))


@contextmanager
def guarding(live: LiveServer, *, follows: bool = True, **options: Any) -> Iterator[Guard]:
    """A started guard for a server; `follows` gives it a credential. It reads no certificates, which takes 20 ms."""
    credential = {"client_id": API, "client_secret": add_client(live, API)} if follows else {}
    made = Guard(live.url, live.url, clock=live.clock, **{"verify": False, **credential, **options})
    try:
        yield made.start()
    finally:
        made.close()


def sign_out(http: httpx2.Client, tokens: dict[str, Any]) -> None:
    answer = http.post("/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 204


def unknown_kid(live: LiveServer, name: str) -> str:
    """A token that names a key nobody has."""
    return forged(live, header={"kid": name})


class Issuer:
    """
    An issuer whose every answer the test decides: real HTTP, no evertoken.

    `keys` and `feed` are called with the request; `gate` holds back every answer while it is closed.
    """

    def __init__(self) -> None:
        self.keys: Callable[[Request], Answer | Hangup] = lambda _: Answer.json(200, {"keys": []})
        self.feed: Callable[[Request], Answer | Hangup] = lambda _: Answer(404)
        self.metadata: Callable[[Request], Answer | Hangup] = self._metadata
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.came = threading.Semaphore(0)
        self._listener = Listener(self._answer)
        self.url = self._listener.url

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._listener.__exit__(kind, error, trace)

    def count(self, path: str) -> int:
        return sum(asked.startswith(path) for asked in self.asked)

    def _metadata(self, _: Request) -> Answer:
        return Answer.json(200, {"issuer": self.url, "jwks_uri": self.url + "/keys"})

    def _answer(self, request: Request) -> Answer | Hangup:
        self.asked.append(request.target)
        self.came.release()
        assert self.gate.wait(WITHIN_SECONDS)
        if request.path.startswith("/.well-known/"):
            return self.metadata(request)
        return self.keys(request) if request.path == "/keys" else self.feed(request)
