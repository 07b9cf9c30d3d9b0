"""What every proxy of the examples must do; a file for each proxy subclasses this and gives the fixtures."""

import posixpath
import socket
from typing import Final
from urllib.parse import unquote

import pytest

from tests.edge.attacking import (
    Answer,
    bearer,
    browser_sign_in,
    connected,
    forged,
    get,
    own_page,
    read_answer,
    request,
    send,
)
from tests.proxies.stage import Stage
from tests.support.server import PASSWORD

FORGED: Final = "u_root"
SPELLINGS: Final = (
    "X-Auth-Subject",
    "x-auth-subject",
    "X_Auth_Subject",
    "X-Auth_Subject",
    "X_AUTH-SUBJECT",
    "X.Auth.Subject",
    "X-Auth.Subject",
)
NAMES: Final = ("Subject", "Session", "Roles", "Username")

TRICKS: Final = (
    "//api/orders",
    "/./api/orders",
    "/%61pi/orders",
    "/api%2forders",
    "/API/orders",
    "/api;x=1/orders",
    "/api\\orders",
    "/static/../api/orders",
    "/static/%2e%2e/api/orders",
    "/static/.%2e/api/orders",
    "/static/..%2fapi/orders",
    "/static%2f..%2fapi/orders",
    "/static/..%5capi/orders",
    "/static/..\\api/orders",
    "/static/..;/api/orders",
    "/static//../api/orders",
    "/static/x/..//../api/orders",
    "/static/%252e%252e/api/orders",
    "/static/%00/../../api/orders",
    "/api//../static/orders",
    "/api/%2e%2e/static/orders",
    "/api/..%2fstatic/orders",
    "/api//%2e%2e/static/orders",
    "/auth/../api/orders",
    "/auth/%2e%2e/api/orders",
    "/auth/..%2fapi/orders",
    "/.well-known/../api/orders",
    "/favicon.ico/../api/orders",
    "/favicon.ico/",
    "/favicon.ico%2f..%2fapi",
    "/?/static/",
    "/api?/static/x",
    "/api#/static/x",
    "http://localhost/api/orders",
    "/_evertoken/verify",
    "/_evertoken/refused",
    "/metrics",
)


def is_public(target: str) -> bool:
    """Whether an application serves a target as a public place, whichever way it reads // and /../."""
    path = unquote(target.partition("?")[0])
    merged = posixpath.normpath("/" + path.lstrip("/"))
    return all(
        read in ("/", "/favicon.ico") or read.startswith("/static/") for read in (merged, _without_dots(path)) if read
    )


def _without_dots(path: str) -> str:
    """By RFC 3986 §5.2.4: an empty segment is one that .. takes away."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


class Compliance:
    """The rules. A subclass's module gives the fixture `stage`, for the whole file."""

    @pytest.fixture(autouse=True)
    def _fresh(self, stage: Stage) -> None:
        stage.upstream.seen.clear()

    # ---- tokens ----

    def test_a_good_token_passes_and_the_application_is_told_whose_it_is(self, stage: Stage) -> None:
        """The application gets the request as it was, with the user's id, session, roles and name, and no token."""
        with stage.live.client() as http:
            tokens = stage.live.sign_in(http)
        answer = get(stage.url, "/api/orders?page=2", bearer(tokens["access_token"]), ("X-Other", "kept"))
        assert (answer.status, answer.json()) == (200, {"application": "/api/orders?page=2"})
        seen = stage.upstream.last()
        assert seen.identity == [
            ("x-auth-roles", "admin,on%20call%2C%20nights"),
            ("x-auth-session", tokens["session_id"]),
            ("x-auth-subject", "u_ada"),
            ("x-auth-username", "ada"),
        ]
        assert seen.all("x-other") == ["kept"]
        assert seen.all("authorization") == []

    def test_an_expired_token_gets_the_answer_that_makes_clients_refresh(self, stage: Stage) -> None:
        """401 with evertoken's own challenge and problem, to the letter; the application sees nothing."""
        token = stage.token()
        stage.live.clock.advance(3600)
        refused = get(stage.url, "/api/orders", token)
        self._is_evertokens_own(stage, refused, token)
        assert refused.code == "token_expired"
        assert 'error="invalid_token"' in refused.one("WWW-Authenticate")

    def test_a_token_of_an_ended_session_is_refused_at_once(self, stage: Stage) -> None:
        """The next request after a sign-out is refused: no answer of evertoken's is kept anywhere."""
        with stage.live.client() as http:
            tokens = stage.live.sign_in(http)
            token = bearer(tokens["access_token"])
            assert get(stage.url, "/api/orders", token).status == 200
            assert http.post("/auth/logout", headers=dict([token])).status_code == 204
        stage.upstream.seen.clear()
        refused = get(stage.url, "/api/orders", token)
        self._is_evertokens_own(stage, refused, token)
        assert refused.code == "token_invalid"

    @pytest.mark.parametrize(
        "authorization",
        [None, "Bearer", "Bearer nonsense", "Bearer a b", "Basic YWRhOmFkYQ==", "", "Bearer \xff"],
    )
    def test_without_a_good_token_nothing_reaches_the_application(
        self, stage: Stage, authorization: str | None
    ) -> None:
        """No token, half a token, another scheme: 401 and a challenge."""
        headers = [] if authorization is None else [("Authorization", authorization.encode("latin-1"))]
        refused = send(stage.url, request("GET", "/api/orders", *headers))
        assert refused.status == 401
        assert refused.one("WWW-Authenticate").startswith("Bearer ")
        assert refused.code == "token_invalid"
        own = send(stage.direct, request("GET", "/auth/verify", *headers))
        assert (refused.body, refused.one("WWW-Authenticate")) == (own.body, own.one("WWW-Authenticate"))
        assert stage.upstream.seen == []

    def test_two_authorization_headers_are_refused(self, stage: Stage) -> None:
        """A second header cannot bring in what the first did not prove."""
        good = stage.token()
        for pair in ((good, bearer("other")), (bearer("other"), good), (good, good)):
            assert get(stage.url, "/api/orders", *pair).status in (400, 401)
        assert stage.upstream.seen == []

    def test_a_token_in_the_url_is_no_token(self, stage: Stage) -> None:
        """It would stand in logs; it is not read."""
        token = stage.token()[1].removeprefix("Bearer ")
        assert get(stage.url, f"/api/orders?access_token={token}").status == 401
        assert stage.upstream.seen == []

    def test_a_token_of_eight_thousand_characters_passes(self, stage: Stage) -> None:
        """The largest token that evertoken takes fits through the proxy; one above that is refused, not an error."""
        fits, too_long = (forged(stage.live, payload={"sid": "s", "pad": "x" * size}) for size in (5_700, 6_300))
        assert 7_000 < len(fits) <= 8_192 < len(too_long)
        assert get(stage.url, "/api/orders", bearer(fits)).status in (200, 401)
        direct = get(stage.direct, "/auth/verify", bearer(fits)).status
        assert get(stage.url, "/api/orders", bearer(fits)).status == direct
        assert get(stage.url, "/api/orders", bearer(too_long)).status == 401

    def test_large_cookies_are_no_outage(self, stage: Stage) -> None:
        """What evertoken would find too large is not sent to it: either the proxy refuses it, or it passes."""
        token = stage.token()
        for size in (12_000, 40_000):
            cookies = [("Cookie", f"c{number}=" + "x" * 4_000) for number in range(size // 4_000)]
            assert get(stage.url, "/api/orders", token, *cookies).status in (200, 400, 431)

    def _is_evertokens_own(self, stage: Stage, refused: Answer, token: tuple[str, str]) -> None:
        own = get(stage.direct, "/auth/verify", token)
        assert (refused.status, refused.body) == (401, own.body)
        for name in ("WWW-Authenticate", "Content-Type", "Cache-Control"):
            assert refused.one(name) == own.one(name)
        assert stage.upstream.seen == []

    # ---- forged identities ----

    @pytest.mark.parametrize("path", ["/api/orders", "/static/x", "/"])
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_a_caller_cannot_name_himself(self, stage: Stage, path: str, spelling: str) -> None:
        """X-Auth headers of a caller's, in any spelling, once or twice, reach no place of the application."""
        token = stage.token()
        mine = [(spelling.replace("Subject", name).replace("SUBJECT", name.upper()), FORGED) for name in NAMES]
        small = [(name.replace("subject", other.lower()), FORGED) for name, _ in mine for other in NAMES]
        answer = get(stage.url, path, token, *mine, *small, *mine)
        assert answer.status == 200
        identity = stage.upstream.last().identity
        assert all(value != FORGED for _, value in identity), identity
        assert len(identity) == (4 if path.startswith("/api") else 0)

    def test_a_caller_cannot_have_the_identity_taken_away(self, stage: Stage) -> None:
        """`Connection: X-Auth-Roles` names a header for proxies to remove; the application is told all the same."""
        token = stage.token()
        named = ("Connection", "close, X-Auth-Subject, X-Auth-Roles, X-Auth-Session, X-Auth-Username")
        assert get(stage.url, "/api/orders", token, named).status == 200
        assert [name for name, _ in stage.upstream.last().identity] == [
            "x-auth-roles",
            "x-auth-session",
            "x-auth-subject",
            "x-auth-username",
        ]

    # ---- paths ----

    @pytest.mark.parametrize("trick", TRICKS)
    def test_no_spelling_of_a_path_leads_past_the_guard(self, stage: Stage, trick: str) -> None:
        """What reaches the application without a token is a public place, however the application reads the path."""
        answer = get(stage.url, trick)
        assert answer.status < 500
        for seen in stage.upstream.seen:
            assert is_public(seen.target), seen

    def test_public_places_need_no_token(self, stage: Stage) -> None:
        """Pages and their files load before anybody has signed in."""
        for path in ("/", "/favicon.ico", "/static/app.js"):
            assert get(stage.url, path).json() == {"application": path}

    # ---- whatever else passes ----

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_methods_and_bodies_reach_the_application_as_they_are(self, stage: Stage, method: str) -> None:
        """The question to evertoken takes nothing away from the request."""
        body = bytes(range(256)) * 800
        answer = send(stage.url, request(method, "/api/orders", stage.token(), body=body))
        assert answer.status == 200, answer.body
        seen = stage.upstream.last()
        assert (seen.method, seen.body) == (method, body)

    def test_head_and_chunked_bodies_pass(self, stage: Stage) -> None:
        """HEAD is answered without a body, and a body of unknown length arrives whole."""
        token = stage.token()
        assert send(stage.url, request("HEAD", "/api/orders", token)).status == 200
        stage.upstream.seen.clear()
        head = f"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token[1]}\r\n"
        raw = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        assert send(stage.url, raw).status == 200
        assert stage.upstream.last().body == b"hello world"

    def test_a_refusal_does_not_wait_for_the_body(self, stage: Stage) -> None:
        """Whoever has no token is refused before he has sent what he wants to upload."""
        head = b"POST /api/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\nonly this"
        with connected(stage.url) as connection:
            connection.sendall(head)
            assert read_answer(connection).code == "token_invalid"
        assert stage.upstream.seen == []

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
    def test_what_the_application_answers_is_left_alone(self, stage: Stage, status: int) -> None:
        """Its own 401, 403 or 500 reaches the caller with its own words."""
        answer = get(stage.url, f"/own/{status}", stage.token())
        assert (answer.status, answer.json()) == (status, {"application": f"/own/{status}"})
        assert answer.all("WWW-Authenticate") == (['Bearer realm="application"'] if status == 401 else [])

    def test_a_websocket_opens_with_a_token_and_not_without(self, stage: Stage) -> None:
        """The handshake is asked about like any request; after it the bytes pass both ways."""
        upgrade = (
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        )
        raw = _get_upgrade(upgrade)
        with connected(stage.url) as refused:
            refused.sendall(raw)
            assert read_answer(refused).code == "token_invalid"
        assert stage.upstream.seen == []
        with connected(stage.url) as opened:
            opened.sendall(_get_upgrade((*upgrade, stage.token())))
            assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in _until(opened, b"\r\n\r\n")
            opened.sendall(b"\x81\x05hello")
            assert _until(opened, b"hello") == b"\x81\x05hello"
        assert dict(stage.upstream.last().identity)["x-auth-subject"] == "u_ada"

    # ---- evertoken behind the same proxy ----

    def test_signing_in_refreshing_and_signing_out_work_through_the_proxy(self, stage: Stage) -> None:
        """Cookie mode under the application's own origin: the issuer is the proxy's address."""
        browser = browser_sign_in(stage.live, "ada", PASSWORD)
        headers = (browser.cookie, browser.csrf, *own_page(stage.live))
        refreshed = send(stage.url, request("POST", "/auth/refresh", *headers))
        assert refreshed.json()["session_id"] == browser.session_id
        assert get(stage.url, "/api/orders", bearer(refreshed.json()["access_token"])).status == 200
        assert send(stage.url, request("POST", "/auth/logout", *headers)).status == 204
        assert get(stage.url, "/.well-known/jwks.json").json()["keys"]


def _get_upgrade(headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = ["GET /api/live HTTP/1.1", "Host: localhost", "Connection: Upgrade"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers), "", ""]).encode()


def _until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = connection.recv(4096)
        assert more, data
        data += more
    return data
