"""Anything at all, sent to the routes of every dialect."""

import http.client
import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects.server.pages import PAGES, Call
from tests.support.server import LiveServer

METHODS = st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"])
TYPES = st.sampled_from(
    ["application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", ""]
)
NAMES = [
    "Authorization",
    "authorization",
    "token",
    "Cookie",
    "X-XSRF-TOKEN",
    "isToken",
    "Origin",
    "Sec-Fetch-Site",
    "Access-Control-Request-Method",
]
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
VALUES = st.sampled_from(["Bearer", "bearer  ", "Bearer a b", "null", "same-origin", "a=b; a=b", "GET"]) | TEXTS
MEMBERS = st.sampled_from(["username", "password", "refresh", "refreshToken", "refresh_token", "token", "x"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=8,
)
BODIES = st.binary(max_size=60) | ANY_JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
QUERIES = st.text(max_size=20).map(lambda text: quote(text, errors="replace")) | st.sampled_from(
    ["token=a&token=b", "refresh_token=%00", "refreshToken=%ff%fe", "&&&=", "%", "token", "a=" * 60]
)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(PAGES)),
    which=st.sampled_from(["login", "refresh", "logout"]),
    method=METHODS | st.none(),
    query=QUERIES,
    headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3),
    media_type=TYPES,
    body=BODIES,
)
def test_whatever_is_sent_no_answer_is_a_fault_of_the_server(
    live: LiveServer,
    name: str,
    which: str,
    method: str | None,
    query: str,
    headers: list[tuple[str, str]],
    media_type: str,
    body: bytes,
) -> None:
    """Any method, query, header and body gets an answer of the dialect: JSON, kept by no cache, never 5xx."""
    page = PAGES[name]
    call = Call("POST", page.login, "body") if which == "login" else getattr(page, which)
    connection = http.client.HTTPConnection("127.0.0.1", int(live.url.rpartition(":")[2]), timeout=20)
    used = method or call.method
    try:
        connection.putrequest(used, f"/{name}{call.path}?{query}")
        for header, value in [*headers, ("Content-Type", media_type), ("Content-Length", str(len(body)))]:
            connection.putheader(header, value.strip().encode("latin-1"))
        connection.endheaders(body)
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    assert answer.status < 500, raw
    assert answer.headers["cache-control"] == "no-store"
    assert b"Traceback" not in raw
    if raw:
        document: Any = json.loads(raw)
        assert isinstance(document, dict)
        assert page.code_at in document or "sessionId" in str(document), document
