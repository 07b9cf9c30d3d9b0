"""A server, a guard before an application, and what a test asks them."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import pytest

from tests.edge.attacking import Answer, bearer, forged, get, request, send
from tests.frameworks.compliance.bench import Bench, Stage
from tests.guards.elsewhere import guarding
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server

Place = Literal["beside the server", "in another service"]

PLACES: Final[tuple[Place, ...]] = ("beside the server", "in another service")

NO_TOKEN: Final = 'Bearer realm="evertoken"'
INVALID: Final = 'Bearer realm="evertoken", error="invalid_token"'
EXPIRED: Final = INVALID + ', error_description="The access token expired"'
MISUSED: Final = 'Bearer realm="evertoken", error="invalid_request"'

# RFC 9110 §11.6.1, for one scheme: parameters are a token, `=`, and a quoted string without anything to escape.
_CHALLENGE: Final = re.compile(
    r'Bearer( [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*)?'
)

_TITLE_OF: Final = {400: "invalid_request", 403: "insufficient_rights", 503: "unavailable"}


@dataclass(frozen=True)
class Stand:
    """A server and a guarded application, both running."""

    live: LiveServer
    url: str
    stage: Stage
    place: Place

    def get(self, path: str, *headers: tuple[str, str | bytes]) -> Answer:
        return get(self.url, path, *headers)

    def ask(self, method: str, path: str, *headers: tuple[str, str | bytes]) -> Answer:
        return send(self.url, request(method, path, *headers))

    def token(self, **claims: Any) -> str:
        """A good token of the server, but for these claims."""
        return forged(self.live, payload=claims)

    def show(self, token: str, path: str = "/guarded") -> Answer:
        """The answer to a GET with this token."""
        return self.get(path, bearer(token))

    def sign_in(self) -> dict[str, Any]:
        """A session of ada's: the server's answer."""
        with self.live.client() as client:
            return self.live.sign_in(client)


def refused(answer: Answer, *, status: int = 401, code: str | None = None, challenge: str = INVALID) -> None:
    """Assert that an answer is the guard's: a problem, with a challenge as RFC 6750 §3 has it, and no more."""
    expected = code or _TITLE_OF.get(status, "token_invalid")
    assert (answer.status, answer.json().get("code")) == (status, expected), answer
    assert answer.one("Content-Type") == "application/problem+json"
    assert answer.one("Cache-Control") == "no-store"
    assert not answer.all("Set-Cookie")
    problem = answer.json()
    assert problem["type"] == f"urn:evertoken:problem:{expected}"
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    if status == 503:
        assert not answer.all("WWW-Authenticate")
        return
    assert _CHALLENGE.fullmatch(answer.one("WWW-Authenticate")), answer.one("WWW-Authenticate")
    assert answer.one("WWW-Authenticate") == challenge


@contextlib.contextmanager
def standing(bench: Bench, live: LiveServer, place: Place, **options: Any) -> Iterator[Stand]:
    """A guarded application for a server; `options` are those of the guard elsewhere."""
    with contextlib.ExitStack() as stack:
        guard = live.server.guard if place == PLACES[0] else stack.enter_context(guarding(live, **options))
        stage = Stage(guard, live.clock)
        yield Stand(live, stack.enter_context(bench.serving(stage)), stage, place)


class Standing:
    """The fixtures of the suite: one server and one application for a class of tests and a place."""

    bench: ClassVar[Bench]

    @pytest.fixture(scope="class")
    @classmethod
    def live(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
        """A server with the user ada; time only goes on."""
        with live_server(tmp_path_factory.mktemp("server"), clock=MovingClock()) as running:
            running.add_user("ada", roles=("editor",))
            yield running

    @pytest.fixture(scope="class", params=PLACES, ids=["beside", "elsewhere"])
    @classmethod
    def stand(cls, request: pytest.FixtureRequest, live: LiveServer) -> Iterator[Stand]:
        """The application, guarded in the server's process and then as another service does it."""
        with standing(cls.bench, live, request.param) as made:
            yield made
