"""What no dialect can mean, or what is not safe: refused when the document is read, with the place named."""

import copy
import json
from typing import Any

import pytest

from evertoken.errors import ConfigurationError
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.document import Contradiction, DialectError, read, refuse_unservable
from evertoken.wire.dialects.known import NAMES, named, text_of

COOKIE: dict[str, Any] = {
    "refresh": {"url": "/refresh", "token": {"kind": "cookie"}},
    "logout": {"url": "/logout", "token": {"kind": "cookie"}},
    "csrf": {"cookie": "XSRF-TOKEN"},
    "tokens": {"refresh_token": None},
}


def cookie(**changes: Any) -> dict[str, Any]:
    """A good cookie dialect, changed."""
    return {**copy.deepcopy(COOKIE), **changes}


def query() -> dict[str, Any]:
    """A refresh with its token in the URL."""
    return {"url": "/refresh", "token": {"kind": "query", "name": "t"}}


CONTRADICTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/csrf", cookie(csrf=None)),
    ("/csrf", {"csrf": {"cookie": "XSRF-TOKEN"}}),
    ("/csrf", cookie(csrf={"header": "X-Csrf"})),
    ("/logout/token/kind", cookie(logout={"url": "/logout"})),
    ("/refresh/token/kind", cookie(refresh={"url": "/refresh"})),
    ("/tokens/refresh_token", cookie(tokens={})),
    ("/tokens/csrf_token", {"tokens": {"csrf_token": "/csrf"}}),
    ("/tokens/csrf_token", cookie(csrf={"cookie": "c", "url": "/csrf"})),
    ("/refresh_token_in_answer", cookie(refresh_token_in_answer="always")),
    ("/refresh_token_in_answer", {"tokens": {"refresh_token": None}, "refresh_token_in_answer": "always"}),
    ("/refresh/url", {"login": {"url": "/a"}, "refresh": {"url": "/a"}}),
    ("/logout/url", {"refresh": {"url": "/a?b=c"}, "logout": {"url": "/a?d"}}),
    (
        "/csrf/url",
        cookie(
            refresh={"url": "/r", "method": "GET", "token": {"kind": "cookie"}},
            csrf={"url": "/r"},
            tokens={"refresh_token": None, "csrf_token": "/csrf"},
        ),
    ),
    ("/login/url", {"login": {"url": "/../login"}}),
    ("/login/url", {"login": {"url": "/%2e%2e/login"}}),
    ("/login/url", {"login": {"url": "/a%5Cb"}}),
    ("/login/url", {"login": {"url": "/%2Fb"}}),
    ("/login/url", {"login": {"url": "/a%00"}}),
    ("/login/method", {"login": {"url": "/login", "method": "GET"}}),
    ("/login/password", {"login": {"url": "/login", "username": "a", "password": "a"}}),
    ("/login/body/password", {"login": {"url": "/login", "body": {"password": 1}}}),
    ("/login/body/a~1b", {"login": {"url": "/login", "encoding": "form", "body": {"a/b": [1]}}}),
    ("/refresh/token/kind", {"refresh": {"url": "/r", "method": "GET"}}),
    ("/refresh/body", {"refresh": {**query(), "method": "GET", "body": {"a": 1}}}),
    ("/refresh/body/refresh_token", {"refresh": {"url": "/r", "body": {"refresh_token": "x"}}}),
    ("/refresh/token/scheme", {"refresh": {"url": "/r", "token": {"scheme": "Bearer"}}}),
    ("/refresh/token/name", {"refresh": {"url": "/r", "token": {"kind": "header", "name": "a b"}}}),
    ("/refresh/token/name", {"refresh": {"url": "/r", "token": {"kind": "header", "name": "Cookie"}}}),
    ("/refresh/token/name", {"refresh": {**query(), "url": "/r?t=1"}}),
    (
        "/refresh/headers/X-T",
        {"refresh": {"url": "/refresh", "token": {"kind": "header", "name": "x-t"}, "headers": {"X-T": "1"}}},
    ),
    ("/refresh/headers/A", {"refresh": {"url": "/r", "headers": {"a": "1", "A": "2"}}}),
    ("/refresh/headers/Host", {"refresh": {"url": "/r", "headers": {"Host": "elsewhere"}}}),
    ("/refresh/headers/x-csrf-token", cookie(refresh={**COOKIE["refresh"], "headers": {"x-csrf-token": "1"}})),
    ("/access_token/header", {"access_token": {"header": "cookie"}}),
    ("/opt_out/header", {"opt_out": {"header": "authorization", "value": "no"}}),
    ("/opt_out/header", {"opt_out": {"header": "Host", "value": "no"}}),
    ("/opt_out/header", cookie(opt_out={"header": "x-csrf-token", "value": "no"})),
    ("/csrf/header", cookie(csrf={"header": "Authorization", "cookie": "c"})),
    ("/tokens/refresh_token", {"tokens": {"access_token": "/token", "refresh_token": "/token"}}),
    ("/tokens/refresh_token", {"tokens": {"access_token": "/token", "refresh_token": "/token/next"}}),
    ("/tokens/expires_in", {"tokens": {"refresh_token": "/token/next", "expires_in": "/token"}}),
    ("/tokens/refresh_token", {"tokens": {"access_token": ""}}),
    ("/tokens/access_token", {"tokens": {"access_token": "/data/token"}, "success": {"body": {"data": 1}}}),
    ("/tokens/access_token", {"tokens": {"access_token": "/data"}, "success": {"body": {"data": {}}}}),
    ("/failure/message_at", {"failure": {"status_at": "/code", "message_at": "/code"}}),
    ("/reason", {"failure": {"code_at": "/error"}, "reason": "/error/reason"}),
    ("/expired/0", {"failure": {"code_at": "/error"}, "expired": [{"status": 401, "body": {"/error/code": [1]}}]}),
    ("/expired/0", {"expired": [{"status": 401}], "over": [{"status": 401}]}),
    ("/expired/0", {"expired": [{"status": 400, "body": {"/code": [401]}}], "over": [{"status": 400}]}),
    (
        "/expired/0",
        {
            "failure": {"body": {"kind": "end"}},
            "expired": [{"status": 401}],
            "over": [{"status": 401, "body": {"/kind": ["end"]}}],
        },
    ),
    ("/stale/0", {"stale": [{"status": 401}]}),
    ("/success", {"success": {"body": {"code": 401}}, "expired": [{"status": 200, "body": {"/code": ["401"]}}]}),
    ("/success", {"expired": [{"status": 200}]}),
    ("/success", {"refresh_over": [{"status": 200}]}),
    ("/failure", {"failure": {"status": 401}}),
    (
        "/failure",
        {"failure": {"status": 400, "body": {"code": 402}}, "over": [{"status": 400, "body": {"/code": [402]}}]},
    ),
]


@pytest.mark.parametrize(
    ("place", "document"), CONTRADICTIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_document_that_contradicts_itself_is_refused_with_the_place(place: str, document: dict[str, Any]) -> None:
    """
    Members that cannot be meant together are refused at start, with the JSON Pointer of the one to change.
    """
    with pytest.raises(Contradiction) as refused:
        read(document)
    assert refused.value.field == place
    assert str(refused.value).startswith(f"dialect {place}: ")


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("/nmae", {"nmae": "x"}),
        ("/tokens/acces~1token", {"tokens": {"acces/token": "/a"}}),
        ("/login/url", {"login": {}}),
        ("/expired/1/status", {"expired": [{"status": 401}, {"body": {}}]}),
        ("/expired/0/body/~1a~0b", {"expired": [{"status": 401, "body": {"/a~b": [1]}}]}),  # its ~ escapes nothing
        ("/refresh/headers/a b", {"refresh": {"url": "/r", "headers": {"a b": "c"}}}),
        ("/refresh/headers/a", {"refresh": {"url": "/r", "headers": {"a": "b\r\nc: d"}}}),
        ("/refresh/url", {"refresh": {"url": "//elsewhere.example/r"}}),
        ("/refresh/url", {"refresh": {"url": "https://user:secret@api.example/r"}}),
        ("/refresh/url", {"refresh": {"url": "ftp://api.example/r"}}),
        ("/opt_out/value", {"opt_out": {"header": "a"}}),
        ("", []),
        ("", 7),
    ],
)
def test_a_member_that_is_not_what_it_must_be_is_refused_with_the_place(place: str, document: Any) -> None:
    """
    A slip of the pen in a document is named by its JSON Pointer.
    """
    with pytest.raises(DialectError) as refused:
        read(json.dumps(document))
    assert not isinstance(refused.value, Contradiction)
    assert refused.value.field == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"name": "a", "name": "b"}',
        '{"lifetime_seconds": NaN}',
        b"\xff{}",
        b"\xff\xfe{\x00}\x00",
        "[" * 100_000,
        " " * 70_000 + "{}",
        '{"lifetime_seconds": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_json_is_refused_as_a_whole(text: str | bytes) -> None:
    """
    A file that is not JSON, or not all parsers read alike, is refused before any member is looked at.
    """
    with pytest.raises(DialectError) as refused:
        read(text)
    assert refused.value.field == ""


def test_a_mapping_may_hold_only_what_a_file_could() -> None:
    """
    A document that is made in a program is held to JSON as well.
    """
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(DialectError, match="is no JSON"):
            read({"success": {"body": {"a": value}}})


def test_every_refusal_is_a_configuration_error() -> None:
    """
    Whoever catches ConfigurationError at start catches a bad dialect as well.
    """
    with pytest.raises(ConfigurationError):
        read("{")


def test_a_token_in_a_url_needs_the_operators_permission() -> None:
    """
    A refresh token in a URL ends in logs: without permission such a dialect is refused, and the member named.
    """
    for name in NAMES:
        text = text_of(name)
        if name in {"nest", "get-refresh", "code-in-400"}:
            with pytest.raises(Contradiction) as refused:
                read(text, allow_token_in_url=False)
            assert refused.value.field == "/refresh/token/kind"
        else:
            assert read(text, allow_token_in_url=False) == named(name)
        assert read(text, allow_token_in_url=True) == named(name)


UNSERVABLE: list[tuple[str, dict[str, Any]]] = [
    ("/login", {"login": None}),
    ("/refresh", {"refresh": None}),
    ("/refresh/url", {"refresh": {"url": "https://api.example/refresh"}}),
    ("/refresh/url", {"refresh": {"url": "/refresh?a=b"}}),
    ("/csrf/url", cookie(csrf={"url": "https://api.example/c"}, tokens={"refresh_token": None, "csrf_token": "/c"})),
    ("/expired", {"expired": []}),
    ("/refresh_over", {"refresh_over": []}),
    ("/failure", {"expired": [{"status": 400}]}),
    ("/failure", {"expired": [{"status": 401, "body": {"/code": [401]}}]}),
    ("/expired", {"failure": {}, "expired": [{"status": 403}]}),
    ("/over", {"over": [{"status": 404}]}),
    ("/refresh_over", {"refresh_over": [{"status": 401}, {"status": 429}]}),
    ("/stale", {"stale": [{"status": 503}]}),
    ("/failure", {"expired": [{"status": 401, "body": {"/code": ["token_expired"]}}]}),
    ("/failure", {"refresh_over": [{"status": 400, "body": {"/error": ["invalid_grant"]}}]}),
    ("/tokens/refresh_token", {"tokens": {"refresh_token": None}}),
    (
        "/tokens/refresh_token",
        {"tokens": {"access_token": "/result/0", "refresh_token": "/result/2", "expires_in": None}},
    ),
    ("/expired/0", {"failure": {"body": {"errors": []}, "message_at": "/errors/1"}}),
]


@pytest.mark.parametrize(("place", "document"), UNSERVABLE)
def test_a_dialect_that_a_client_can_follow_may_lack_what_a_server_needs(place: str, document: dict[str, Any]) -> None:
    """
    A client can follow what no server of ours could speak; a server refuses that at start, with the place.
    """
    dialect = read(document)
    with pytest.raises(Contradiction) as refused:
        refuse_unservable(dialect)
    assert refused.value.field == place


def test_the_default_dialect_is_no_contradiction() -> None:
    """
    A document that says nothing is the default dialect, and can be served.
    """
    assert read("{}") == read({}) == Dialect()
    refuse_unservable(read({}))


def test_a_list_may_be_written_when_it_begins_at_its_beginning() -> None:
    """
    Tokens may stand in an array, as some APIs have it.
    """
    refuse_unservable(read({"tokens": {"access_token": "/result/0/token", "refresh_token": "/result/0/refresh"}}))
