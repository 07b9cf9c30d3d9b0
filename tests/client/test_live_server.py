"""Sessions at our real server, over days of its time."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from evertoken.client import Session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import RefreshUnavailable, SignedOut, SignInRefused
from evertoken.sessions.model import AccountChange, Caller, EventKind, session_id_bytes
from evertoken.sessions.rotation import Reason
from tests.client.staging import PASSWORD, Heard, document_of, session_at, settle
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, client_at, live_server

HOUR = 3600.0
DAY = 24 * HOUR
MATURITY_SECONDS = 240.0
OVERLAP_SECONDS = 60.0


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server whose sessions last for 30 days at most."""
    with live_server(tmp_path, clock=clock, max_age=timedelta(days=30)) as running:
        running.add_user("ada")
        yield running


def at(live: LiveServer) -> Session:
    """A session there, at the server's time; nobody is signed in."""
    return session_at(live.url, clock=lambda: (live.clock() / 1000, live.clock() / 1000))


@pytest.fixture
def session(live: LiveServer) -> Session:
    """A session of ada's."""
    made = at(live)
    made.login("ada", PASSWORD)
    return made


def copied(live: LiveServer, session: Session) -> Session:
    """Another session with a copy of the same tokens, as a restored backup or a thief has them."""
    other = at(live)
    stored = document_of(session)
    other.adopt(
        access_token=stored["access_token"],
        refresh_token=stored["refresh_token"],
        session_id=stored["session_id"],
        expires_in=stored["expires_at"] - live.clock() / 1000,
    )
    return other


def test_nobody_notices_a_hundred_rotations(live: LiveServer, session: Session) -> None:
    """
    Over two weeks with a request every few hours no request is refused, and the server counts one session.
    """
    statuses = []
    with httpx2.Client(
        base_url=live.url,
        auth=SilentAuth(session),
        event_hooks={"response": [lambda r: statuses.append(r.status_code)]},
    ) as http:
        seen = set()
        for _ in range(100):
            live.clock.advance(3.4 * HOUR)
            assert http.get("/auth/me").json()["preferred_username"] == "ada"
            seen.add(document_of(session)["refresh_token"])
        assert len(http.get("/auth/sessions").json()["sessions"]) == 1
    assert len(seen) == 100
    assert set(statuses) == {200}


def test_requests_every_minute_renew_ahead_of_the_end(live: LiveServer, session: Session) -> None:
    """
    A program that is always at work renews beside its requests, so that none of them waits or is refused.
    """
    tokens = set()
    with httpx2.Client(base_url=live.url, auth=SilentAuth(session)) as http:
        for _ in range(100):
            assert http.get("/auth/me").status_code == 200
            settle()
            tokens.add(session.token())
            live.clock.advance(50)
    assert len(tokens) <= 4


def test_a_young_refresh_token_is_kept(live: LiveServer, session: Session) -> None:
    """
    A refresh token that is shown before it is ripe brings an access token alone (EARLY) and is kept; shown again when
    it is ripe it is replaced (ADVANCE).
    """
    first = document_of(session)
    session.refresh()
    second = document_of(session)
    assert second["refresh_token"] != first["refresh_token"]
    live.clock.advance(10)
    session.refresh()
    early = document_of(session)
    assert early["refresh_token"] == second["refresh_token"]
    assert early["access_token"] != second["access_token"]
    live.clock.advance(MATURITY_SECONDS)
    session.refresh()
    assert document_of(session)["refresh_token"] != second["refresh_token"]


def test_an_old_copy_is_told_to_wait_and_keeps_its_tokens(live: LiveServer, session: Session) -> None:
    """
    A second client with a copy of an older token is told STALE within the overlap: RefreshUnavailable, with what is
    left of it to wait; nobody is signed out by it.
    """
    copy = copied(live, session)
    heard = [Heard(session), Heard(copy)]
    stored = copy.store.load()
    session.refresh()
    live.clock.advance(MATURITY_SECONDS)
    session.refresh()
    live.clock.advance(20)
    with pytest.raises(RefreshUnavailable, match="a newer refresh token of this session has been used") as caught:
        copy.refresh()
    assert caught.value.retry_after_seconds == OVERLAP_SECONDS - 20
    assert copy.store.load() == stored
    session.refresh()
    settle()
    assert [one.reasons for one in heard] == [[], []]


def test_an_old_copy_shown_after_the_overlap_ends_the_session_for_both(live: LiveServer, session: Session) -> None:
    """
    Two parties with one session cannot go on: after the overlap both are signed out, and both are told why.
    """
    copy = copied(live, session)
    heard = [Heard(session), Heard(copy)]
    session.refresh()
    live.clock.advance(MATURITY_SECONDS)
    session.refresh()
    live.clock.advance(OVERLAP_SECONDS + 1)
    for one in (copy, session):
        with pytest.raises(SignedOut) as caught:
            one.refresh()
        assert caught.value.reason == "replayed"
    settle()
    assert [one.reasons for one in heard] == [["replayed"], ["replayed"]]


def _end(live: LiveServer, session: Session, reason: str, folder: Path) -> None:
    services = live.server.services.sessions
    match reason:
        case "expired_idle":
            live.clock.advance(8 * DAY)
        case "expired_max_age":
            for _ in range(6):
                live.clock.advance(5 * DAY - 1)
                session.token()
            live.clock.advance(10)
        case "signed_out":
            copied(live, session).logout()
        case "password_changed":
            with client_at(live.url) as http:
                tokens = live.sign_in(http)
                changed = http.post(
                    "/auth/password",
                    json={"current_password": PASSWORD, "new_password": "a-longer-horse-battery"},
                    headers={"Authorization": f"Bearer {tokens['access_token']}"},
                )
                assert changed.status_code in (200, 204), changed.text
        case "revoked":
            session_id = session_id_bytes(document_of(session)["session_id"]) or b""
            live.run(services.end(session_id, Caller(), reason=Reason.REVOKED))
        case "account_disabled":
            change = AccountChange("u_ada", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
            assert live.run(services.change_account(change))
        case "unknown":
            with sqlite3.connect(folder / "evertoken.db") as database:
                assert database.execute("DELETE FROM sessions").rowcount == 1
            database.close()


@pytest.mark.parametrize(
    "reason",
    [
        "expired_idle",
        "expired_max_age",
        "signed_out",
        "password_changed",
        "revoked",
        "account_disabled",
        "unknown",
    ],
)
def test_a_session_that_is_over_is_told_with_its_reason(
    live: LiveServer, session: Session, tmp_path: Path, reason: str
) -> None:
    """
    However a session ends, SignedOut and the listeners carry the server's reason, once; and a new sign-in goes on.
    """
    heard = Heard(session)
    _end(live, session, reason, tmp_path)
    live.clock.advance(1801)
    with httpx2.Client(base_url=live.url, auth=SilentAuth(session)) as http:
        for _ in range(2):
            with pytest.raises(SignedOut) as caught:
                http.get("/auth/me")
            assert caught.value.reason == reason
        settle()
        assert heard.reasons == [reason]
        assert not session.is_signed_in()
        if reason == "account_disabled":
            with pytest.raises(SignInRefused, match="bad_credentials"):
                session.login("ada", PASSWORD)
            return
        session.login("ada", "a-longer-horse-battery" if reason == "password_changed" else PASSWORD)
        assert http.get("/auth/me").status_code == 200


def test_a_wrong_password_is_told_by_the_servers_code(live: LiveServer) -> None:
    """
    Our server's refusal of a password arrives as SignInRefused with its code.
    """
    with pytest.raises(SignInRefused) as caught:
        at(live).login("ada", "wrong-horse-battery")
    assert caught.value.code == "bad_credentials"


def test_a_sign_in_over_a_session_leaves_one_session_at_the_server(live: LiveServer, session: Session) -> None:
    """
    Signing in ten times from one program leaves one session in the list of one's devices.
    """
    for _ in range(3):
        session.login("ada", PASSWORD)
    with httpx2.Client(base_url=live.url, auth=SilentAuth(session)) as http:
        assert len(http.get("/auth/sessions").json()["sessions"]) == 1
