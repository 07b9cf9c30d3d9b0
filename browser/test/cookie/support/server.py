"""evertoken in a process of its own, on a clock that can be moved: one JSON command per line, each is answered."""
# ruff: noqa: INP001

import asyncio
import json
import sqlite3
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from evertoken.accounts.passwords import HashingParameters
from evertoken.accounts.users import User
from evertoken.assembly import Server, build
from evertoken.edge import logs
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.sessions.model import Caller, session_id_text
from evertoken.sessions.rotation import Reason

_USERS = {"ada": "correct-horse-battery", "bob": "staple-of-the-stable", "eve": "listening-at-the-door"}
_WEAK = HashingParameters(1, 64, 1, weak_for_tests=True)


class _MovedClock:
    """This machine's time, and what a test has let pass besides."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


class _Process:
    """The server, its loop in a thread, and what the test asks of it."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._clock = _MovedClock()
        self._file = Path(members["store"])
        self._refreshes_before: dict[str, int] = {}
        settings = Settings(
            port=members["port"],
            issuer=members["issuer"],
            store=members["store"],
            overlap=timedelta(seconds=members["overlap_seconds"]),
            access_lifetime=timedelta(seconds=members["access_seconds"]),
            allowed_origins=tuple(members["allowed_origins"]),
            secret=tuple(Secret(text) for text in members["secret"]),
            password_min_length=15,
        )
        self.server: Server = build(settings, clock=self._clock, hashing_parameters=_WEAK)
        self._uvicorn = uvicorn.Server(uvicorn_config(self.server.app, settings))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="server")

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._uvicorn.serve())

    def start(self) -> None:
        self._thread.start()
        while not self._uvicorn.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(20)

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def add_users(self) -> None:
        if self.run(self.server.store.find_by_id("u_ada")) is not None:
            return  # it was started again with its database
        for name, password in _USERS.items():
            hashed = self.server.hashing.hash_now(Secret(password))
            self.run(self.server.store.add_user(User(f"u_{name}", name, hashed, 0, False, (), self._clock())))

    def move(self, seconds: float) -> None:
        self._clock.ahead_ms += round(seconds * 1000)

    def end(self, username: str, reason: str) -> None:
        """End the live sessions of a user, as an operator does."""
        for session in self.records()["sessions"]:
            if session["username"] == username and session["revoked"] is None:
                ending = self.server.services.sessions.end(
                    bytes.fromhex(session["hex"]), Caller("127.0.0.1", "a test"), reason=Reason(reason)
                )
                self.run(ending)

    def reset(self) -> None:
        """For the next test: nobody has ever signed in."""
        with sqlite3.connect(self._file, timeout=10) as database:
            database.execute("DELETE FROM sessions")
            database.execute("DELETE FROM events")
        self._refreshes_before = self.server.services.metrics.refreshes()

    def records(self) -> dict[str, Any]:
        """What stands in the database, read past the server: every session, and the kinds of all events."""
        with sqlite3.connect(f"file:{self._file}?mode=ro", uri=True) as database:
            rows = database.execute(
                "SELECT id, username, generation, rotations, revoked_reason, tag"
                " FROM sessions ORDER BY created_at_ms, id"
            ).fetchall()
            events = database.execute("SELECT kind, count, username FROM events ORDER BY id").fetchall()
        names = ("username", "generation", "rotations", "revoked")
        sessions = [
            {
                "hex": row[0].hex(), "id": session_id_text(row[0]),
                **dict(zip(names, row[1:5], strict=True)), "tag": row[5].hex(),
            }
            for row in rows
        ]  # fmt: skip
        return {
            "sessions": sessions,
            "events": [list(row) for row in events],
            "refreshes": {
                outcome: count - self._refreshes_before.get(outcome, 0)
                for outcome, count in self.server.services.metrics.refreshes().items()
            },
        }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    logs.configure(level="error", as_json=False)
    process = _Process(json.loads(sys.argv[1]))
    process.start()
    try:
        process.add_users()
        _say("ready")
        for line in sys.stdin:
            command = json.loads(line)
            match command.pop("do"):
                case "move":
                    process.move(**command)
                case "end":
                    process.end(**command)
                case "reset":
                    process.reset()
                case "records":
                    pass
                case unknown:
                    raise ValueError(f"no command: {unknown}")
            _say(json.dumps(process.records()))
    finally:
        process.stop()


if __name__ == "__main__":
    main()
