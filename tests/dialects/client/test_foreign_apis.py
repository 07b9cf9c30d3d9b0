"""APIs of others, which say with HTTP 200 what they mean otherwise: the client goes by the document."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from evertoken.client import Session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import RefreshUnavailable, SignedOut, SignInRefused, SignInUnavailable, SignOutUnavailable
from evertoken.testing import Answer, Request
from evertoken.testing.listener import Listener

Says = dict[str, Callable[[Request], Answer]]


@pytest.fixture
def api() -> Iterator[tuple[Says, str]]:
    """An API whose every path answers what the test says, and its URL."""
    says: Says = {}
    with Listener(lambda request: says[request.path](request)) as listener:
        yield says, listener.url


def always(status: int, body: Any) -> Callable[[Request], Answer]:
    """The same answer to everybody."""
    return lambda _: Answer.json(status, body)


def test_a_sign_in_that_fails_with_http_200_is_refused_in_the_apis_words(api: tuple[Says, str]) -> None:
    """
    {code: 500, msg} with HTTP 200 is a refused sign-in, not an answer that lacks its tokens.
    """
    says, url = api
    says["/login"] = always(200, {"code": 500, "msg": "wrong password"})
    with pytest.raises(SignInRefused, match="wrong password") as refused:
        Session(url, dialect="code-in-200").login("ada", "secret")
    assert refused.value.code == "500"


def test_a_good_answer_may_have_a_message_as_well(api: tuple[Says, str]) -> None:
    """
    {code: 200, msg: "ok"} is a success: the constant members of the envelope say which is which.
    """
    says, url = api
    says["/login"] = always(200, {"code": 200, "msg": "ok", "data": {"token": "A", "refreshToken": "R"}})
    says["/logout"] = always(200, {"code": "200", "msg": "ok"})
    session = Session(url, dialect="code-in-200")
    session.login("ada", "secret")
    assert session.token() == "A"
    session.logout()
    assert not session.is_signed_in()


def test_an_answer_without_tokens_that_claims_success_is_no_sign_in(api: tuple[Says, str]) -> None:
    """
    A success without a token is a strange answer; nobody is told that the password was wrong.
    """
    says, url = api
    says["/login"] = always(200, {"code": 200, "data": {}})
    with pytest.raises(SignInUnavailable, match="/data/token"):
        Session(url, dialect="code-in-200").login("ada", "secret")


def test_a_sign_out_that_fails_with_http_200_is_not_taken_for_done(api: tuple[Says, str]) -> None:
    """
    As long as the API has not confirmed the end, the tokens are kept; that it knows the session no more is an end.
    """
    says, url = api
    says["/logout"] = always(200, {"code": 500, "msg": "later"})
    session = Session(url, dialect="code-in-200")
    session.adopt(access_token="A", refresh_token="R")
    with pytest.raises(SignOutUnavailable):
        session.logout()
    assert session.is_signed_in()
    says["/logout"] = always(200, {"code": 402, "msg": "over"})
    session.logout()
    assert not session.is_signed_in()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"code": 402, "msg": "over"}, SignedOut),
        (200, {"code": "402"}, SignedOut),
        (200, {"code": 500, "msg": "later"}, RefreshUnavailable),
        (200, {"code": 401, "msg": "?"}, RefreshUnavailable),
        (503, {"code": 402}, RefreshUnavailable),
    ],
)
def test_a_refresh_is_over_only_in_the_dialects_words(
    status: int, body: dict[str, Any], error: type[Exception], api: tuple[Says, str]
) -> None:
    """
    A refresh that fails otherwise signs nobody out, whatever the HTTP status says.
    """
    says, url = api
    says["/orders"] = always(200, {"code": "401", "msg": "expired"})
    says["/refresh"] = always(status, body)
    session = Session(url, dialect="code-in-200", timeout_seconds=2)
    session.adopt(access_token="A", refresh_token="R")
    with pytest.raises(error):
        httpx2.get(f"{url}/orders", auth=SilentAuth(session), trust_env=False)
    assert session.is_signed_in() == (error is RefreshUnavailable)


def test_a_large_or_foreign_answer_is_no_refusal(api: tuple[Says, str]) -> None:
    """
    An answer with HTTP 200 whose data happens to be large, or is no JSON, goes to the application as it came.
    """
    says, url = api
    says["/page"] = lambda _: Answer(200, (("Content-Type", "text/html"),), b'{"code": 401}')
    says["/large"] = always(200, {"code": 401, "data": "x" * 1_100_000})
    session = Session(url, dialect="code-in-200")
    session.adopt(access_token="A", refresh_token="R")
    with httpx2.Client(auth=SilentAuth(session), trust_env=False) as http:
        assert http.get(f"{url}/page").text == '{"code": 401}'
        assert http.get(f"{url}/large").json()["code"] == 401
