"""A refresh token in a cookie, kept by a client without a cookie jar: packed into one token, and back."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.client import cookies
from evertoken.client.cookies import Held, kept, pack, unpack
from evertoken.client.refresher.answers import Tokens, Unusable
from evertoken.client.refresher.record import Record, is_token, parse, render
from evertoken.dialects import named, read
from evertoken.errors import ConfigurationError

DIALECT = named("cookie-envelope")
TOKENS = Tokens("A", None, 1800, None, "S")
SAID = {"data": {"csrfToken": "C1"}}

names = st.text("abcXYZ019_-!#$.", min_size=1, max_size=12)
values = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='",;\\'), min_size=1, max_size=40
)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def after(set_cookie: str, *, before: str | None = None, document: object = SAID) -> Held:
    """What is held once an answer has set these."""
    found = kept(DIALECT, TOKENS, headers={"set-cookie": set_cookie}, document=document, before=before)
    assert isinstance(found, Tokens), found
    held = unpack(found.refresh_token or before or "")
    assert held is not None
    return held


@given(st.dictionaries(names, values, min_size=1, max_size=5), tokens)
def test_what_is_packed_is_a_token_and_comes_back_the_same(held: dict[str, str], csrf_token: str) -> None:
    """
    Cookies and CSRF token stand in the store as one token, and are read from it again as they were.
    """
    packed = pack(Held(held, csrf_token))
    assert packed is not None
    assert is_token(packed)
    record = Record(server="https://api.example", version=1, access_token="A", refresh_token=packed)
    stored = parse(render(record)).refresh_token
    assert stored is not None
    assert unpack(stored) == Held(held, csrf_token)


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_else_stands_there_is_nothing(held: bytes) -> None:
    """
    A refresh token that is not from a cookie, or was changed, is nothing, and no error.
    """
    text = "cookies." + base64.urlsafe_b64encode(held).decode().rstrip("=")
    found = unpack(text)
    assert found is None or pack(found) is not None
    assert unpack(text.removeprefix("cookies.")) is None
    assert unpack(text + "!") is None


@pytest.mark.parametrize(
    "document",
    [
        [{"a": "b; c=d"}, "t"],
        [{"a": "b\r\nc"}, "t"],
        [{"a b": "c"}, "t"],
        [{"a": "b"}, "t\r\n"],
        [{"a": 1}, "t"],
        [{}, "t"],
    ],
)
def test_a_store_that_somebody_has_written_breaks_out_of_no_header(document: object) -> None:
    """
    Line breaks, spaces and semicolons in a store never become headers or cookies of their own.
    """
    text = "cookies." + base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    assert unpack(text) is None
    with pytest.raises(ConfigurationError, match="sign in again"):
        cookies.carried(DIALECT, "https://api.example/r", text)


def test_an_answers_cookies_are_kept_replaced_and_removed() -> None:
    """
    Several Set-Cookie headers joined by a comma are told apart, dates and all; one that has ended is dropped.
    """
    set_cookie = (
        "__Host-a=one==; Max-Age=60; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/; Secure; HttpOnly, "
        "XSRF-TOKEN=C0; Path=/, old=x; Expires=Thu, 01-Jan-1970 00:00:00 GMT; Max-Age=0, bad name=1, "
        'gone=x; expires=Thu, 01 Jan 1970 00:00:01 GMT, quoted="q"'
    )
    held = after(set_cookie)
    assert held == Held({"__Host-a": "one==", "XSRF-TOKEN": "C0", "quoted": "q"}, "C1")
    later = after("__Host-a=two; Path=/, quoted=; Path=/", before=pack(held))
    assert later == Held({"__Host-a": "two", "XSRF-TOKEN": "C0"}, "C1")


def test_an_answer_that_changes_no_cookie_leaves_the_store_as_it_is() -> None:
    """
    Where the refresh token stays as it was, nothing new is stored in its place.
    """
    before = pack(Held({"a": "one"}, "C1"))
    found = kept(DIALECT, TOKENS, headers={}, document=SAID, before=before)
    assert isinstance(found, Tokens)
    assert found.refresh_token is None


def test_the_csrf_token_comes_from_the_body_from_the_cookie_or_from_before() -> None:
    """
    The first place that says it counts: the answer's member, the readable cookie, what was held.
    """
    assert after("a=b, XSRF-TOKEN=C2").csrf_token == "C1"
    assert after("a=b, XSRF-TOKEN=C2", document={}).csrf_token == "C2"
    assert after("a=c", document={}, before=pack(Held({"a": "b"}, "C3"))).csrf_token == "C3"


@pytest.mark.parametrize(
    ("set_cookie", "document", "why"),
    [
        ("", SAID, "no refresh cookie"),
        ("XSRF-TOKEN=C2", SAID, "no refresh cookie"),
        ("a=b", {}, "no CSRF token"),
        ("a=b", {"data": {"csrfToken": "two words"}}, "no CSRF token"),
        ("a=" + "b" * 20_000, SAID, "too long"),
        (", ".join(f"a{n}=b" for n in range(21)), SAID, "too many"),
    ],
)
def test_an_answer_without_what_the_next_call_needs_is_not_taken(set_cookie: str, document: object, why: str) -> None:
    """
    A sign-in that could never be refreshed is told at once, not when the access token has expired.
    """
    found = kept(DIALECT, TOKENS, headers={"set-cookie": set_cookie}, document=document, before=None)
    assert isinstance(found, Unusable)
    assert found.is_final
    assert why in found.why


def test_a_call_carries_the_cookies_the_csrf_token_and_its_origin() -> None:
    """
    What a browser would add to the page's call, the client adds; a server of ours takes it from nowhere else.
    """
    packed = pack(Held({"a": "b", "XSRF-TOKEN": "C0"}, "C1"))
    assert packed is not None
    assert cookies.carried(DIALECT, "https://api.example:8443/v1/r?x", packed) == {
        "Origin": "https://api.example:8443",
        "Cookie": "XSRF-TOKEN=C0; a=b",
        "X-XSRF-TOKEN": "C1",
    }


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example:443/v1/r", "https://api.example"),
        ("http://api.example:80/r", "http://api.example"),
        ("http://[::1]:8000/r", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_spelled_as_browsers_spell_it(url: str, origin: str) -> None:
    """
    However the URL was written, a server that compares origins by the letter finds its own.
    """
    packed = pack(Held({"a": "b"}, "C1"))
    assert packed is not None
    assert cookies.carried(DIALECT, url, packed)["Origin"] == origin
    assert cookies.origin_header(url) == {"Origin": origin}


def test_a_secret_is_in_no_repr() -> None:
    """
    What is held shows neither a cookie nor the CSRF token.
    """
    assert "one" not in repr(Held({"a": "one"}, "one"))


def test_a_dialect_with_a_cookie_is_by_cookie_and_no_other() -> None:
    """
    Where the refresh carries a cookie, everything does.
    """
    assert DIALECT.is_by_cookie
    assert not read({}).is_by_cookie
