"""No token and no password in a log, an error or a repr, whatever happens."""

import base64
import contextlib
import logging
import traceback
from collections.abc import Callable

import httpx2
import pytest

from evertoken.client import Session, oauth_session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import EvertokenError
from evertoken.testing import Answer, Fault, Hangup, MovingClock
from tests.client.doubles import StagedStore
from tests.client.staging import FAR_FROM_NOW, LIFETIME_SECONDS, PASSWORD, StagedServer, session_at, settle

WRONG_PASSWORD = "wrong-horse-battery"


def secrets_of(server: StagedServer) -> list[str]:
    """Every token that the server has ever issued, and the passwords."""
    return [*server._sessions._access_tokens, *server._sessions._refresh_tokens, PASSWORD, WRONG_PASSWORD]


def test_a_whole_life_at_debug_shows_no_secret(
    server: StagedServer, moving: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Sign-ins, refreshes, refusals, faults of every kind and sign-outs, logged at DEBUG: no token and no password
    appears, in no message, error, traceback or repr.
    """
    caplog.set_level(logging.DEBUG)
    store = StagedStore()
    session = session_at(server.url, store=store, clock=moving)
    session.on_signed_out(_broken)
    shown: list[str] = []

    def attempt(action: Callable[[], object]) -> None:
        try:
            shown.append(repr(action()) if action != session.token else str(bool(action())))
        except EvertokenError as error:
            shown.extend((str(error), repr(error), "".join(traceback.format_exception(error))))
        settle()
        moving.advance(FAR_FROM_NOW)

    with httpx2.Client(base_url=server.url, auth=SilentAuth(session)) as http:
        attempt(lambda: session.login("ada", WRONG_PASSWORD))
        attempt(lambda: session.login("ada", PASSWORD))
        attempt(session.refresh)
        attempt(lambda: http.get("/data"))
        server.expire_access_tokens()
        attempt(lambda: http.get("/data"))
        for fault in (Fault(body=b"{"), Fault(status=500), Fault(reset=True), Fault(lose_answer=True)):
            server.script_refresh(fault, fault, fault)
            attempt(session.token)
        store.failing["swap"] = OSError(5, "a fault of the test's")
        attempt(session.token)
        store.failing.clear()
        attempt(session.token)
        for answer in (Answer(503), Hangup.RESET):
            server.script("/auth/logout", answer)
            attempt(session.logout)
        attempt(lambda: session.login("bob", PASSWORD))
        server.end_sessions("revoked")
        attempt(session.token)
        attempt(lambda: session.login("ada", PASSWORD))
        attempt(session.logout)
    gate = session.gate
    shown += [repr(one) for one in (session, gate, gate.around, gate.own, gate.refresher, store, server.seen)]
    assert len(caplog.records) > 20
    everything = "\n".join([caplog.text, *shown])
    assert "Traceback" in everything
    assert [secret for secret in secrets_of(server) if secret in everything] == []


def test_the_state_of_a_session_shows_no_secret(ada: Session, server: StagedServer, moving: MovingClock) -> None:
    """
    What a debugger or an error report prints of a session that is signed in holds no token.
    """
    ada.token()
    gate = ada.gate
    holding = gate.refresher.holding
    everything = " ".join(repr(one) for one in (ada, gate, gate.around, gate.own, holding, ada.store, ada.dialect))
    assert [secret for secret in secrets_of(server) if secret in everything] == []


def test_an_oauth_session_does_not_show_its_client_secret() -> None:
    """
    The secret of a confidential client is in no repr, in neither of the ways in which it is sent.
    """
    for authentication in ("basic", "post"):
        session = oauth_session(
            "https://api.example",
            client_id="orders",
            client_secret="client-s3cret",
            client_authentication=authentication,
            token_endpoint="https://login.example/token",
        )
        basic = base64.b64encode(b"orders:client-s3cret").decode()
        for shown in (repr(session), repr(session.dialect), repr(session.gate.around)):
            assert "client-s3cret" not in shown and basic not in shown


def test_a_call_shows_neither_its_body_nor_its_headers(ada: Session, server: StagedServer, moving: MovingClock) -> None:
    """
    A transport that logs its calls, as people do, logs no refresh token.
    """
    from evertoken.client.http import Call, HttpTransport

    seen: list[str] = []

    class Logging(HttpTransport):
        def __call__(self, call: Call, *, timeout_seconds: float) -> object:  # type: ignore[override]
            answer = super().__call__(call, timeout_seconds=timeout_seconds)
            seen.append(f"{call!r} {answer!r}")
            return answer

    session = session_at(server.url, store=ada.store, clock=moving, transport=Logging())
    moving.advance(LIFETIME_SECONDS)
    session.token()
    session.login("ada", PASSWORD)
    session.logout()
    assert len(seen) >= 4
    assert [secret for secret in secrets_of(server) if secret in " ".join(seen)] == []


def _broken(reason: str) -> None:
    with contextlib.suppress(KeyError):
        raise KeyError(reason)
    raise RuntimeError("a listener of the test's")
