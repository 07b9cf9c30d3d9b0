"""What the suite asks of a framework: an application as its users write it, behind its guard, on a real socket."""

import threading
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Final

from evertoken.clock import Clock
from evertoken.guards import AccessTokenClaims, ChecksAccess

PAGE: Final = "https://page.example"
"""The origin of a page elsewhere that may call the application (CORS)."""

HANDLED: Final = 418
"""What the application's own error handlers answer. A refusal of the guard must never look like that."""


class Stage:
    """
    What an application is built on: the guard, the time, and what its routes answer.

    Args:
        guard: Checks tokens: beside the server, or in another service.
        clock: The time by which tokens are judged; hand it to the framework's guard.
    """

    def __init__(self, guard: ChecksAccess, clock: Clock) -> None:
        self.guard = guard
        self.clock = clock
        self._lock = threading.Lock()
        self._reached = 0

    @property
    def reached(self) -> int:
        """How often a guarded route of the application was run."""
        return self._reached

    def answer(self, claims: object) -> dict[str, Any]:
        """
        What /guarded, /admin and /scoped answer, as JSON.

        Args:
            claims: What the framework's guard hands to the route; anything but typed claims fails the test.
        """
        with self._lock:
            self._reached += 1
        assert type(claims) is AccessTokenClaims, type(claims)
        return {
            "sub": claims.sub,
            "sid": claims.sid,
            "jti": claims.jti,
            "roles": list(claims.roles),
            "scope": list(claims.scope),
            "extra": dict(claims.extra),
        }


class Bench(ABC):
    """
    One way of guarding an application with one framework.

    A test module gives it to the suite:

        class TestFlask(Compliance):
            bench = FlaskBench()
    """

    answers_head = True
    """Whether the framework answers HEAD where there is a GET; Litestar does not."""

    @abstractmethod
    def serving(self, stage: Stage) -> AbstractContextManager[str]:
        """
        Serve the application over HTTP in this process; gives its base URL, without a slash at the end.

        It has, written as the framework's users write them:

        - GET /open: anybody; `{"open": true}`.
        - GET and POST /guarded: whoever holds a good token; `stage.answer(claims)`.
        - GET /admin: one of the roles `admin` and `owner`; the same answer.
        - GET /scoped: the scopes `read` and `write`; the same answer.
        - GET /failing: behind the guard, raises `RuntimeError("of the application")`.
        - Error handlers of its own for the framework's HTTP errors, for the statuses 400, 401, 403 and 503 where there
          can be such, and for every exception. They answer 418 and `{"handled": true}`.
        - CORS for `PAGE` in front of all that, with Authorization allowed and WWW-Authenticate exposed: the
          framework's own where it has one, else a few lines around the application.

        Threads and sockets are gone when the context is left.
        """
