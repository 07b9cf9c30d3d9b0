"""Other processes that share a session by a file of tokens."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from evertoken.client import FileStore, Session, oauth_session
from evertoken.testing import FakeServer
from tests.token_stores.peer import PROJECT, Peer

Kind = Literal["evertoken", "strict"]

MANY = 8


class Workers:
    """Processes that are started once and used by test after test; one that was killed is replaced."""

    def __init__(self) -> None:
        self._all: list[Peer] = []

    def take(self, count: int = MANY) -> list[Peer]:
        """As many of them."""
        self._all = [worker for worker in self._all if not worker._ended]
        while len(self._all) < count:
            self._all.append(_started())
        return self._all[:count]

    def close(self) -> None:
        for worker in self._all:
            worker.close()


class Shared:
    """
    One session in many processes.

    Args:
        kind: How the server rotates, and how the clients speak.
        path: The file of tokens; ada's access token in it has expired unless `expired` is false.
        timeout_seconds: How long a refresh may take in a worker.
    """

    def __init__(self, workers: Workers, kind: Kind, path: Path) -> None:
        self.server = FakeServer(rotation=kind)
        self.kind = kind
        self.path = path
        self._workers = workers

    def sign_in(self, *, expired: bool = True) -> dict[str, Any]:
        """Put a new session of ada's into the file, fetched two hours ago or now."""
        pair = self.server.sign_in()
        ago = 7200.0 if expired else 0.0
        self.session(clock=lambda: (time.time() - ago, time.monotonic())).adopt(
            **{name: pair[name] for name in ("access_token", "refresh_token", "expires_in", "session_id")}
        )
        return pair

    def session(self, **settings: Any) -> Session:
        """A session over the file, in this process."""
        settings |= {"store": FileStore(self.path)}
        if self.kind == "strict":
            endpoint = f"{self.server.url}/oauth/token"
            return oauth_session(self.server.url, client_id="evertoken", token_endpoint=endpoint, **settings)
        return Session(self.server.url, **settings)

    def workers(self, count: int = MANY, *, timeout_seconds: float = 15.0) -> list[Peer]:
        """So many processes with a session over the file."""
        taken = self._workers.take(count)
        for worker in taken:
            worker.begin("open", self.kind, self.server.url, str(self.path), timeout_seconds)
        for worker in taken:
            worker.answer()
        return taken

    def assert_nobody_was_signed_out(self, workers: list[Peer]) -> None:
        """Not at the server, not in the file, and nobody was told so."""
        assert self.server.reuses == 0
        assert all(record.outcome in {"reissue", "early", "advance", "fault"} for record in self.server.refreshes)
        assert self.session().is_signed_in()
        assert [worker.ask("ends") for worker in workers] == [[]] * len(workers)


@contextlib.contextmanager
def shared_by(workers: Workers, kind: Kind, folder: Path) -> Iterator[Shared]:
    """A server, and an expired session of it in a file."""
    shared = Shared(workers, kind, folder / "session.json")
    with shared.server:
        yield shared


def all_at_once(workers: list[Peer], *command: Any) -> list[Any]:
    """Have all of them do the same at once; what came of it, in order."""
    for worker in workers:
        worker.begin(*command)
    return [worker.answer() for worker in workers]


def _started() -> Peer:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.client.worker"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdin is not None and program.stdout is not None
    program.returncode = 0  # it is waited for by its id, in Peer.kill
    commands, answers = os.dup(program.stdin.fileno()), os.dup(program.stdout.fileno())
    program.stdin.close()
    program.stdout.close()
    return Peer(program.pid, commands, answers)
