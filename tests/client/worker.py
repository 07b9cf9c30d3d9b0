"""
A program that shares a session by a file of tokens: `python -m tests.client.worker`, told what to do by a pipe.

Each line is `[command, argument, ...]`, and answered by `[null, result]` or `[name of an error of ours, its text]`.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from evertoken.client import FileStore, Session, oauth_session
from evertoken.errors import EvertokenError
from tests.client.staging import settle, without_pauses


class Worker:
    """What runs in the other process."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._session: Session | None = None
        self._ends: list[str] = []

    @property
    def session(self) -> Session:
        assert self._session is not None
        return self._session

    def open(self, kind: str, url: str, path: str, timeout_seconds: float) -> None:
        """Begin anew, with a session over the file; "strict" is an OAuth server whose refresh tokens work once."""
        settings: dict[str, Any] = {
            "store": FileStore(path),
            "timeout_seconds": timeout_seconds,
            "clock": lambda: (time.time() + self._ahead, time.monotonic() + self._ahead),
        }
        if kind == "strict":
            settings |= {"client_id": "evertoken", "token_endpoint": f"{url}/oauth/token"}
        make: Callable[..., Session] = oauth_session if kind == "strict" else Session
        self._ahead = 0.0
        self._ends = []
        self._session = without_pauses(make(url, **settings))
        self._session.on_signed_out(self._ends.append)

    def advance(self, seconds: float) -> None:
        """Let time pass for this process."""
        self._ahead += seconds

    def token(self) -> str:
        return self.session.token()

    def refresh(self) -> None:
        self.session.refresh()

    def get(self, path: str) -> int:
        """Ask a resource through an adapter; its status."""
        import httpx2

        from evertoken.client.httpx2 import SilentAuth

        with httpx2.Client(base_url=self.session.base_url, auth=SilentAuth(self.session), timeout=30) as http:
            return http.get(path).status_code

    def logout(self) -> None:
        self.session.logout()

    def ends(self) -> list[str]:
        """What on_signed_out has told here, after everything has come to rest."""
        settle()
        return self._ends


def main() -> None:
    worker = Worker()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = [None, getattr(worker, name)(*arguments)]
        except EvertokenError as error:
            answer = [type(error).__name__, str(error)]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
