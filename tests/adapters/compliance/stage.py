"""Where the promises are played: a clock, an API, a signed-in session, and the adapter's library."""

import contextlib
import functools
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from evertoken.client import EVERTOKEN, Dialect, Session
from evertoken.client.flight import Flight
from evertoken.testing import MovingClock
from tests.adapters.benches.bench import PATIENCE_SECONDS, Bench, Client
from tests.adapters.serving import Api, Foreign

MANY_FILES = 8192
"""A thousand connections have two ends each in this process."""


class Waiting:
    """Counts the threads and tasks that have come to wait for a refresh."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._changed = threading.Condition()
        self._count = 0
        wait, wait_async = Flight.wait, Flight.wait_async

        def counted(flight: Flight[Any], timeout_seconds: float) -> Any:
            self._arrive()
            return wait(flight, timeout_seconds)

        async def counted_async(flight: Flight[Any], timeout_seconds: float) -> Any:
            self._arrive()
            return await wait_async(flight, timeout_seconds)

        monkeypatch.setattr(Flight, "wait", counted)
        monkeypatch.setattr(Flight, "wait_async", counted_async)

    def wait_for(self, count: int) -> None:
        """Block until so many have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._count >= count, PATIENCE_SECONDS)
        assert came, f"{self._count} of {count} wait for a refresh"

    def _arrive(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()


@dataclass
class Play:
    """
    One API, one session, one client.

    Args:
        told: Why the session has ended, once for each time that it was told.
    """

    api: Api
    clock: MovingClock
    session: Session
    client: Client
    waiting: Waiting
    stack: contextlib.ExitStack
    told: list[str] = field(default_factory=list)

    @property
    def ends(self) -> list[str]:
        """What was told, once no refresh is under way any more: it is told after those who wait have gone on."""
        for thread in threading.enumerate():
            if thread.name == "evertoken-refresh":
                thread.join(PATIENCE_SECONDS)
        return self.told

    @functools.cached_property
    def foreign(self) -> Foreign:
        """Somebody else's server."""
        return self.stack.enter_context(Foreign())

    @property
    def me(self) -> str:
        """A resource that needs a token."""
        return f"{self.api.url}/auth/me"

    def at(self, path: str) -> str:
        """Another."""
        return self.api.url + path

    def expire(self, how: str) -> None:
        """Let the access token end: by the clock, which the session sees, or by the server, which it does not."""
        if how == "by the clock":
            self.clock.advance(3600)
        else:
            self.api.expire_access_tokens()


class Stage:
    """The base of every class of promises. A test module sets `bench`."""

    bench: ClassVar[Bench]

    @pytest.fixture(autouse=True)
    def _many_files(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < MANY_FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(MANY_FILES, hard), hard))

    @pytest.fixture
    def waiting(self, monkeypatch: pytest.MonkeyPatch) -> Waiting:
        """Who waits for a refresh."""
        return Waiting(monkeypatch)

    @pytest.fixture
    def playing(self, waiting: Waiting) -> Any:
        """Begin a play of a certain kind: `with playing(rotation="strict") as play`."""

        @contextlib.contextmanager
        def begin(
            *,
            rotation: str = "evertoken",
            dialect: Dialect = EVERTOKEN,
            server: type[Api] = Api,
            origins: tuple[str, ...] = (),
            connections: int | None = None,
            timeout_seconds: float = 30.0,
        ) -> Iterator[Play]:
            clock = MovingClock()
            settings: dict[str, Any] = {"clock": clock, "rotation": rotation, "header": dialect.access_token.header}
            with server(**settings) as api, contextlib.ExitStack() as stack:
                api.keeps_connections = self.bench.shares_connections or connections is not None
                session = Session(
                    api.url, dialect=dialect, origins=origins, clock=clock, timeout_seconds=timeout_seconds
                )
                pair = api.sign_in()
                session.adopt(
                    access_token=pair["access_token"],
                    refresh_token=pair["refresh_token"],
                    expires_in=pair["expires_in"],
                    session_id=pair["session_id"],
                )
                with self.bench.client(session, connections=connections) as client:
                    play = Play(api, clock, session, client, waiting, stack)
                    session.on_signed_out(play.told.append)
                    yield play

        return begin

    @pytest.fixture
    def play(self, playing: Any) -> Iterator[Play]:
        """evertoken's own dialect and rotation."""
        with playing() as play:
            yield play
