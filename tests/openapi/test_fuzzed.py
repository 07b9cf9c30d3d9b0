"""Schemathesis reads the description that a running server gives of itself, and tries to prove it wrong."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from evertoken.accounts.clients import new_client
from tests.support.clock import START_MS, MovingClock
from tests.support.server import LiveServer, live_server

ACCEPTED = ("2xx", "401", "403", "404", "429")
"""What a well-formed request may get: what it asked for, or a refusal that has to do with who asks."""


def may_also_get(path: str, *statuses: str) -> dict[str, Any]:
    """An operation at which not every request that fits the schema is as it must be."""
    checks = {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *statuses]}}
    if "503" in statuses:
        checks["not_a_server_error"] = {"expected-statuses": ["2xx", "4xx", "503"]}
    return {"include-path": path, "checks": checks}


CONFIG: dict[str, Any] = {
    "seed": 1,
    "continue-on-failure": True,
    "suppress-health-check": ["all"],
    "phases": {"coverage": {"unexpected-methods": ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"]}},
    # Every check is on, with a bound for the time of an answer besides.
    "checks": {"max_response_time": 5, "positive_data_acceptance": {"expected-statuses": ACCEPTED}},
    "operations": [
        # A password has at most 1024 bytes after NFKC; JSON Schema counts characters as they come.
        may_also_get("/auth/login", "400"),
        # The same; and what makes a password foreseeable cannot be said in JSON Schema.
        may_also_get("/auth/password", "400", "422"),
        # Schemathesis presents tokens that it found in answers; a late duplicate is told to wait (docs/rotation.md).
        may_also_get("/auth/refresh", "503"),
        # The same; and RFC 6749 §5.2 gives 400 to a well-formed request whose token is not good (invalid_grant).
        may_also_get("/oauth/token", "400", "503"),
        # The client of this test is in the header; another one in the form as well is 400 (RFC 6749 §2.3).
        may_also_get("/oauth/introspect", "400"),
        # Deleting a session ends it, and what has ended is kept to be explained.
        {"include-path-regex": "^/admin/sessions/", "checks": {"use_after_free": {"enabled": False}}},
    ],
}


class HurryingClock(MovingClock):
    """Time that passes as it is looked at, so that hundreds of failed sign-ins are not throttled."""

    def __call__(self) -> int:
        self.advance(30)
        return super().__call__()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[LiveServer]:
    with live_server(tmp_path, clock=HurryingClock()) as live:
        live.add_user("ada")  # she is the example of /auth/login
        wait = live.server.services.feed.wait
        # Long polls: whether they wait is tested elsewhere, and here nobody is to wait for them.
        live.server.services.feed.wait = lambda _, **more: wait(0.01, **more)  # type: ignore[method-assign]
        yield live


@pytest.mark.slow
def test_whatever_comes_is_answered_as_described(running: LiveServer) -> None:
    """Whatever is sent to a route, well-formed or not, its answer is one that /openapi.json announces."""
    assert drive(running, max_examples=30) > 1000


@pytest.mark.soak
def test_whatever_comes_for_long_is_answered_as_described(running: LiveServer) -> None:
    """The same, with far more requests."""
    assert drive(running, max_examples=1000) > 5_000


def drive(running: LiveServer, *, max_examples: int) -> int:
    """Let schemathesis try every operation; returns the number of requests that it sent."""
    generation = {"deterministic": True, "max-examples": max_examples, "database": "none"}
    schema = schemathesis.openapi.from_url(
        f"{running.url}/openapi.json", config=SchemathesisConfig.from_dict({**CONFIG, "generation": generation})
    )
    reached: set[str] = set()
    found: list[str] = []
    requests = 0
    with running.client() as http:
        authenticate(schema, running, http)
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    reached.add(event.label or "")
                    requests += len(event.recorder.interactions)
                    found += failures(event)
                case events.NonFatalError():
                    found.append(f"{event.label}: {event.value}")
                case events.FatalError():
                    raise event.exception
                case events.SchemaAnalysisWarnings():
                    found += [str(warning) for warning in event.warnings]
    assert not found, "\n\n".join(found)
    operations = {f"{method.upper()} {path}" for path, item in schema.raw_schema["paths"].items() for method in item}
    # Schemathesis passes over the address that it read the description from.
    assert operations - reached == {"GET /openapi.json"}
    return requests


def authenticate(schema: Any, running: LiveServer, http: httpx2.Client) -> None:
    """Give every call that needs one an access token of its own, or a client's secret."""
    numbers = itertools.count()

    class FreshToken:
        roles: tuple[str, ...] = ()

        def get(self, case: Any, context: Any) -> str:
            name = f"user{next(numbers)}"  # a new one each time, for some of these calls change the password
            running.add_user(name, roles=self.roles)
            return str(running.sign_in(http, name)["access_token"])

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    class OperatorsToken(FreshToken):
        roles = ("admin",)

    schema.auth(refresh_interval=None).apply_to(tag="Your account")(FreshToken)
    schema.auth(refresh_interval=None).apply_to(tag="Operators")(OperatorsToken)
    client, secret = new_client("resource-server", now_ms=START_MS)
    running.run(running.server.store.add_client(client))
    schema.auth.set_from_requests((client.id, secret.reveal())).apply_to(path="/oauth/introspect")


def failures(event: Any) -> Iterator[str]:
    """What went against the description in one scenario, with the request that showed it."""
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                sent = event.recorder.interactions[case_id].request
                yield f"{check.name}: {failure.title}\n{failure.message}\n{sent.method} {sent.uri} {sent.body!r}"
