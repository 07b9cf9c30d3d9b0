"""Refresh tokens that are stolen, mangled, repeated, late or misplaced, over HTTP, by their numbers in the list."""

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.sessions.model import AccountChange, Caller, EventKind, session_id_bytes
from evertoken.sessions.rotation import Reason
from evertoken.stores.sqlite import worker
from tests.edge.attacking import (
    FORM,
    JSON,
    OVERLAP_SECONDS,
    RIPE_SECONDS,
    Answer,
    all_at_once,
    bearer,
    browser_sign_in,
    connected,
    grant,
    me,
    own_page,
    post_form,
    post_json,
    refresh,
    request,
    send,
    sent_or_hung_up,
)
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server


@pytest.fixture
def tokens(live: LiveServer, http: httpx2.Client) -> dict[str, Any]:
    """Ada has signed in, in body mode."""
    return live.sign_in(http)


def over(answer: Answer, reason: str) -> None:
    """Assert that the session is over, for this reason, and that no client would refresh again."""
    assert (answer.status, answer.code, answer.json()["reason"]) == (401, "session_over", reason)
    assert answer.one("Cache-Control") == "no-store"
    assert not answer.all("Set-Cookie")


def granted(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    assert answer.one("Cache-Control") == "no-store"
    given: dict[str, Any] = answer.json()
    return given


def succeeded(live: LiveServer, token: str) -> tuple[str, str]:
    """Renew `token`, and confirm its successor once that is ripe; gives the successor and the one after it."""
    child = granted(refresh(live, token))["refresh_token"]
    live.clock.advance(RIPE_SECONDS)
    return child, granted(refresh(live, child))["refresh_token"]


@pytest.mark.parametrize("route", ["/auth/refresh", "/oauth/token"])
def test_a_replayed_token_ends_the_session_for_thief_and_owner(
    live: LiveServer, tokens: dict[str, Any], route: str
) -> None:
    """Attack 35: a token shown again once its successor has been used ends the session; the successor is dead too."""
    stolen = tokens["refresh_token"]
    _, newest = succeeded(live, stolen)
    access_token = granted(refresh(live, newest))["access_token"]
    live.clock.advance(OVERLAP_SECONDS)
    assert me(live, access_token).status == 200
    if route == "/auth/refresh":
        over(refresh(live, stolen), "replayed")
    else:
        assert grant(live, stolen).json()["error"] == "invalid_grant"
    over(refresh(live, newest), "replayed")
    assert grant(live, newest).json()["error"] == "invalid_grant"
    assert me(live, access_token).code == "token_invalid"


def test_fifty_presentations_at_once_leave_one_line_of_succession(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 36: fifty tabs that race sign nobody out, and only the successor that is used first goes on."""
    ripe = granted(refresh(live, tokens["refresh_token"]))["refresh_token"]
    live.clock.advance(RIPE_SECONDS)
    children = {granted(answer)["refresh_token"] for answer in all_at_once(50, lambda: refresh(live, ripe))}
    live.clock.advance(RIPE_SECONDS)
    first, *others = children
    newest = granted(refresh(live, first))["refresh_token"]
    assert {refresh(live, other).code for other in others} <= {"stale"}
    assert granted(refresh(live, newest))["access_token"]
    if others:
        live.clock.advance(OVERLAP_SECONDS)
        over(refresh(live, others[0]), "replayed")


def test_a_cookie_and_another_token_in_the_body_are_refused_and_change_nothing(
    live: LiveServer, tokens: dict[str, Any]
) -> None:
    """Attack 37: two tokens in one call: neither is renewed, neither is ended."""
    live.add_user("bob")
    browser = browser_sign_in(live, "bob", PASSWORD)
    body = {"refresh_token": tokens["refresh_token"]}
    for path in ("/auth/refresh", "/auth/logout"):
        answer = post_json(live, path, body, browser.cookie, browser.csrf, *own_page(live))
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert not answer.all("Set-Cookie")
    granted(refresh(live, tokens["refresh_token"]))
    granted(post_json(live, "/auth/refresh", "", browser.cookie, browser.csrf, *own_page(live)))


def test_another_client_gets_nothing_and_ends_nothing(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 38: under a foreign client_id even a replay is only refused: a stolen token is no kill switch."""
    first = tokens["refresh_token"]
    _, newest = succeeded(live, first)
    live.clock.advance(OVERLAP_SECONDS)
    for token in (first, newest):
        answer = grant(live, token, ("client_id", "somebody-else"))
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    granted(grant(live, newest, ("client_id", "evertoken")))


def test_no_scope_can_be_added(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 39: these sessions carry no scopes; whoever asks for one gets invalid_scope, and nothing has changed."""
    for scope in ("admin", "openid profile", "*"):
        answer = grant(live, tokens["refresh_token"], ("scope", scope))
        assert (answer.status, answer.json()["error"]) == (400, "invalid_scope")
    granted(grant(live, tokens["refresh_token"]))


def test_a_session_that_is_not_used_ends(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 40: after the idle time to the millisecond; a refresh before it moves it."""
    live.clock.advance(7 * 86_400 - 0.001)
    granted(refresh(live, tokens["refresh_token"]))
    live.clock.advance(7 * 86_400)
    over(refresh(live, tokens["refresh_token"]), "expired_idle")


def test_no_refresh_extends_the_maximum_age(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 40: where a maximum age is set, a token renewed just before it ends with it."""
    with live_server(tmp_path, clock=clock, max_age=timedelta(days=1)) as live, live.client() as client:
        live.add_user("ada")
        token = live.sign_in(client)["refresh_token"]
        clock.advance(86_400 - 1)
        renewed = granted(refresh(live, token))
        assert renewed["refresh_token_expires_in"] == 1
        clock.advance(1)
        over(refresh(live, renewed["refresh_token"]), "expired_max_age")


def _mangled(token: str) -> Iterator[str]:
    raw = base64.urlsafe_b64decode(token[4:])
    yield from (token[:-1], token[:64], token[:4], token[4:], token + "A", token + "=", token + "\n", " " + token, "")
    yield from (token.upper(), "ETR_" + token[4:], token.replace("_", "/").replace("-", "+") + "=", "etr_" + "ä" * 128)
    for at in range(0, len(raw), 9):  # attack 49: one bit changed, in every field
        yield "etr_" + base64.urlsafe_b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).decode()


def test_a_mangled_token_is_refused_and_changes_nothing(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attacks 41 and 49: truncated, one bit changed, spelled otherwise: none of ours, and no session ends by it."""
    token = tokens["refresh_token"]
    for other in _mangled(token):
        answer = refresh(live, other)
        assert (answer.status, answer.code) == (401, "token_invalid"), other
        expected = {"invalid_grant"} if other else {"invalid_request"}
        assert {grant(live, other).json()["error"]} == expected, other
    granted(refresh(live, token))


def test_a_token_of_another_type_is_a_bad_request(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 41: lists, objects, numbers, broken JSON and megabytes are refused before anything is looked up."""
    token = tokens["refresh_token"]
    texts = [f'["{token}"]', f'{{"a":"{token}"}}', "7", "true", f'"{token}" x', f'"{token}', '"\\ud800"', "[" * 9000]
    for text in texts:
        answer = post_json(live, "/auth/refresh", f'{{"refresh_token": {text}}}')
        assert (answer.status, answer.code) in {(400, "invalid_request"), (401, "token_invalid")}, text
        assert token.encode() not in answer.body
    for size in (20_000, 1_000_000):
        large = sent_or_hung_up(live.url, request("POST", "/auth/refresh", JSON, body=b"a" * size))
        assert large is None or (large.status, large.code) == (413, "too_large")
    granted(refresh(live, token))


def test_a_repeated_parameter_is_a_bad_request(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 41: a form says each thing once (RFC 6749 §3.2), even where both say the same."""
    fields = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"]), ("client_id", "evertoken")]
    for again in (*fields, ("unknown", "")):
        answer = post_form(live, "/oauth/token", *fields, again, again)
        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    granted(post_form(live, "/oauth/token", *fields, ("more", "ignored")))


def _end(live: LiveServer, tokens: dict[str, Any], how: str) -> None:
    change: AccountChange | None = None
    if how == "signed_out":
        assert post_json(live, "/auth/logout", "", bearer(tokens["access_token"])).status == 204
    elif how == "revoked":
        session_id = session_id_bytes(tokens["session_id"]) or b""
        live.run(live.server.services.sessions.end(session_id, Caller(), reason=Reason.REVOKED))
    elif how == "account_disabled":
        change = AccountChange("u_ada", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
    else:
        change = AccountChange("u_ada", Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, password_hash="x")
    if change is not None:
        assert live.run(live.server.services.sessions.change_account(change))


@pytest.mark.parametrize("how", ["signed_out", "password_changed", "account_disabled", "revoked"])
def test_an_ended_session_stays_ended_for_every_token_of_it(live: LiveServer, tokens: dict[str, Any], how: str) -> None:
    """Attack 42: after sign-out, password change, disabling or an operator's hand no token of the session is good."""
    child = granted(refresh(live, tokens["refresh_token"]))
    _end(live, tokens, how)
    for token in (tokens["refresh_token"], child["refresh_token"]):
        over(refresh(live, token), how)
        assert grant(live, token).json()["error"] == "invalid_grant"
    for access_token in (tokens["access_token"], child["access_token"]):
        assert me(live, access_token).code == "token_invalid"


def test_no_refresh_succeeds_once_sign_out_is_acknowledged(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 42: refreshes that are under way while somebody signs out may win before the 204, and never after."""
    began: list[tuple[float, int]] = []
    answered = threading.Condition()
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            at = time.monotonic()
            status = refresh(live, tokens["refresh_token"]).status
            with answered:
                began.append((at, status))
                answered.notify_all()

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        with answered:
            assert answered.wait_for(lambda: len(began) >= 20, timeout=30)
        assert post_json(live, "/auth/logout", "", bearer(tokens["access_token"])).status == 204
        acknowledged = time.monotonic()
        with answered:
            assert answered.wait_for(lambda: sum(at > acknowledged for at, _ in began) >= 20, timeout=30)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
    assert 200 in {status for at, status in began if at < acknowledged}
    assert {status for at, status in began if at > acknowledged} == {401}


@pytest.mark.parametrize("ripe", [False, True])
def test_a_lost_answer_costs_nobody_the_session(live: LiveServer, tokens: dict[str, Any], ripe: bool) -> None:
    """Attack 43: whoever never saw the answer presents the same token again, later too, and gets tokens."""
    token = tokens["refresh_token"]
    if ripe:
        token = granted(refresh(live, token))["refresh_token"]
        live.clock.advance(RIPE_SECONDS)
    with connected(live.url) as connection:
        connection.sendall(request("POST", "/auth/refresh", JSON, body=json.dumps({"refresh_token": token})))
    for seconds in (0, 30, 86_400):
        live.clock.advance(seconds)
        retried = granted(refresh(live, token))
    granted(refresh(live, retried["refresh_token"]))


def test_the_same_bytes_twice_are_served_twice_and_a_late_copy_is_told_to_wait(
    live: LiveServer, tokens: dict[str, Any]
) -> None:
    """Attack 44: a proxy that repeats a request harms nothing; a copy that comes after the successor gets 503."""
    first = tokens["refresh_token"]
    raw = request("POST", "/auth/refresh", JSON, body=json.dumps({"refresh_token": first}))
    assert [send(live.url, raw).status for _ in range(2)] == [200, 200]
    _, newest = succeeded(live, first)
    live.clock.advance(20)
    late = send(live.url, raw)
    assert (late.status, late.code, late.one("Retry-After")) == (503, "stale", "40")
    assert "access_token" not in late.json() and not late.all("Set-Cookie")
    late = grant(live, first)
    assert (late.status, late.json()["error"], late.one("Retry-After")) == (503, "temporarily_unavailable", "40")
    granted(refresh(live, newest))


@pytest.mark.parametrize("jumps", [(3600, -3600), (-3600, 3600), (-3600, 0), (3600, 0)])
def test_a_clock_that_jumps_an_hour_signs_nobody_out(
    live: LiveServer, tokens: dict[str, Any], jumps: tuple[int, int]
) -> None:
    """Attack 47: the server's clock set forward or back, between any two refreshes."""
    token = tokens["refresh_token"]
    for jump in (*jumps, *jumps):
        live.clock.advance(jump)
        renewed = granted(refresh(live, token))
        assert me(live, renewed["access_token"]).status == 200
        token = renewed.get("refresh_token", token)


@contextmanager
def _locked(live: LiveServer) -> Iterator[None]:
    """Another program holds the database's write lock."""
    with closing(sqlite3.connect(live.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _gone(live: LiveServer) -> Iterator[None]:
    """The database file is not where it was."""
    path = live.database
    away = path.rename(path.with_suffix(".away"))
    yield
    away.rename(path)


@pytest.mark.parametrize("fault", [_locked, _gone])
def test_a_store_that_cannot_answer_signs_nobody_out(
    live: LiveServer, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    """Attack 48: a fault of ours is 503 with Retry-After, on every route that writes, and the session goes on."""
    monkeypatch.setattr(worker, "LOCK_WAIT_SECONDS", 0.05)
    token = tokens["refresh_token"]
    with fault(live):
        sign_in = post_json(live, "/auth/login", {"username": "ada", "password": PASSWORD})
        sign_out = post_json(live, "/auth/logout", {"refresh_token": token})
        for answer in (refresh(live, token), sign_in, sign_out):
            assert (answer.status, answer.code) == (503, "unavailable")
            assert int(answer.one("Retry-After")) >= 1
        for answer in (grant(live, token), post_form(live, "/oauth/revoke", ("token", token))):
            assert (answer.status, answer.json()["error"]) == (503, "temporarily_unavailable")
            assert int(answer.one("Retry-After")) >= 1
        assert me(live, tokens["access_token"]).status == 200
    granted(refresh(live, token))


def test_hundreds_of_rotations_leave_one_row(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 50: a session is one row for life, however often it is renewed, and the last renewal is as quick."""
    with live_server(tmp_path, clock=clock, overlap=timedelta(0)) as live, live.client() as client:
        live.add_user("ada")
        token = live.sign_in(client)["refresh_token"]
        for _ in range(300):
            clock.advance(60)
            token = client.post("/auth/refresh", json={"refresh_token": token}).json()["refresh_token"]
        with closing(sqlite3.connect(live.database)) as connection:
            for table in ("sessions", "events"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_no_other_grant_is_offered(live: LiveServer) -> None:
    """Attack 52: grant_type missing, unknown or `password`: an OAuth error, never tokens."""
    for fields, error in (
        ([], "invalid_request"),
        ([("grant_type", "")], "invalid_request"),
        ([("grant_type", "refresh_token")], "invalid_request"),
        ([("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)], "unsupported_grant_type"),
        ([("grant_type", "client_credentials")], "unsupported_grant_type"),
        ([("grant_type", "authorization_code"), ("code", "x")], "unsupported_grant_type"),
        ([("grant_type", "REFRESH_TOKEN"), ("refresh_token", "x")], "unsupported_grant_type"),
    ):
        answer = post_form(live, "/oauth/token", *fields)
        assert (answer.status, answer.json()["error"]) == (400, error)
        assert answer.one("Cache-Control") == "no-store"


def test_a_body_that_is_not_a_form_is_an_oauth_error(live: LiveServer) -> None:
    """Attack 52: JSON or noise instead of a form is 400 in the shape that OAuth clients read."""
    for media_type in ("application/json", "text/plain", "", FORM[1]):
        for body in (b'{"grant_type":"refresh_token"}', b"\xff=%ff&&&", b"a=1&" * 60, b"%", b""):
            answer = send(live.url, request("POST", "/oauth/token", ("Content-Type", media_type), body=body))
            assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    large = send(live.url, request("POST", "/oauth/token", FORM, body=b"a" * 20_000))
    assert (large.status, large.json()["error"]) == (413, "invalid_request")


def test_the_token_endpoint_answers_post_only(live: LiveServer, tokens: dict[str, Any]) -> None:
    """Attack 53: a token in a URL is not even read; 405 says what is allowed, as an OAuth error."""
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        path = f"/oauth/token?grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
        answer = send(live.url, request(method, path))
        assert (answer.status, answer.one("Allow"), answer.json()["error"]) == (405, "POST", "invalid_request")
        assert tokens["refresh_token"].encode() not in answer.body


def test_an_early_successor_earns_an_access_token_only(live: LiveServer, tokens: dict[str, Any]) -> None:
    """A token that is too young to count yet stays: no new one comes, by body or by cookie."""
    child = granted(refresh(live, tokens["refresh_token"]))["refresh_token"]
    early = granted(refresh(live, child))
    assert "refresh_token" not in early and me(live, early["access_token"]).status == 200
    browser = browser_sign_in(live, "ada", PASSWORD)
    young = post_json(live, "/auth/refresh", "", browser.cookie, browser.csrf, *own_page(live)).one("Set-Cookie")
    cookie = ("Cookie", young.partition(";")[0])
    answer = post_json(live, "/auth/refresh", "", cookie, browser.csrf, *own_page(live))
    assert "refresh_token" not in granted(answer) and not answer.all("Set-Cookie")
