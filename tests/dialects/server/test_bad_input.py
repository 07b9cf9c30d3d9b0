"""Whatever is sent to a dialect's routes, the answer is in that dialect's words and no fault of the server."""

import json
from typing import Any

import httpx2
import pytest

from tests.dialects.server.pages import PAGES, Call, Tokens, Visitor, looks
from tests.edge.attacking import Answer, request, send
from tests.support.server import PASSWORD, LiveServer

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
IN_BODY = [name for name, page in PAGES.items() if page.refresh.place == "body"]
DEEP = "[" * 5000 + "]" * 5000


def said(visitor: Visitor, answer: Answer, status: int, code: str) -> None:
    """Assert that a raw answer is this failure in the dialect's words."""
    expected_status, members = visitor.page.failed(status, code)
    assert answer.status == expected_status, answer
    document = answer.json()
    assert {name: document.get(name) for name in members} == members
    assert answer.one("Cache-Control") == "no-store"


def post(visitor: Visitor, path: str, body: Any, *headers: tuple[str, str]) -> Answer:
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    own = tuple(visitor.own.items())
    return send(visitor.live.url, request("POST", visitor.prefix + path, *own, *headers, body=text))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        b"\xff\xfe{}",
        DEEP,
        '{"username": "ada", "username": "eve", "password": "x"}',
        '{"username": "ada"}',
        {"username": ["ada"], "password": "x"},
        {"username": "ada", "password": 7},
        {"username": "", "password": "x"},
        {"username": "a" * 513, "password": "x"},
        {"username": "ada\0", "password": "x"},
        {"username": "ada", "password": "p" * 1025},
        '{"username": "\\ud800", "password": "x"}',
    ],
    ids=lambda body: str(body)[:24],
)
def test_a_sign_in_that_cannot_be_read_is_refused(visitor: Visitor, body: Any) -> None:
    """A body that is no JSON, lacks a member, has one twice or of another kind is 400 in the dialect's words."""
    said(visitor, post(visitor, visitor.page.login, body, JSON), 400, "invalid_request")


def test_a_body_of_another_kind_or_too_large_is_refused(visitor: Visitor) -> None:
    """Another media type is 415, more than the limit is 413."""
    login = {"username": "ada", "password": PASSWORD}
    said(visitor, post(visitor, visitor.page.login, "username=ada", FORM), 415, "unsupported_media_type")
    said(visitor, post(visitor, visitor.page.login, json.dumps(login)), 415, "unsupported_media_type")
    large = login | {"more": "x" * 17_000}
    said(visitor, post(visitor, visitor.page.login, large, JSON), 413, "too_large")
    huge = send(
        visitor.live.url,
        request(visitor.page.refresh.method, visitor.prefix + visitor.page.refresh.path, JSON, body="x" * 20_000),
    )
    said(visitor, huge, 413, "too_large")


@pytest.mark.parametrize("token", ["undefined", "null", "etr_" + "A" * 128, "etr_" + "A" * 127, "x" * 4000])
def test_a_refresh_token_that_is_none_of_ours_is_the_end_for_the_page(visitor: Visitor, token: str) -> None:
    """A forged, cut, empty or foreign refresh token is answered as the page recognizes the end: sign in again."""
    looks(visitor.refresh(Tokens("", token, "csrf")), visitor.page.no_token())


@pytest.mark.parametrize("token", ["", "töken", "a\0b", "etr_" + "ä" * 128])
@pytest.mark.parametrize("visitor", [*IN_BODY, "nest", "get-refresh", "code-in-400"], indirect=True)
def test_a_refresh_token_that_no_header_could_hold_is_the_end_for_the_page(visitor: Visitor, token: str) -> None:
    """Nothing at all, letters beyond ASCII or a NUL, in a body or a URL, are no token of ours either."""
    answer = visitor.refresh(Tokens("", token))
    if "\0" in token and visitor.page.refresh.place == "body":
        looks(answer, visitor.page.failed(400, "invalid_request"))
    else:
        looks(answer, visitor.page.no_token())


def test_a_refresh_without_a_token_is_the_end_for_the_page(visitor: Visitor) -> None:
    """A page whose store is empty is told to sign in again, whatever body it sends."""
    call = visitor.page.refresh
    path = visitor.prefix + call.path
    for body in ("{}", '{"refresh_token": null, "refresh": null, "token": null, "refreshToken": null}', ""):
        if call.method == "GET" and body:
            continue
        headers = [JSON] if body else []
        answer = send(visitor.live.url, request(call.method, path, *headers, body=body))
        status, members = visitor.page.no_token()
        assert answer.status == status
        assert {name: answer.json().get(name) for name in members} == members


@pytest.mark.parametrize("visitor", IN_BODY, indirect=True)
def test_a_refresh_token_of_another_kind_is_refused(visitor: Visitor) -> None:
    """A number, a list or an object in its place is 400, in the dialect's words."""
    call = visitor.page.refresh
    for value in (7, ["x"], {"x": 1}, True):
        said(visitor, post(visitor, call.path, {call.name: value}, JSON), 400, "invalid_request")
    said(visitor, post(visitor, call.path, f'{{"{call.name}": "a", "{call.name}": "b"}}', JSON), 400, "invalid_request")


@pytest.mark.parametrize("name", ["nest", "get-refresh", "code-in-400"])
@pytest.mark.parametrize("query", ["{0}=a&{0}=b", "{0}=%ff", "&".join(["a=1"] * 2), "{0}=%00", "{0}", "%", "=&=&"])
def test_a_query_that_cannot_be_read_is_refused(live: LiveServer, http: httpx2.Client, name: str, query: str) -> None:
    """A parameter that is there twice, is no UTF-8 or has no value never is a fault of the server."""
    visitor = Visitor(live, http, PAGES[name], f"/{name}")
    call = visitor.page.refresh
    path = f"{visitor.prefix}{call.path}?{query.format(call.name)}"
    answer = send(live.url, request(call.method, path))
    assert answer.status in {visitor.page.no_token()[0], visitor.page.failed(400, "")[0]}
    assert answer.json()[visitor.page.code_at] in {"invalid_request", "token_invalid"}


def test_two_headers_with_a_token_are_refused(live: LiveServer, http: httpx2.Client) -> None:
    """Which of two would be meant nobody can know."""
    visitor = Visitor(live, http, PAGES["status-code-in-body"], "/status-code-in-body")
    token = visitor.sign_in().refresh
    twice = [("Authorization", f"bearer {token}"), ("Authorization", "bearer x")]
    said(visitor, post(visitor, visitor.page.refresh.path, {}, JSON, *twice), 400, "invalid_request")
    basic = post(visitor, visitor.page.refresh.path, {}, JSON, ("Authorization", "Basic YTpi"))
    assert (basic.status, basic.json()["error"]) == (401, "token_invalid")
    empty = post(visitor, visitor.page.refresh.path, {}, JSON, ("Authorization", "bearer "))
    assert (empty.status, empty.json()["error"]) == (401, "token_invalid")
    two = post(visitor, visitor.page.refresh.path, {}, JSON, ("Authorization", f"Bearer {token} {token}"))
    said(visitor, two, 400, "invalid_request")


@pytest.mark.parametrize("scheme", ["bearer", "Bearer", "BEARER"])
def test_a_scheme_is_taken_in_any_case(live: LiveServer, http: httpx2.Client, scheme: str) -> None:
    """`bearer TOKEN` and `Bearer TOKEN` are the same (RFC 9110 §11.1)."""
    visitor = Visitor(live, http, PAGES["status-code-in-body"], "/status-code-in-body")
    header = ("Authorization", f"{scheme} {visitor.sign_in().refresh}")
    assert post(visitor, visitor.page.refresh.path, {}, JSON, header).status == 200


def test_a_token_elsewhere_than_the_dialect_says_is_not_looked_at(visitor: Visitor) -> None:
    """A refresh token in the URL of a dialect that has it elsewhere, the other way round, or by another name: none."""
    tokens = visitor.sign_in()
    for place, name in (("query", "refresh_token"), ("body", "refresh_token"), ("query", "nothing")):
        call = visitor.page.refresh
        if (place, name) == (call.place, call.name) or (place == "body" and call.method == "GET"):
            continue
        answer = visitor.send(Call(call.method, call.path, place, name), tokens)
        looks(answer, visitor.page.no_token())


def test_wrong_methods_are_refused_in_the_dialects_words(visitor: Visitor) -> None:
    """Another method is a failure of the dialect, with Allow; HEAD never refreshes, though GET does."""
    tokens = visitor.sign_in()
    for call in (Call("POST", visitor.page.login, "body"), visitor.page.refresh, visitor.page.logout):
        for method in ("PATCH", "OPTIONS", "TRACE"):
            answer = send(visitor.live.url, request(method, visitor.prefix + call.path))
            said(visitor, answer, 405, "method_not_allowed")
            assert answer.one("Allow") == call.method
    call = visitor.page.refresh
    headed = visitor.send(Call("HEAD", call.path, call.place, call.name), tokens)
    assert headed.status_code == visitor.page.failed(405, "")[0] and not headed.content
    assert headed.headers["allow"] == call.method


def test_an_unknown_path_below_a_prefix_is_a_problem_of_evertoken(visitor: Visitor) -> None:
    """Nobody says which dialect it would be in, for several may share a prefix."""
    answer = visitor.http.get(visitor.prefix + "/nothing-here")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_refresh_token_comes_only_the_way_it_was_handed_out(live: LiveServer, http: httpx2.Client) -> None:
    """One from a cookie is refused in a body, a header or a URL, and one from a body is refused as a cookie."""
    by_cookie = Visitor(live, http, PAGES["cookie-envelope"], "/cookie-envelope")
    taken_out = by_cookie.sign_in()
    for name, page in PAGES.items():
        if page.answers != "cookie":
            other = Visitor(live, http, page, f"/{name}")
            looks(other.refresh(taken_out), page.no_token())
            looks(by_cookie.refresh(Tokens("", other.sign_in().refresh, taken_out.csrf)), by_cookie.page.no_token())
    assert by_cookie.refresh(taken_out).status_code == 200


def test_a_fault_of_ours_is_told_in_the_dialects_words(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is 500 in the dialect's words, with the name under which the log has it."""

    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("nobody foresaw this")

    tokens = visitor.sign_in()
    monkeypatch.setattr(type(visitor.live.server.services.sessions), "refresh", breaks)
    answer = visitor.refresh(tokens)
    looks(answer, visitor.page.failed(500, "internal"))
    assert answer.json()["instance"].startswith("urn:uuid:")
    assert tokens.refresh not in answer.text and "foresaw" not in answer.text
