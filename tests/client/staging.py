"""A server that shows what it was asked, a session at it, and the means to wait for what happens elsewhere."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from evertoken.client import Session
from evertoken.testing import Answer, FakeServer, Gate, Hangup, Request

T = TypeVar("T")

WITHIN_SECONDS = 20.0
"""What has not happened by then never will. No test says how fast anything is."""

PASSWORD = "correct-horse-battery"
LIFETIME_SECONDS = 1800.0
OVERLAP_SECONDS = 60.0
FAR_FROM_NOW = 3700.0
"""Seconds after which no server is left alone any longer."""

_OURS = frozenset({"evertoken-refresh", "evertoken-login", "evertoken-logout"})


class StagedServer(FakeServer):
    """A fake server that remembers what it was asked, and may be told what to answer on any path."""

    def __init__(self, **settings: Any) -> None:
        self.seen: list[Request] = []
        self._instead: dict[str, deque[Answer | Hangup]] = {}
        self._held: dict[str, Gate] = {}
        super().__init__(**settings)
        self.users["bob"] = PASSWORD

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for gate in self._held.values():
            gate.release()
        super().__exit__(kind, error, traceback)

    def script(self, path: str, *answers: Answer | Hangup) -> None:
        """The next requests for `path` get these, one each."""
        self._instead.setdefault(path, deque()).extend(answers)

    def hold(self, path: str) -> Gate:
        """Keep requests for `path` waiting, before they are looked at."""
        return self._held.setdefault(path, Gate())

    def asked(self, path: str) -> list[Request]:
        """The requests for `path` so far."""
        return [request for request in tuple(self.seen) if request.path == path]

    def is_alive(self, refresh_token: str) -> bool:
        """Whether the session of a refresh token has not ended."""
        session_id = self._sessions.session_of(refresh_token)
        assert session_id is not None
        return self._sessions._sessions[session_id].row.over is None

    def live_sessions(self) -> int:
        """How many sessions have not ended."""
        return sum(session.row.over is None for session in self._sessions._sessions.values())

    def _handle(self, request: Request) -> Answer | Hangup:
        self.seen.append(request)
        gate = self._held.get(request.path)
        if gate is not None:
            gate.pass_through()
        waiting = self._instead.get(request.path)
        return waiting.popleft() if waiting else super()._handle(request)


class Heard:
    """A listener of on_signed_out: what it was told so far."""

    def __init__(self, session: Session) -> None:
        self.reasons: list[str] = []
        self.detach = session.on_signed_out(self.reasons.append)


def session_at(url: str, **settings: Any) -> Session:
    """A session that does not wait between attempts, so that no test does."""
    return without_pauses(Session(url, **settings))


def without_pauses(session: Session) -> Session:
    """The same session, which no longer waits between the attempts of a refresh."""
    session.gate.around = replace(session.gate.around, pause=lambda _: None)
    return session


def aside(work: Callable[[], T]) -> "Future[T]":
    """Do it in a thread of its own; take what came of it with `.result(WITHIN_SECONDS)`."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to the test
            result.set_exception(error)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return result


def settle() -> None:
    """Wait until no session does anything any more: what has not been told by now will not be."""
    while busy := [thread for thread in threading.enumerate() if thread.name in _OURS]:
        for thread in busy:
            thread.join(WITHIN_SECONDS)
            assert not thread.is_alive(), f"{thread.name} does not end"


def document_of(session: Session) -> dict[str, Any]:
    """What stands in the session's store."""
    import json

    text = session.store.load()
    assert text is not None
    members: dict[str, Any] = json.loads(text)
    return members
