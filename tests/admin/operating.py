"""An operator who calls /admin, and sessions by the thousand for him to look at."""

import contextlib
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import httpx2

from evertoken.sessions.model import session_id_text
from tests.support.server import LiveServer

DAY_MS = 24 * 3600 * 1000


class Operator:
    """Calls as the user root."""

    def __init__(self, live: LiveServer, http: httpx2.Client, username: str = "root") -> None:
        tokens = live.sign_in(http, username)
        self._http = http
        self.session_id: str = tokens["session_id"]
        self.bearer = {"Authorization": f"Bearer {tokens['access_token']}"}

    def call(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Any call."""
        headers = {**self.bearer, **request.pop("headers", {})}
        return self._http.request(method, path, headers=headers, **request)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a call that must succeed."""
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, method: str, path: str) -> None:
        """A call that must be done."""
        answer = self.call(method, path)
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    def pages(self, path: str, name: str, **query: Any) -> list[list[Any]]:
        """Every page of a list."""
        found = [self.get(path, **query)]
        while "next" in found[-1]:
            found.append(self.get(path, **query, after=found[-1]["next"]))
        return [page[name] for page in found]


def put_sessions(live: LiveServer, user_id: str, username: str, count: int, *, device: str = "Robot") -> list[str]:
    """As `put_sessions_into`, into a running server's database."""
    return put_sessions_into(live.database, user_id, username, count, device=device, now_ms=live.clock())


def put_sessions_into(store: Path, user_id: str, username: str, count: int, *, device: str, now_ms: int) -> list[str]:
    """Sessions of a user, begun a second after each other up to now, straight into the database; their ids."""
    ids = [secrets.token_bytes(16) for _ in range(count)]
    rows = []
    for number, session_id in enumerate(ids):
        at_ms = now_ms - (count - number) * 1000
        rows.append((session_id, user_id, username, at_ms, now_ms + 7 * DAY_MS, at_ms, device, at_ms, device))
    with contextlib.closing(sqlite3.connect(store, timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO sessions (id, user_id, username, user_epoch, client_id, delivery, tag, previous,"
            " advanced_at_ms, idle_expires_at_ms, secret_id, created_at_ms, created_address, created_device,"
            " refreshed_at_ms, refreshed_address, refreshed_device)"
            " VALUES (?, ?, ?, 0, 'web', 1, x'00', x'', ?, ?, x'', ?, '192.0.2.7', ?, ?, '192.0.2.7', ?)",
            rows,
        )
    return [session_id_text(session_id) for session_id in ids]
