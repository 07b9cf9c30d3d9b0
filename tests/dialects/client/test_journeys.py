"""The Python client against a real server in every built-in dialect: nobody notices a refresh, and an end is an end."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from evertoken.client import Session
from evertoken.client.httpx2 import SilentAuth
from evertoken.client.token_stores.file import FileStore
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.dialects import DialectError, load, named, write
from evertoken.errors import ConfigurationError, SignedOut, SignInRefused
from evertoken.wire.dialects.known import text_of
from tests.dialects.client.conftest import ACCESS_SECONDS
from tests.support.server import PASSWORD, LiveServer

MakesSession = Callable[..., Session]
URLs = Mapping[str, str]


def client(session: Session) -> httpx2.Client:
    """An HTTP client with the session's token."""
    return httpx2.Client(auth=SilentAuth(session), trust_env=False)


def sessions_of_ada(live: LiveServer) -> set[str]:
    """The ids of ada's live sessions."""
    with live.client() as http:
        token = live.sign_in(http)["access_token"]
        answer = http.get("/auth/sessions", headers={"Authorization": f"Bearer {token}"}).json()["sessions"]
        return {each["id"] for each in answer if not each["current"]}


def test_an_expired_access_token_is_renewed_without_the_caller_noticing(
    name: str, live: LiveServer, guarded: URLs, session_of: MakesSession
) -> None:
    """
    Over ten lifetimes of the access token every call succeeds, a POST with its body among them.
    """
    session = session_of(name)
    seen = set()
    with client(session) as http:
        for turn in range(10):
            answer = http.post(f"{guarded[name]}/whoever", content=f"turn {turn}")
            assert (answer.status_code, answer.json()["body"]) == (200, f"turn {turn}")
            seen.add(answer.json()["jti"])
            live.clock.advance(ACCESS_SECONDS + 1)
    assert len(seen) == 10
    session.logout()


def test_calls_at_once_share_one_refresh(name: str, live: LiveServer, guarded: URLs, session_of: MakesSession) -> None:
    """
    Eight calls that find the token expired are sent again with the one new token.
    """
    session = session_of(name)
    live.clock.advance(ACCESS_SECONDS + 1)
    with client(session) as http, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.get(f"{guarded[name]}/whoever").json()["jti"], range(8)))
    assert len(set(answers)) == 1
    session.logout()


def test_a_session_that_was_ended_is_told_with_its_reason(
    name: str, live: LiveServer, guarded: URLs, session_of: MakesSession
) -> None:
    """
    When somebody ends the session elsewhere, the next call says signed out, and nothing is tried any more.
    """
    session = session_of(name)
    ended: list[str] = []
    session.on_signed_out(ended.append)
    with live.client() as http:
        token = live.sign_in(http)["access_token"]
        assert http.delete("/auth/sessions", headers={"Authorization": f"Bearer {token}"}).is_success
    with client(session) as http:
        for _ in range(2):
            with pytest.raises(SignedOut) as over:
                http.get(f"{guarded[name]}/whoever")
            # A guard that says "over" itself knows that it is so, not why.
            expected = "unknown" if named(name).over and name != "evertoken" else "signed_out"
            assert over.value.reason == expected
    assert ended == [expected]
    assert not session.is_signed_in()


def test_a_session_that_nobody_used_for_too_long_is_over(
    name: str, live: LiveServer, guarded: URLs, session_of: MakesSession
) -> None:
    """
    After the idle time the refresh is refused in the dialect's words, and the person has to sign in again.
    """
    session = session_of(name)
    live.clock.advance(60 * 60 * 24 * 60)
    with client(session) as http, pytest.raises(SignedOut) as over:
        http.get(f"{guarded[name]}/whoever")
    assert over.value.reason == "expired_idle"


def test_a_wrong_password_is_a_refused_sign_in(name: str, live: LiveServer, session_of: MakesSession) -> None:
    """
    However the dialect says it, HTTP 200 among them, a wrong password is told as one.
    """
    session = session_of(name, signed_in=False)
    with pytest.raises(SignInRefused) as refused:
        session.login("ada", "not the password")
    live.clock.advance(60 * 60 * 24)  # or those who come next would be slowed down
    assert refused.value.code == "bad_credentials"
    assert not session.is_signed_in()


def test_a_sign_out_ends_the_session_at_the_server(
    name: str, live: LiveServer, guarded: URLs, session_of: MakesSession
) -> None:
    """
    After a sign-out the server knows the session no more, and neither does the client.
    """
    session = session_of(name)
    stored = session.gate.around.read()[1]
    assert stored is not None
    mine = stored.session_id
    assert mine in sessions_of_ada(live)
    session.logout()
    assert mine not in sessions_of_ada(live)
    assert not session.is_signed_in()
    with client(session) as http, pytest.raises(SignedOut):
        http.get(f"{guarded[name]}/whoever")


def test_a_session_in_a_file_goes_on_in_another_process_of_the_same_dialect(
    name: str, tmp_path: Path, live: LiveServer, guarded: URLs, session_of: MakesSession
) -> None:
    """
    What stands in the store is enough to go on, a refresh token in a cookie included.
    """
    session_of(name, store=FileStore(tmp_path / "session"))
    live.clock.advance(ACCESS_SECONDS + 1)
    later = session_of(name, signed_in=False, store=FileStore(tmp_path / "session"))
    with client(later) as http:
        assert http.get(f"{guarded[name]}/whoever").status_code == 200
    live.clock.advance(ACCESS_SECONDS + 1)
    later.refresh()
    later.logout()


@pytest.mark.parametrize("form", ["dialect", "mapping", "path", "text of a path"])
def test_a_dialect_is_given_in_any_of_its_forms(
    form: str, tmp_path: Path, guarded: URLs, session_of: MakesSession
) -> None:
    """
    A name, a document, a file or an object: all mean the same dialect.
    """
    path = tmp_path / "ours.json"
    path.write_text(text_of("code-in-200"))
    spoken = {
        "dialect": named("code-in-200"),
        "mapping": json.loads(json.dumps(write(named("code-in-200")))),
        "path": path,
        "text of a path": str(path),
    }[form]
    session = session_of("code-in-200", dialect=spoken)
    assert session.dialect == named("code-in-200")
    with client(session) as http:
        assert http.get(f"{guarded['code-in-200']}/whoever").status_code == 200
    session.logout()


def test_a_dialect_that_cannot_be_used_is_refused_when_the_session_is_made(tmp_path: Path) -> None:
    """
    A wrong name, a missing file and a slip in a document are told at start, with the place.
    """
    broken = tmp_path / "broken.json"
    broken.write_text('{"refresh": {"url": "/r", "method": "FETCH"}}')
    for spoken, place in (
        ("nests", ""),
        (tmp_path / "missing.json", ""),
        (broken, "/refresh/method"),
        ({"a": 1}, "/a"),
    ):
        with pytest.raises(DialectError) as refused:
            Session("https://api.example", dialect=spoken)
        assert refused.value.field == place
    with pytest.raises(DialectError):
        load("a\0b.json")
    with pytest.raises(ConfigurationError, match="several origins"):
        Session(
            "https://api.example",
            dialect={
                "refresh": {"url": "https://elsewhere.example/r", "token": {"kind": "cookie"}},
                "logout": None,
                "csrf": {"cookie": "c"},
                "tokens": {"refresh_token": None},
            },
        )


def test_a_sign_in_where_the_store_holds_what_no_cookie_dialect_can_send_signs_in(session_of: MakesSession) -> None:
    """
    After a change to a cookie dialect the old refresh token asks for a sign-in, and the sign-in puts an end to that.
    """
    store = MemoryStore()
    before = session_of("cookie-envelope", signed_in=False, store=store, dialect="evertoken")
    before.adopt(access_token="A", refresh_token="R")
    session = session_of("cookie-envelope", signed_in=False, store=store)
    with pytest.raises(ConfigurationError, match="sign in again"):
        session.refresh()
    session.login("ada", PASSWORD)
    session.refresh()
    session.logout()
    assert not session.is_signed_in()


def test_calls_to_one_origin_in_two_spellings_are_calls_to_one_origin() -> None:
    """
    A default port or a capital in one of the URLs makes no second origin.
    """
    dialect = write(named("cookie-envelope"))
    dialect["refresh"]["url"] = "https://api.example/r"
    Session("https://API.example:443", dialect=dialect)


def test_tokens_that_are_no_cookie_cannot_be_adopted_where_the_dialect_has_one(session_of: MakesSession) -> None:
    """
    A cookie dialect takes no refresh token from elsewhere: it could not be sent as its server wants it.
    """
    session = session_of("cookie-envelope", signed_in=False, store=MemoryStore())
    with pytest.raises(ValueError, match="is no cookie"):
        session.adopt(access_token="A", refresh_token="R")
    assert not session.is_signed_in()
