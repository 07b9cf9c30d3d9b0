"""A small API of somebody else's: says `accessToken` and `refreshToken`, and differs where a test wants it to."""

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

PASSWORD: Final = "correct-horse-battery"

DOCUMENT: Final[dict[str, Any]] = {
    "name": "foreign",
    "login": {"url": "/login"},
    "refresh": {"url": "/refresh", "token": {"name": "refreshToken"}},
    "logout": {"url": "/logout", "token": {"name": "refreshToken"}},
    "tokens": {
        "access_token": "/accessToken",
        "refresh_token": "/refreshToken",
        "expires_in": None,
        "refresh_token_expires_in": None,
        "session_id": None,
    },
    "refresh_is_repeatable": True,
}
"""What it speaks without faults."""


class ForeignApi:
    """
    Its sessions and its ways.

    Args:
        faults: Where it differs from `DOCUMENT`, by words that the methods below look for.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = frozenset(faults)
        self.said: list[str] = []
        """Every secret that it gave out."""
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._access: dict[str, int] = {}
        self._refresh: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._live: set[int] = set()
        self._lock = threading.Lock()

    @property
    def live_sessions(self) -> int:
        """Those that have not ended."""
        return len(self._live)

    def answer(self, method: str, path: str, query: dict[str, str], token: str, body: Any) -> tuple[int, Any]:
        """Status and members of the answer to a request; 204 has none."""
        with self._lock:
            self.requests.append((method, path))
            match method, path:
                case "POST", "/login":
                    return (429, {"error": "slow_down"}) if "it is busy" in self.faults else self._login(body)
                case "POST", "/refresh":
                    return self._renew(str(body.get("refreshToken")))
                case "GET", "/refresh":
                    return self._renew(query.get("token", ""))
                case "POST", "/logout" if "no sign-out" not in self.faults:
                    self._live.discard(self._refresh.get(str(body.get("refreshToken")), 0))
                    return 204, None
                case "GET", "/things":
                    return self._things(token)
                case _:
                    return 404, {"message": "Not found"}

    def _login(self, body: Any) -> tuple[int, Any]:
        if body.get("password") != PASSWORD:
            return (
                (200, {"code": 10_042, "msg": "no"}) if "failures are 200" in self.faults else (401, {"message": "No"})
            )
        session = len(self._access) + 1
        self._live.add(session)
        return self._tokens(session)

    def _tokens(self, session: int, *, with_refresh: bool = True) -> tuple[int, Any]:
        access, refresh = (f"{secrets.token_hex(12)}.{secrets.token_urlsafe(24)}" for _ in range(2))
        self._access[access] = session
        self.said.append(access)
        members = {"accessToken": access}
        if with_refresh:
            self._refresh[refresh] = session
            self.said.append(refresh)
            members["refreshToken"] = refresh
        return 200, {"data": members} if "tokens below data" in self.faults else members

    def _renew(self, token: str) -> tuple[int, Any]:
        session = self._used.get(token)
        if session is not None and "tokens are used once" in self.faults:
            self._live.discard(session)
        session = self._refresh.get(token) or session
        if session is None or session not in self._live:
            return (400, {"code": "NO_SUCH_TOKEN", "was": token}) if "over is 400" in self.faults else (401, {})
        if "refreshes say no refresh token" in self.faults:
            return self._tokens(session, with_refresh=False)
        if "tokens are used once" in self.faults:
            self._used[token] = self._refresh.pop(token)
        return self._tokens(session)

    def _things(self, token: str) -> tuple[int, Any]:
        if "nothing is guarded" not in self.faults and self._access.get(token) not in self._live:
            if "refusals are 200" in self.faults:
                return 200, {"statusCode": 4010, "message": "Token expired", "presented": token}
            if "refusals are 500" in self.faults:
                return 500, {"error": "jwt malformed", "was": token}
            return (403, {"error": "forbidden", "was": token}) if "refusals are 403" in self.faults else (401, {})
        return 200, {"things": [], "yours": token}

    def token_in(self, headers: Any) -> str:
        """Where it looks for the access token."""
        if "the token is in X-Token" in self.faults:
            return str(headers.get("X-Token"))
        return str(headers.get("Authorization")).removeprefix("Bearer ")


@contextmanager
def foreign_api(*faults: str) -> Iterator[ForeignApi]:
    """Serve it on a free port."""
    api = ForeignApi(*faults)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """The tests look at `requests`."""

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, members = api.answer(self.command, parts.path, query, api.token_in(self.headers), body)
            content = b"" if members is None else json.dumps(members).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _reply  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
