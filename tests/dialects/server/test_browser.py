"""Dialects in browsers: cookies, the CSRF token, pages of other origins."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.dialects.server.pages import PAGES, Tokens, Visitor, cookies_of, looks
from tests.edge.attacking import JSON, browser_sign_in, request, send
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

APP = "https://app.example"
EVIL = "https://evil.example"
NAME = "cookie-envelope"


@pytest.fixture
def visitor(live: LiveServer, http: httpx2.Client) -> Visitor:
    """Somebody at the page whose refresh token is in a cookie."""
    return Visitor(live, http, PAGES[NAME], f"/{NAME}")


def renew(visitor: Visitor, tokens: Tokens, headers: dict[str, str]) -> httpx2.Response:
    cookie = {"Cookie": f"{visitor.cookie_name}={tokens.refresh}"}
    return visitor.http.post(visitor.prefix + visitor.page.refresh.path, json={}, headers=cookie | headers)


def test_the_refresh_token_is_where_no_script_reads_it_and_the_csrf_token_where_one_does(visitor: Visitor) -> None:
    """One cookie is HttpOnly under the prefix that browsers guard; the other is what axios sends back by itself."""
    answer = visitor.log_in()
    refresh_cookie, csrf_cookie = answer.headers.get_list("set-cookie")
    assert re.fullmatch(
        rf"{re.escape(visitor.cookie_name)}=etr_[\w-]+; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict",
        refresh_cookie,
    )
    assert re.fullmatch(r"XSRF-TOKEN=[\w-]+; Max-Age=604800; Path=/; Secure; SameSite=Strict", csrf_cookie)
    assert "etr_" not in answer.text
    assert answer.json()["data"]["csrfToken"] == cookies_of(answer)["XSRF-TOKEN"]


def test_a_refresh_by_cookie_sets_both_cookies_anew(visitor: Visitor) -> None:
    """They live as long as the session does, moved on with each use."""
    tokens = visitor.sign_in()
    visitor.live.clock.advance(3600)
    renewed = visitor.refresh(tokens)
    cookies = cookies_of(renewed)
    assert cookies["XSRF-TOKEN"] == tokens.csrf and cookies[visitor.cookie_name] != tokens.refresh
    assert all("Max-Age=604800" in header for header in renewed.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "same-site"}, "origin_not_allowed"),
        ({}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "same-origin"}, "csrf"),
        ({"Sec-Fetch-Site": "same-origin", "X-XSRF-TOKEN": "wrong"}, "csrf"),
        ({"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": "THE TOKEN"}, "csrf"),
    ],
)
def test_a_cookie_alone_does_nothing(visitor: Visitor, headers: dict[str, str], code: str) -> None:
    """A refresh or sign-out by cookie needs a page of ours and the dialect's own CSRF header, exactly as /auth does."""
    tokens = visitor.sign_in()
    sent = {name: tokens.csrf if value == "THE TOKEN" else value for name, value in headers.items()}
    if code == "origin_not_allowed":
        sent["X-XSRF-TOKEN"] = tokens.csrf
    cookie = {"Cookie": f"{visitor.cookie_name}={tokens.refresh}"}
    for path in (visitor.page.refresh.path, visitor.page.logout.path):
        answer = visitor.http.post(visitor.prefix + path, json={}, headers=cookie | sent)
        looks(answer, visitor.page.failed(403, code))
        assert not cookies_of(answer)
    assert visitor.refresh(tokens).status_code == 200


def test_the_refusal_names_the_dialects_own_header(visitor: Visitor) -> None:
    """Whoever sees it in the console knows what to send, and where to ask for it."""
    message = renew(visitor, visitor.sign_in(), {"Sec-Fetch-Site": "same-origin"}).json()["message"]
    assert "X-XSRF-TOKEN" in message and f"GET /{NAME}/api/Auth/Csrf" in message


def test_a_page_that_was_just_loaded_asks_for_its_csrf_token(visitor: Visitor) -> None:
    """With the cookie it learns token and session; without one, from elsewhere or with HEAD it learns nothing."""
    tokens = visitor.sign_in()
    url, cookie = f"/{NAME}/api/Auth/Csrf", {"Cookie": f"{visitor.cookie_name}={tokens.refresh}"}
    told = visitor.http.get(url, headers=cookie | {"Sec-Fetch-Site": "same-origin"})
    assert told.json()["isSuccess"] is True and told.json()["data"]["csrfToken"] == tokens.csrf
    assert len(told.json()["data"]["sessionId"]) == 22
    assert cookies_of(told) == {"XSRF-TOKEN": tokens.csrf}
    assert told.headers["cache-control"] == "no-store"
    looks(visitor.http.get(url, headers={"Sec-Fetch-Site": "same-origin"}), visitor.page.no_token())
    elsewhere = visitor.http.get(url, headers=cookie | {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"})
    looks(elsewhere, visitor.page.failed(403, "origin_not_allowed"))
    assert visitor.http.head(url, headers=cookie | {"Sec-Fetch-Site": "same-origin"}).status_code == 405


def test_a_sign_out_clears_both_cookies_and_a_refusal_neither(visitor: Visitor) -> None:
    """Only a sign-out does: a late refusal must not delete a newer sign-in's cookie."""
    tokens = visitor.sign_in()
    out = visitor.log_out(tokens)
    assert out.json() == {"isSuccess": True}
    assert cookies_of(out) == {visitor.cookie_name: "", "XSRF-TOKEN": ""}
    assert all("Max-Age=0" in header for header in out.headers.get_list("set-cookie"))
    refused = visitor.refresh(tokens)
    looks(refused, visitor.page.is_over("signed_out"))
    assert not cookies_of(refused)


def test_a_sign_in_ends_the_session_whose_cookie_came_along(visitor: Visitor) -> None:
    """A browser has one session of a dialect: the one that it leaves behind is ended."""
    before = visitor.sign_in()
    answer = visitor.log_in(headers={"Cookie": f"{visitor.cookie_name}={before.refresh}"})
    assert answer.status_code == 200
    assert visitor.refresh(before).status_code == 401


def test_the_cookies_of_auth_and_of_a_dialect_live_side_by_side(visitor: Visitor) -> None:
    """Each call looks at its own cookie: neither sign-in nor refresh nor sign-out touches the other's session."""
    browser = browser_sign_in(visitor.live, "ada", PASSWORD)
    own = browser.cookie[1]
    tokens = Tokens("", cookies_of(visitor.log_in(headers={"Cookie": own}))[visitor.cookie_name])
    both = {"Cookie": f"{own}; {visitor.cookie_name}={tokens.refresh}", "Sec-Fetch-Site": "same-origin"}
    csrf = visitor.http.get(f"/{NAME}/api/Auth/Csrf", headers=both).json()["data"]["csrfToken"]
    assert csrf != browser.csrf[1]
    refresh = f"/{NAME}{visitor.page.refresh.path}"
    assert visitor.http.post(refresh, headers=both | {"X-XSRF-TOKEN": csrf}).status_code == 200
    assert visitor.http.post("/auth/refresh", headers=both | {"X-CSRF-Token": browser.csrf[1]}).status_code == 200
    out = visitor.http.post(f"/{NAME}{visitor.page.logout.path}", headers=both | {"X-XSRF-TOKEN": csrf})
    assert out.status_code == 200
    assert visitor.http.post("/auth/refresh", headers=both | {"X-CSRF-Token": browser.csrf[1]}).status_code == 200


def test_two_cookies_of_a_dialects_name_are_refused(visitor: Visitor) -> None:
    """One of them was planted."""
    tokens = visitor.sign_in()
    cookies = "; ".join([f"{visitor.cookie_name}={tokens.refresh}"] * 2)
    answer = visitor.http.post(
        visitor.prefix + visitor.page.refresh.path,
        headers={"Cookie": cookies, "X-XSRF-TOKEN": tokens.csrf, "Sec-Fetch-Site": "same-origin"},
    )
    looks(answer, visitor.page.failed(400, "invalid_request"))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server whose pages come from another, listed origin."""
    dialects = tuple(f"/{name}={name}" for name in PAGES)
    settings: dict[str, Any] = {"allowed_origins": (APP,), "dialects": dialects, "allow_token_in_url": True}
    folder = tmp_path_factory.mktemp("elsewhere")
    with live_server(folder, clock=MovingClock(), issuer="http://10.0.0.7:8000", **settings) as live:
        live.url = f"http://127.0.0.1:{live.server.services.settings.port}"
        live.add_user("ada")
        yield live


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/raw-header/refresh", "POST", "authorization,content-type"),
        ("/status-code-in-body/api/token/refreshToken", "POST", "authorization,content-type"),
        ("/nest/user/refresh", "GET", "authorization"),
        ("/code-in-400/token/refresh", "POST", "istoken,token"),
        (f"/{NAME}/api/Auth/RefreshToken", "POST", "content-type,x-xsrf-token"),
        (f"/{NAME}/api/Auth/Csrf", "GET", "authorization"),
    ],
)
def test_a_preflight_allows_what_the_dialect_sends_and_nothing_more(
    elsewhere: LiveServer, path: str, method: str, headers: str
) -> None:
    """The list of origins stays exact; a dialect's own header names are allowed on its paths, and its methods."""

    def preflight(origin: str, asked: str, method: str = method, at: str = path) -> httpx2.Response:
        asks = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked}
        with elsewhere.client() as http:
            return http.options(at, headers={"Origin": origin, **asks})

    allowed = preflight(APP, headers)
    assert allowed.status_code == 204 and allowed.headers["access-control-allow-origin"] == APP
    assert allowed.headers["access-control-allow-methods"] == method
    named = allowed.headers["access-control-allow-headers"].split(", ")
    assert set(headers.split(",")) <= set(named)
    assert "access-control-allow-origin" not in preflight(EVIL, headers).headers
    for refused in (preflight(EVIL, headers), preflight(APP, "x-other"), preflight(APP, headers, "DELETE")):
        assert refused.status_code in {400, 403}
    if "istoken" in headers:
        assert preflight(APP, "istoken", at="/auth/login").status_code == 403


@pytest.mark.parametrize("name", list(PAGES))
def test_pages_of_other_origins_sign_nobody_in_or_out(elsewhere: LiveServer, name: str) -> None:
    """A page of an origin that is not listed is refused in the dialect's words, and may not read the answer."""
    page = PAGES[name]
    body = f'{{"username": "ada", "password": "{PASSWORD}"}}'
    for call, method in ((page.login, "POST"), (page.refresh.path, page.refresh.method), (page.logout.path, "POST")):
        for origin in (("Origin", EVIL), ("Sec-Fetch-Site", "cross-site")):
            sent = "" if method == "GET" else body
            answer = send(elsewhere.url, request(method, f"/{name}{call}", JSON, origin, body=sent))
            status, members = page.failed(403, "origin_not_allowed")
            assert answer.status == status
            assert {member: answer.json().get(member) for member in members} == members
            assert not answer.all("Access-Control-Allow-Origin") and not answer.all("Set-Cookie")


@pytest.mark.parametrize("name", list(PAGES))
def test_a_listed_origin_signs_in_and_reads_the_answer(elsewhere: LiveServer, name: str) -> None:
    """CORS is answered for the dialect's routes as for any other."""
    with elsewhere.client() as http:
        visitor = Visitor(elsewhere, http, PAGES[name], f"/{name}")
        answer = visitor.log_in(headers={"Origin": APP, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"


def test_on_plain_http_the_cookies_have_neither_prefix_nor_secure(elsewhere: LiveServer) -> None:
    """Where the origin is not trustworthy, browsers would drop the cookies otherwise."""
    with elsewhere.client() as http:
        visitor = Visitor(elsewhere, http, PAGES[NAME], f"/{NAME}")
        answer = visitor.log_in(headers={"Origin": APP})
    assert set(cookies_of(answer)) == {f"evertoken-{NAME}~{NAME}", "XSRF-TOKEN"}
    assert not any("Secure" in header for header in answer.headers.get_list("set-cookie"))


def test_samesite_is_that_of_the_setting(tmp_path: Path) -> None:
    """Lax holds for the cookies of dialects too."""
    with live_server(tmp_path, dialects=(NAME,), cookie_samesite="Lax") as live:
        live.add_user("ada")
        with live.client() as http:
            headers = Visitor(live, http, PAGES[NAME], "").log_in().headers.get_list("set-cookie")
    assert [header.rpartition("; ")[2] for header in headers] == ["SameSite=Lax"] * 2
