"""Every answer that the description announces can be had, and each is as announced."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from evertoken.accounts.clients import new_client
from evertoken.edge.openapi.description import description
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

WRONG = "wrong-horse-battery"
LARGE = "x" * 20_000
FOREIGN = {"Origin": "https://evil.example"}
ADMIN_CALLS = [
    ("GET", "/admin/overview"),
    ("GET", "/admin/users"),
    ("POST", "/admin/users/u_tim/disable"),
    ("POST", "/admin/users/u_tim/enable"),
    ("DELETE", "/admin/users/u_tim/sessions"),
    ("GET", "/admin/sessions"),
    ("GET", "/admin/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
    ("DELETE", "/admin/sessions/AAAAAAAAAAAAAAAAAAAAAA"),
    ("GET", "/admin/sessions/AAAAAAAAAAAAAAAAAAAAAA/timeline"),
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys/rotate"),
]
CLIENT_FORM = {"client_id": "app", "client_secret": "wrong"}


class Conversation:
    """Calls a server, holds each answer against the description, and remembers which have been had."""

    def __init__(self, live: LiveServer, http: httpx2.Client) -> None:
        self.live = live
        self._http = http
        self._document = description(live.server.services.settings)
        self.had: set[tuple[str, int, str]] = set()

    def ask(self, method: str, path: str, status: int, code: str = "", **request: Any) -> httpx2.Response:
        """Send a request that must get this status and code, as described."""
        answer = self._http.request(method, path, **request)
        problem = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
        told = str(problem.get("code", problem.get("error", "")))
        assert (answer.status_code, told) == (status, code), answer.text
        template = re.sub(r"(?<=/sessions/|min/users/)[^/]+", "{id}", path.partition("?")[0])
        self._check(self._document["paths"][template][method.lower()]["responses"][str(status)], answer)
        self.had.add((f"{method} {template}", status, code))
        return answer

    def announced(self) -> set[tuple[str, int, str]]:
        """Every operation, status and code of the description."""
        return {
            (f"{method.upper()} {path}", int(status), code)
            for path, item in self._document["paths"].items()
            for method, operation in item.items()
            for status, response in operation["responses"].items()
            for code in codes(response)
        }

    def _check(self, announced: dict[str, Any], answer: httpx2.Response) -> None:
        for name, header in announced.get("headers", {}).items():
            meant = self._component(header)
            value: Any = answer.headers.get(name)
            assert value is not None or not meant.get("required"), f"{name} is missing"
            if value is not None:
                number = meant["schema"].get("type") == "integer"
                assert jsonschema_rs.is_valid(meant["schema"], int(value) if number else value), (name, value)
        if "content" not in announced:
            assert answer.content == b""
            return
        ((media_type, content),) = announced["content"].items()
        assert answer.headers["content-type"].partition(";")[0] == media_type
        body = answer.json() if media_type.endswith("json") else answer.text
        schema = {**content["schema"], "components": self._document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(body)

    def _component(self, header: dict[str, Any]) -> dict[str, Any]:
        name = header.get("$ref", "").rpartition("/")[2]
        found: dict[str, Any] = self._document["components"]["headers"][name] if name else header
        return found


def codes(response: dict[str, Any]) -> list[str]:
    """The codes of a described refusal; one empty one for an answer that is none."""
    for content in response.get("content", {}).values():
        for part in content["schema"].get("allOf", ()):
            members = part.get("properties", {})
            if "code" in members or "error" in members:
                return list(members.get("code", members.get("error"))["enum"])
    return [""]


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Conversation]:
    with live_server(tmp_path, clock=MovingClock(), free_failures_per_pair=1) as live, live.client() as http:
        for name in ("ada", "bob", "eve", "tim"):
            live.add_user(name)
        live.add_user("root", roles=("admin",))
        yield Conversation(live, http)


def test_every_announced_answer_can_be_had_and_is_as_announced(talk: Conversation) -> None:
    """No status or code is described that the server never gives, and none that it gives is described wrongly."""
    sign_in_and_out(talk)
    cookie_mode(talk)
    own_account(talk)
    oauth(talk)
    revocations(talk)
    running(talk)
    operators = operating(talk)
    with outage(talk) as (tokens, bearer):
        for method, path in (("GET", "/auth/sessions"), ("DELETE", "/auth/sessions")):
            talk.ask(method, path, 503, "unavailable", headers=bearer)
        talk.ask("DELETE", f"/auth/sessions/{tokens['session_id']}", 503, "unavailable", headers=bearer)
        talk.ask("POST", "/auth/login", 503, "unavailable", json={"username": "ada", "password": PASSWORD})
        talk.ask("POST", "/auth/refresh", 503, "unavailable", json={"refresh_token": tokens["refresh_token"]})
        talk.ask("POST", "/auth/logout", 503, "unavailable", headers=bearer)
        change = {"current_password": PASSWORD, "new_password": "violet-anchor-stapler"}
        talk.ask("POST", "/auth/password", 503, "unavailable", headers=bearer, json=change)
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        talk.ask("POST", "/oauth/token", 503, "temporarily_unavailable", data=form)
        for path in ("/oauth/revoke", "/oauth/introspect"):
            judged = {"token": tokens["refresh_token"], **CLIENT_FORM}
            talk.ask("POST", path, 503, "temporarily_unavailable", data=judged)
        talk.ask("GET", "/auth/revocations", 503, "unavailable", auth=("app", "wrong"))
        talk.ask("GET", "/readyz", 503, "unavailable")
        for method, path in ADMIN_CALLS:
            talk.ask(method, path, 503, "unavailable", headers=operators)
    assert talk.had == talk.announced()


def sign_in_and_out(talk: Conversation) -> None:
    right = {"username": "ada", "password": PASSWORD}
    tokens = talk.ask("POST", "/auth/login", 200, json=right).json()
    talk.ask("POST", "/auth/login", 403, "origin_not_allowed", json=right, headers=FOREIGN)
    talk.ask("POST", "/auth/login", 401, "bad_credentials", json={"username": "tim", "password": WRONG})
    talk.ask("POST", "/auth/login", 401, "bad_credentials", json={"username": "tim", "password": WRONG})
    talk.ask("POST", "/auth/login", 429, "rate_limited", json={"username": "tim", "password": PASSWORD})
    for path in ("/auth/login", "/auth/refresh", "/auth/logout"):
        talk.ask("POST", path, 400, "invalid_request", json=[])
        talk.ask("POST", path, 413, "too_large", json=LARGE)
        talk.ask("POST", path, 415, "unsupported_media_type", content=b"{}")
    first = tokens["refresh_token"]
    talk.ask("POST", "/auth/refresh", 401, "token_invalid", json={"refresh_token": "etr_no"})
    talk.ask("POST", "/auth/refresh", 403, "origin_not_allowed", json={"refresh_token": first}, headers=FOREIGN)
    second = talk.ask("POST", "/auth/refresh", 200, json={"refresh_token": first}).json()["refresh_token"]
    early = talk.ask("POST", "/auth/refresh", 200, json={"refresh_token": second}).json()
    assert "refresh_token" not in early
    talk.live.clock.advance(240)
    talk.ask("POST", "/auth/refresh", 200, json={"refresh_token": second})
    talk.ask("POST", "/auth/refresh", 503, "stale", json={"refresh_token": first})
    talk.live.clock.advance(61)
    over = talk.ask("POST", "/auth/refresh", 401, "session_over", json={"refresh_token": first})
    assert over.json()["reason"] == "replayed"
    talk.ask("POST", "/auth/logout", 204, json={"refresh_token": first})
    talk.ask("POST", "/auth/logout", 401, "token_invalid")
    talk.ask("POST", "/auth/logout", 403, "origin_not_allowed", json={"refresh_token": first}, headers=FOREIGN)


def cookie_mode(talk: Conversation) -> None:
    ours = {"Origin": talk.live.url}
    wish = {"username": "ada", "password": PASSWORD, "delivery": "cookie"}
    talk.ask("POST", "/auth/login", 403, "origin_not_allowed", json=wish)
    signed_in = talk.ask("POST", "/auth/login", 200, json=wish, headers=ours)
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    token = signed_in.json()["csrf_token"]
    assert talk.ask("GET", "/auth/csrf", 200, headers={**ours, "Cookie": cookie}).json()["csrf_token"] == token
    talk.ask("GET", "/auth/csrf", 401, "token_invalid", headers=ours)
    talk.ask("GET", "/auth/csrf", 403, "origin_not_allowed", headers={"Cookie": cookie})
    talk.ask("GET", "/auth/csrf", 400, "invalid_request", headers={**ours, "Cookie": f"{cookie}; {cookie}"})
    proof = {**ours, "Cookie": cookie, "X-CSRF-Token": token}
    for path, done in (("/auth/refresh", 200), ("/auth/logout", 204)):
        talk.ask("POST", path, 403, "csrf", headers={**proof, "X-CSRF-Token": "no"})
        assert "set-cookie" in talk.ask("POST", path, done, headers=proof).headers


def own_account(talk: Conversation) -> None:
    tokens = talk.ask("POST", "/auth/login", 200, json={"username": "bob", "password": PASSWORD}).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    for path in ("/auth/me", "/auth/verify", "/auth/sessions"):
        talk.ask("GET", path, 200, headers=bearer)
    own = f"/auth/sessions/{tokens['session_id']}"
    guarded = [("GET", "/auth/me"), ("GET", "/auth/verify"), ("GET", "/auth/sessions"), ("DELETE", "/auth/sessions")]
    guarded += [("DELETE", own), ("POST", "/auth/password"), ("POST", "/auth/logout")]
    for method, path in guarded:
        wrong = (401, "token_invalid") if path == "/auth/verify" else (400, "invalid_request")
        talk.ask(method, path, *wrong, headers={"Authorization": "Bearer"})
        talk.ask(method, path, 401, "token_invalid", headers={"Authorization": "Bearer no.no.no"})
    for method, path in (("DELETE", "/auth/sessions"), ("DELETE", own), ("POST", "/auth/password")):
        talk.ask(method, path, 403, "origin_not_allowed", headers={**bearer, **FOREIGN})
    change_password(talk, bearer)
    talk.ask("DELETE", "/auth/sessions?keep=all", 400, "invalid_request", headers=bearer)
    talk.ask("DELETE", "/auth/sessions?keep=current", 204, headers=bearer)
    talk.ask("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", 404, "not_found", headers=bearer)
    talk.live.clock.advance(1800)
    for method, path in guarded:
        talk.ask(method, path, 401, "token_expired", headers=bearer)
    tokens = talk.ask("POST", "/auth/refresh", 200, json={"refresh_token": tokens["refresh_token"]}).json()
    talk.ask("DELETE", own, 204, headers={"Authorization": f"Bearer {tokens['access_token']}"})


def change_password(talk: Conversation, bearer: dict[str, str]) -> None:
    right = {"current_password": PASSWORD, "new_password": "violet-anchor-stapler"}
    wrong = {**right, "current_password": WRONG}
    talk.ask("POST", "/auth/password", 400, "invalid_request", headers=bearer, json={})
    talk.ask("POST", "/auth/password", 413, "too_large", headers=bearer, json=LARGE)
    talk.ask("POST", "/auth/password", 415, "unsupported_media_type", headers=bearer, content=b"{}")
    talk.ask("POST", "/auth/password", 422, "password_refused", headers=bearer, json={**right, "new_password": "bob"})
    talk.ask("POST", "/auth/password", 403, "bad_credentials", headers=bearer, json=wrong)
    talk.ask("POST", "/auth/password", 403, "bad_credentials", headers=bearer, json=wrong)
    talk.ask("POST", "/auth/password", 429, "rate_limited", headers=bearer, json=right)
    talk.live.clock.advance(5)
    talk.ask("POST", "/auth/password", 204, headers=bearer, json=right)
    # Disabled behind the guard's back, so that it is the route that notices.
    tokens = talk.ask("POST", "/auth/login", 200, json={"username": "eve", "password": PASSWORD}).json()
    with contextlib.closing(sqlite3.connect(talk.live.database)) as database:
        database.execute("UPDATE users SET disabled = 1 WHERE username = 'eve'")
        database.commit()
    eve = {"Authorization": f"Bearer {tokens['access_token']}"}
    talk.ask("POST", "/auth/password", 401, "session_over", headers=eve, json=right)


def oauth(talk: Conversation) -> None:
    client, secret = new_client("app", now_ms=talk.live.clock())
    talk.live.run(talk.live.server.store.add_client(client))
    tokens = talk.ask("POST", "/auth/login", 200, json={"username": "ada", "password": PASSWORD}).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    talk.ask("POST", "/oauth/token", 200, data=form)
    talk.ask("POST", "/oauth/token", 400, "invalid_request", data={})
    talk.ask("POST", "/oauth/token", 400, "invalid_grant", data={**form, "refresh_token": "etr_no"})
    talk.ask("POST", "/oauth/token", 400, "unsupported_grant_type", data={**form, "grant_type": "password"})
    talk.ask("POST", "/oauth/token", 400, "invalid_scope", data={**form, "scope": "all"})
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        talk.ask("POST", path, 401, "invalid_client", data={**form, "token": "x", **CLIENT_FORM})
        talk.ask("POST", path, 413, "invalid_request", data={"token": LARGE})
    mine = (client.id, secret.reveal())
    judged = {"token": tokens["refresh_token"]}
    talk.ask("POST", "/oauth/introspect", 400, "invalid_request", data={}, auth=mine)
    for token in (tokens["refresh_token"], tokens["access_token"], "no"):
        active = talk.ask("POST", "/oauth/introspect", 200, data={"token": token}, auth=mine).json()["active"]
        assert active == (token != "no")
    talk.ask("POST", "/oauth/revoke", 400, "invalid_request", data={})
    talk.ask("POST", "/oauth/revoke", 400, "invalid_grant", data=judged, auth=mine)
    talk.ask("POST", "/oauth/revoke", 200, data=judged)


def revocations(talk: Conversation) -> None:
    client, secret = new_client("guard", now_ms=talk.live.clock())
    talk.live.run(talk.live.server.store.add_client(client))
    mine = (client.id, secret.reveal())
    told = talk.ask("GET", "/auth/revocations", 200, auth=mine).json()
    assert told["revoked"]
    talk.ask("GET", f"/auth/revocations?after={told['cursor']}&wait=0", 200, auth=mine)
    talk.ask("GET", "/auth/revocations?after=x", 400, "invalid_request", auth=mine)
    talk.ask("GET", "/auth/revocations", 401, "client_refused")


def running(talk: Conversation) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json"):
        talk.ask("GET", path, 200)
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        talk.ask("GET", path, 200)


def operating(talk: Conversation) -> dict[str, str]:
    """Everything under /admin; returns the operator's header, good for a while still."""
    old = talk.ask("POST", "/auth/login", 200, json={"username": "root", "password": PASSWORD}).json()
    talk.live.clock.advance(1800)
    tokens = talk.ask("POST", "/auth/login", 200, json={"username": "root", "password": PASSWORD}).json()
    hers = talk.ask("POST", "/auth/login", 200, json={"username": "ada", "password": PASSWORD}).json()
    root, ada, expired = ({"Authorization": f"Bearer {who['access_token']}"} for who in (tokens, hers, old))
    for method, path in ADMIN_CALLS:
        talk.ask(method, path, 400, "invalid_request", headers={"Authorization": "Bearer"})
        talk.ask(method, path, 401, "token_invalid", headers={"Authorization": "Bearer no.no.no"})
        talk.ask(method, path, 401, "token_expired", headers=expired)
        talk.ask(method, path, 403, "insufficient_rights", headers=ada)
        if method != "GET":
            talk.ask(method, path, 403, "origin_not_allowed", headers={**root, **FOREIGN})
        if "/admin/sessions/" in path:
            talk.ask(method, path, 404, "not_found", headers=root)
            there = path.replace("AAAAAAAAAAAAAAAAAAAAAA", old["session_id"])
            talk.ask(method, there, 204 if method == "DELETE" else 200, headers=root)
        else:
            talk.ask(method, path, 204 if "u_tim" in path else 200, headers=root)
        if "u_tim" in path:
            talk.ask(method, path.replace("u_tim", "nobody"), 404, "not_found", headers=root)
    return root


@contextlib.contextmanager
def outage(talk: Conversation) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """The store is gone; yields tokens from before."""
    tokens = talk.ask("POST", "/auth/login", 200, json={"username": "ada", "password": PASSWORD}).json()
    talk.live.server.store.close()
    yield tokens, {"Authorization": f"Bearer {tokens['access_token']}"}
