"""What a running server must not give away, and what operators do to it while it runs, by numbers in the list."""

import base64
import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import structlog

from evertoken.accounts.clients import new_client
from evertoken.accounts.sign_in import SignInResult
from evertoken.edge import logs
from evertoken.secret import Secret
from evertoken.sessions.model import AccountChange, EventKind
from evertoken.sessions.rotation import Reason
from tests.edge.attacking import (
    OVERLAP_SECONDS,
    RIPE_SECONDS,
    Answer,
    bearer,
    browser_sign_in,
    get,
    grant,
    me,
    own_page,
    post_form,
    post_json,
    refresh,
    request,
    send,
    signing_key,
)
from tests.edge.host_application import hooks
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

HOOKS: Final = "tests.edge.host_application:hooks"
OLD_PASSWORD: Final = "violin-harbour-quiet-88"
NEW_PASSWORD: Final = "staple-orbit-lantern-92"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, at the finest level, as `evertoken serve` would write it."""
    written = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("uvicorn.access").disabled
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(logs, "_log", structlog.stdlib.get_logger("evertoken.audit"))
    logs.configure(level="debug", as_json=True)
    try:
        yield written
    finally:
        structlog.reset_defaults()
        root.handlers[:], level, logging.getLogger("uvicorn.access").disabled = before
        root.setLevel(level)


def _story(live: LiveServer, client_secret: str) -> tuple[set[str], list[Answer]]:
    """A day in the life of a server; the secrets it issued, and every error it answered."""
    browser = browser_sign_in(live, "ada", OLD_PASSWORD)
    body = post_json(live, "/auth/login", {"username": "ada", "password": OLD_PASSWORD}).json()
    child = refresh(live, body["refresh_token"]).json()
    live.clock.advance(RIPE_SECONDS)
    newest = refresh(live, child["refresh_token"]).json()
    live.clock.advance(OVERLAP_SECONDS)
    secret = ("client_secret", client_secret)
    errors = [
        refresh(live, body["refresh_token"]),
        refresh(live, child["refresh_token"][:-1]),
        get(live.url, f"/auth/me?access_token={body['access_token']}"),
        get(live.url, f"/{newest['access_token']}/{newest['refresh_token']}"),
        me(live, newest["access_token"] + "x"),
        me(live, newest["access_token"]),
        post_json(live, "/auth/login", {"username": "ada", "password": NEW_PASSWORD}),
        post_json(live, "/auth/login", {"username": "ada", "password": [NEW_PASSWORD]}),
        post_json(live, "/auth/login", f'{{"username": "ada", "password": "{OLD_PASSWORD}'),
        post_json(live, "/auth/refresh", "", browser.cookie, ("X-CSRF-Token", browser.csrf[1] + "x"), *own_page(live)),
        post_json(live, "/auth/refresh", body, browser.cookie, browser.csrf, *own_page(live)),
        grant(live, newest["refresh_token"], ("client_id", "reporting")),
        post_form(live, "/oauth/introspect", ("token", browser.value), ("client_id", "x"), secret),
    ]
    assert (
        post_form(live, "/oauth/introspect", ("token", browser.value), ("client_id", "reporting"), secret).status == 200
    )
    passwords = {"current_password": OLD_PASSWORD, "new_password": NEW_PASSWORD}
    assert post_json(live, "/auth/password", passwords, bearer(browser.access_token)).status == 204
    issued = {browser.value, browser.access_token, browser.csrf[1], client_secret, OLD_PASSWORD, NEW_PASSWORD}
    for tokens in (body, child, newest):
        issued |= {tokens["access_token"], *filter(None, [tokens.get("refresh_token")])}
    return issued, errors


def test_no_secret_is_ever_written_down(tmp_path: Path, clock: MovingClock, log: io.StringIO) -> None:
    """Attacks 76 to 78: after a whole story no log, metric, error, repr, public key or database row holds a secret."""
    with live_server(tmp_path, clock=clock) as live:
        live.add_user("ada", OLD_PASSWORD)
        client, client_secret = new_client("reporting", now_ms=clock())
        assert live.run(live.server.store.add_client(client))
        issued, errors = _story(live, client_secret.reveal())
        assert {answer.status for answer in errors} == {400, 401, 403, 404}
        services = live.server.services
        private = signing_key(live).to_private_bytes()
        server_secret = Path(services.settings.store + ".secret").read_text().strip()
        public = [
            get(live.url, path).body for path in ("/metrics", "/.well-known/jwks.json", "/openapi.json", "/healthz")
        ]
        shown = [
            repr(thing) for thing in (live.server, services, services.secrets, services.keys.ring, Secret(OLD_PASSWORD))
        ]
        hashed = live.run(live.server.store.find_by_id("u_ada")).password_hash
    kept = [path.read_bytes() for path in tmp_path.iterdir() if not path.name.endswith(".secret")]
    keys = {private.hex(), base64.b64encode(private).decode(), server_secret}
    told = "\n".join([log.getvalue(), *shown, *(text.decode() for text in public), *(e.body.decode() for e in errors)])
    assert '"event": "replay"' in told and "evertoken_refreshes" in told and "u_ada" in log.getvalue()
    assert not [secret for secret in issued | keys | {hashed} if secret in told]
    assert not [secret for secret in issued | keys for content in kept if secret.encode() in content]
    assert not any(private in content for content in kept)
    assert b'"d"' not in public[1] and b"ada" not in public[0] and b"127.0.0.1" not in public[0]


def test_what_looks_like_a_token_is_masked_wherever_it_is_logged(log: io.StringIO) -> None:
    """Attack 76: the second line of defence: a token that gets into a log line or an exception is masked there."""
    token = "etr_" + "A" * 128
    error = ValueError(f"bad {token}")
    logging.getLogger("other").error("for %s", token, exc_info=error, extra={"detail": {"nested": [token]}})
    assert "[masked]" in log.getvalue() and token not in log.getvalue()


def test_a_user_disabled_while_the_password_is_checked_is_not_signed_in(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack 82: between the check and the session the account is looked at once more, in the same transaction."""
    checked = live.server.services.sign_in.check

    async def check_then_disable(*args: Any, **options: Any) -> SignInResult:
        result = await checked(*args, **options)
        change = AccountChange("u_ada", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
        await live.server.services.sessions.change_account(change)
        return result

    monkeypatch.setattr(live.server.services.sign_in, "check", check_then_disable)
    answer = post_json(live, "/auth/login", {"username": "ada", "password": PASSWORD})
    assert (answer.status, answer.code) == (401, "bad_credentials")
    assert live.run(live.server.store.list_sessions(user_id="u_ada")) == []


def test_introspection_is_for_confidential_clients_only(live: LiveServer, http: httpx2.Client) -> None:
    """Attack 84: without credentials, or with wrong ones, 401; for what is not good now exactly {"active": false}."""
    client, secret = new_client("reporting", now_ms=live.clock())
    live.run(live.server.store.add_client(client))
    tokens = live.sign_in(http)

    def ask(token: str, authorization: str | None) -> Answer:
        headers = [] if authorization is None else [("Authorization", authorization)]
        return post_form(live, "/oauth/introspect", ("token", token), headers=headers)

    def basic(text: str) -> str:
        return "Basic " + base64.b64encode(text.encode()).decode()

    for wrong in (
        None,
        basic("reporting:wrong"),
        basic("x:y"),
        basic("reporting:"),
        basic(":"),
        "Basic !",
        "Basic /w==",
    ):
        answer = ask(tokens["access_token"], wrong)
        assert (answer.status, answer.json()["error"]) == (401, "invalid_client"), wrong
        assert answer.one("WWW-Authenticate").startswith("Basic ")
    assert ask(tokens["access_token"], f"Bearer {tokens['access_token']}").status == 401
    good = basic(f"reporting:{secret.reveal()}")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert ask(token, good).json()["active"] is True
        assert ask(token + "x", good).body == b'{"active":false}'
    assert post_json(live, "/auth/logout", "", bearer(tokens["access_token"])).status == 204
    for token in (tokens["access_token"], tokens["refresh_token"], "x", "etr_" + "A" * 128):
        assert ask(token, good).body == b'{"active":false}'


def test_introspection_knows_users_who_live_elsewhere(tmp_path: Path, clock: MovingClock) -> None:
    """A refresh token whose user stands in the application's own table is active while a refresh would succeed."""
    table = "tests.edge.host_application:directory"
    with live_server(tmp_path, clock=clock, user_directory=table) as live, live.client() as http:
        client, secret = new_client("reporting", now_ms=clock())
        live.run(live.server.store.add_client(client))
        credentials = (("client_id", "reporting"), ("client_secret", secret.reveal()))
        token = live.sign_in(http)["refresh_token"]
        assert post_form(live, "/oauth/introspect", ("token", token), *credentials).json()["active"] is True


def test_revoking_ends_what_is_there_and_tells_nothing(live: LiveServer, http: httpx2.Client) -> None:
    """Attack 85: an unknown token is 200; under a foreign client_id the session goes on."""
    tokens = live.sign_in(http)
    for unknown in ("x", "etr_" + "A" * 128, tokens["refresh_token"][:-1] + "!"):
        assert post_form(live, "/oauth/revoke", ("token", unknown)).status == 200
    foreign = post_form(live, "/oauth/revoke", ("token", tokens["refresh_token"]), ("client_id", "other"))
    assert (foreign.status, foreign.json()["error"]) == (400, "invalid_grant")
    assert refresh(live, tokens["refresh_token"]).status == 200
    hint = ("token_type_hint", "access_token")
    for _ in range(2):
        assert post_form(live, "/oauth/revoke", ("token", tokens["refresh_token"]), hint).status == 200
    assert refresh(live, tokens["refresh_token"]).json()["reason"] == "signed_out"
    assert me(live, tokens["access_token"]).code == "token_invalid"


@pytest.mark.parametrize("announce_ms", [0, 600_000])
def test_a_change_of_keys_under_load_refuses_nobody(live: LiveServer, http: httpx2.Client, announce_ms: int) -> None:
    """Attack 86: while keys change, announced or at once, every honest token is taken, old ones as well as new."""
    tokens = live.sign_in(http)
    latest, statuses, stop = [tokens["access_token"]], [], threading.Event()

    def hammer() -> None:
        with live.client() as client:
            while not stop.is_set():
                renewed = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
                statuses.append(renewed.status_code)
                latest.append(renewed.json().get("access_token", ""))
                statuses.extend(me(live, token).status for token in (latest[0], latest[-1]))

    threads = [threading.Thread(target=hammer) for _ in range(2)]
    for thread in threads:
        thread.start()
    kids = set()
    for _ in range(3):
        seen = len(statuses)
        live.run(live.server.services.keys.rotate(now_ms=live.clock(), announce_ms=announce_ms))
        live.clock.advance(announce_ms / 2000 + 1)
        while len(statuses) < seen + 12:
            stop.wait(0.005)
        kids.add(signing_key(live).kid)
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    assert set(statuses) == {200}
    assert len(kids) == 3
    assert len(get(live.url, "/.well-known/jwks.json").json()["keys"]) == 4


def test_a_guard_forgets_what_a_removed_key_signed(live: LiveServer, http: httpx2.Client) -> None:
    """Attack 86: a key that leaked and was taken away is worth nothing at the next step, remembered tokens included."""
    access_token = live.sign_in(http)["access_token"]
    assert me(live, access_token).status == 200
    live.run(live.server.services.keys.rotate(now_ms=live.clock(), announce_ms=0))
    stored = live.run(live.server.store.list_keys())

    async def retire() -> None:
        dead = [type(key)(key.kid, key.algorithm, key.private_wrapped, key.signs_from_ms, 1) for key in stored[:1]]
        await live.server.store.save_keys(dead)
        await live.server.background.follow()

    live.run(retire())
    assert me(live, access_token).code == "token_invalid"


def test_a_changed_role_is_in_the_next_access_token(live: LiveServer, http: httpx2.Client) -> None:
    """Attack 90: a refresh carries the user's present roles, and whoever lost one keeps it for one lifetime at most."""
    tokens = live.sign_in(http)
    assert get(live.url, "/auth/verify", bearer(tokens["access_token"])).one("X-Auth-Roles") == ""
    live.run(live.server.store.set_roles("u_ada", ("admin", "a,b\r\nX: y")))
    renewed = refresh(live, tokens["refresh_token"]).json()["access_token"]
    verified = get(live.url, "/auth/verify", bearer(renewed))
    assert verified.one("X-Auth-Roles") == "admin,a%2Cb%0D%0AX%3A%20y" and not verified.all("X")


def test_nobody_sees_or_ends_another_users_sessions(live: LiveServer, http: httpx2.Client) -> None:
    """Another user's session is not there: not in the list, and 404 like an id that never was."""
    live.add_user("bob")
    ada, bob = live.sign_in(http), live.sign_in(http, "bob")
    mine = bearer(ada["access_token"])
    listed = get(live.url, "/auth/sessions", mine).json()["sessions"]
    assert [(session["id"], session["current"]) for session in listed] == [(ada["session_id"], True)]
    refusals = []
    for session_id in (bob["session_id"], "A" * 22, "x", "..", "%00", "' OR 1=1 --".replace(" ", "%20")):
        answer = send(live.url, request("DELETE", f"/auth/sessions/{session_id}", mine))
        refusals.append((answer.status, answer.code))
    assert set(refusals) == {(404, "not_found")}
    assert refresh(live, bob["refresh_token"]).status == 200
    second = live.sign_in(http)
    assert send(live.url, request("DELETE", "/auth/sessions?keep=everything", mine)).status == 400
    assert send(live.url, request("DELETE", "/auth/sessions?keep=current", mine)).status == 204
    assert refresh(live, second["refresh_token"]).json()["reason"] == "revoked"
    assert refresh(live, ada["refresh_token"]).status == 200
    assert send(live.url, request("DELETE", "/auth/sessions", mine)).status == 204
    assert me(live, ada["access_token"]).status == 401
    assert refresh(live, bob["refresh_token"]).status == 200


BROKEN: Final[tuple[Any, ...]] = (
    RuntimeError("broken"),
    None,
    7,
    {"sub": "root"},
    {"exp": 1},
    {"cnf": {}},
    {"a": object()},
    {"a": "x" * 5000},
    {"a": "\ud800"},
)


def test_a_broken_claims_hook_ends_no_session(
    tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claims hook that raises, or sets what it must not, is 503; the session is as it was once it works again."""
    with live_server(tmp_path, clock=clock, claims_hook=f"{HOOKS}.claims") as live, live.client() as http:
        live.add_user("ada")
        first = live.sign_in(http)
        assert me(live, first["access_token"]).json()["tenant"] == "acme"
        token = first["refresh_token"]
        for result in BROKEN:
            monkeypatch.undo()
            token = refresh(live, token).json()["refresh_token"]
            clock.advance(RIPE_SECONDS)
            monkeypatch.setattr(hooks, "result", result)
            sign_in = post_json(live, "/auth/login", {"username": "ada", "password": PASSWORD})
            for answer in (sign_in, refresh(live, token), refresh(live, token)):
                assert (answer.status, answer.code) == (503, "unavailable"), result
            answer = grant(live, token)
            assert (answer.status, answer.json()["error"]) == (503, "temporarily_unavailable")
        monkeypatch.undo()
        renewed = refresh(live, token).json()["access_token"]
        assert len(get(live.url, "/auth/sessions", bearer(renewed)).json()["sessions"]) == 1


@pytest.mark.parametrize("hook", ["event", "slow_event"])
def test_a_broken_event_hook_is_nobodys_concern(tmp_path: Path, clock: MovingClock, hook: str) -> None:
    """An event hook that raises is logged; sign-in, refresh, sign-out and the guard go on as if it were not there."""
    with live_server(tmp_path, clock=clock, event_hook=f"{HOOKS}.{hook}") as live, live.client() as http:
        live.add_user("ada")
        tokens = live.sign_in(http)
        assert refresh(live, tokens["refresh_token"]).status == 200
        assert post_json(live, "/auth/logout", "", bearer(tokens["access_token"])).status == 204
        assert me(live, tokens["access_token"]).status == 401
