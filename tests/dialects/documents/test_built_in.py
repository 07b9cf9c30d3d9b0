"""The built-in dialects: their documents, and what a page that speaks one of them is answered."""

import json
from importlib import resources
from typing import Any

import pytest

from evertoken.wire import problems
from evertoken.wire.answers import TokenAnswer
from evertoken.wire.dialects import answering
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.document import DialectError, read, refuse_unservable, write
from evertoken.wire.dialects.known import EVERTOKEN, NAMES, named, text_of
from evertoken.wire.problems import ProblemAnswer

EXPIRED = problems.unauthorized("token_expired", "Refresh it.")
OVER = problems.unauthorized("session_over", "Sign in again.", reason="expired_idle")
STALE = ProblemAnswer(503, "stale", "Read again.", (("Retry-After", "1"),))
WRONG_PASSWORD = problems.unauthorized("bad_credentials", "Wrong.")
TOO_MANY = ProblemAnswer(429, "rate_limited", "Wait 3 seconds.", (("Retry-After", "3"),))
BROKEN = ProblemAnswer(500, "internal", "It is in our log.", instance="urn:uuid:1")
FORBIDDEN = problems.rights_missing(("reports",))

TOKENS = TokenAnswer(
    access_token="A",
    token_type="Bearer",
    expires_in=1800,
    refresh_token="R",
    refresh_token_expires_in=604800,
    session_id="S",
)


def answered(dialect: Dialect, problem: ProblemAnswer, place: answering.Place) -> tuple[int, Any]:
    """Status and JSON body of a failure."""
    found = answering.failure(dialect, problem, place=place)
    return found.status, json.loads(found.body)


def test_every_document_is_a_built_in_dialect() -> None:
    """
    The names and the files are the same.
    """
    folder = resources.files("evertoken.wire.dialects").joinpath("documents")
    assert {entry.name for entry in folder.iterdir()} == {f"{name}.json" for name in NAMES}
    assert [read(text_of(name)).name for name in NAMES] == list(NAMES)


def test_evertokens_own_document_is_what_the_code_says() -> None:
    """
    The default dialect needs no file to be read, and says what its file says.
    """
    assert read(text_of("evertoken")) == EVERTOKEN is named("evertoken")
    assert read(text_of("evertoken")).about == EVERTOKEN.about


@pytest.mark.parametrize("name", ["", "nest ", "../dialect.schema", "Nest"])
def test_a_name_that_is_none_is_refused_with_those_that_are(name: str) -> None:
    """
    A slip in a name is answered with the names that there are.
    """
    with pytest.raises(DialectError, match="raw-header, status-code-in-body, nest"):
        named(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_dialect_is_the_same_after_a_round_trip_and_can_be_served(name: str) -> None:
    """
    Each built-in dialect can be written, read again, and spoken by a server.
    """
    dialect = named(name)
    assert read(json.dumps(write(dialect))) == dialect
    assert write(read(write(dialect))) == write(dialect)
    refuse_unservable(dialect)
    assert dialect.refresh_is_repeatable
    assert dialect.about.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_server_says_is_understood_by_a_client_of_the_same_dialect(name: str) -> None:
    """
    Expired is read as expired, over as over, and no other failure as either.
    """
    dialect = named(name)
    for problem in (EXPIRED, problems.NO_TOKEN, problems.unauthorized("token_invalid", "Sign in.")):
        assert dialect.verdict(*answered(dialect, problem, "resource")) == "expired"
    for problem in (OVER, problems.unauthorized("token_invalid", "Not ours.")):
        status, document = answered(dialect, problem, "refresh")
        assert dialect.refresh_verdict(status, document) == "over"
    assert dialect.reason_in(answered(dialect, OVER, "refresh")[1], "unknown") == "expired_idle"
    assert dialect.verdict(*answered(dialect, OVER, "resource")) == ("over" if dialect.over else "expired")
    assert dialect.refresh_verdict(*answered(dialect, STALE, "refresh")) == "stale"
    for problem in (TOO_MANY, BROKEN, FORBIDDEN, problems.token_misused()):
        for place in ("resource", "refresh", "other"):
            said = answered(dialect, problem, place)
            assert dialect.verdict(*said) == dialect.refresh_verdict(*said) == "accepted"


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_of_the_server_keeps_its_status_and_its_retry_after(name: str) -> None:
    """
    429 and 5xx are never hidden behind another status: proxies and monitors go by them.
    """
    for problem in (TOO_MANY, BROKEN, STALE):
        for place in ("resource", "refresh", "other"):
            found = answering.failure(named(name), problem, place=place)
            assert found.status == problem.status
            assert set(problem.headers) <= set(found.headers)
            assert ("Cache-Control", "no-store") in found.headers


def test_the_default_dialect_answers_the_very_problem() -> None:
    """
    In evertoken's own dialect nothing is spelled anew.
    """
    for problem in (EXPIRED, OVER, STALE, WRONG_PASSWORD, TOO_MANY, BROKEN, FORBIDDEN):
        for place in ("resource", "refresh", "other"):
            found = answering.failure(EVERTOKEN, problem, place=place)
            assert (found.status, found.body) == (problem.status, problem.body())
            assert ("Content-Type", problems.MEDIA_TYPE) in found.headers
            assert set(problem.headers) <= set(found.headers)


SPOKEN: dict[str, dict[str, Any]] = {
    "evertoken": {
        "good": {
            "access_token": "A",
            "token_type": "Bearer",
            "refresh_token": "R",
            "expires_in": 1800,
            "refresh_token_expires_in": 604800,
            "session_id": "S",
        },
        "kept": {"access_token": "A", "token_type": "Bearer", "expires_in": 1800},
    },
    "raw-header": {
        "good": {
            "access": "A",
            "refresh": "R",
            "expires_in": 1800,
            "refresh_expires_in": 604800,
            "session_id": "S",
        },
        "kept": {"access": "A", "expires_in": 1800},
        "expired": (401, {"message": "Refresh it.", "code": "token_expired"}),
        "over": (401, {"message": "Sign in again.", "code": "session_over", "reason": "expired_idle"}),
        "wrong": (401, {"message": "Wrong.", "code": "bad_credentials"}),
    },
    "status-code-in-body": {
        "good": {
            "accessToken": "A",
            "refreshToken": "R",
            "expiresIn": 1800,
            "refreshTokenExpiresIn": 604800,
            "sessionId": "S",
        },
        "kept": {"accessToken": "A", "refreshToken": "OLD", "expiresIn": 1800},
        "expired": (401, {"statusCode": 401, "message": "Refresh it.", "error": "token_expired"}),
        "over": (
            401,
            {"statusCode": 401, "message": "Sign in again.", "error": "session_over", "reason": "expired_idle"},
        ),
        "wrong": (401, {"statusCode": 401, "message": "Wrong.", "error": "bad_credentials"}),
    },
    "nest": {
        "good": {
            "access_token": "A",
            "refresh_token": "R",
            "expires_in": 1800,
            "refresh_token_expires_in": 604800,
            "session_id": "S",
        },
        "kept": {"access_token": "A", "refresh_token": "OLD", "expires_in": 1800},
        "expired": (401, {"statusCode": 401, "message": "Refresh it.", "error": "token_expired"}),
        "over": (
            401,
            {"statusCode": 401, "message": "Sign in again.", "error": "session_over", "reason": "expired_idle"},
        ),
        "wrong": (401, {"statusCode": 401, "message": "Wrong.", "error": "bad_credentials"}),
    },
    "code-in-400": {
        "good": {
            "data": {
                "accessToken": "A",
                "refreshToken": "R",
                "expiresIn": 1800,
                "refreshTokenExpiresIn": 604800,
                "sessionId": "S",
            }
        },
        "kept": {"data": {"accessToken": "A", "expiresIn": 1800}},
        "expired": (400, {"code": 401, "msg": "Refresh it.", "error": "token_expired"}),
        "over": (400, {"code": 402, "msg": "Sign in again.", "error": "session_over", "reason": "expired_idle"}),
        "wrong": (400, {"code": 400, "msg": "Wrong.", "error": "bad_credentials"}),
    },
    "cookie-envelope": {
        "good": {
            "isSuccess": True,
            "data": {"accessToken": "A", "expiresIn": 1800, "refreshTokenExpiresIn": 604800, "sessionId": "S"},
        },
        "kept": {"isSuccess": True, "data": {"accessToken": "A", "expiresIn": 1800}},
        "expired": (401, {"isSuccess": False, "message": "Refresh it.", "error": "token_expired"}),
        "over": (
            401,
            {"isSuccess": False, "message": "Sign in again.", "error": "session_over", "reason": "expired_idle"},
        ),
        "wrong": (401, {"isSuccess": False, "message": "Wrong.", "error": "bad_credentials"}),
    },
    "code-in-200": {
        "good": {
            "code": 200,
            "data": {
                "token": "A",
                "refreshToken": "R",
                "expiresIn": 1800,
                "refreshTokenExpiresIn": 604800,
                "sessionId": "S",
            },
        },
        "kept": {"code": 200, "data": {"token": "A", "expiresIn": 1800}},
        "expired": (200, {"code": 401, "msg": "Refresh it.", "error": "token_expired"}),
        "over": (200, {"code": 402, "msg": "Sign in again.", "error": "session_over", "reason": "expired_idle"}),
        "wrong": (200, {"code": 400, "msg": "Wrong.", "error": "bad_credentials"}),
    },
}
SPOKEN["get-refresh"] = SPOKEN["status-code-in-body"]


@pytest.mark.parametrize("name", NAMES)
def test_each_answer_has_the_spelling_of_its_dialect(name: str) -> None:
    """
    Tokens and failures stand where the page looks for them, letter by letter.
    """
    dialect, spoken = named(name), SPOKEN[name]
    assert json.loads(answering.good(dialect, TOKENS).body) == spoken["good"]
    kept = TokenAnswer(access_token="A", token_type="Bearer", expires_in=1800)
    assert json.loads(answering.good(dialect, kept, presented="OLD").body) == spoken["kept"]
    if name == "evertoken":
        return
    assert answered(dialect, EXPIRED, "resource") == spoken["expired"]
    assert answered(dialect, OVER, "refresh") == spoken["over"]
    assert answered(dialect, WRONG_PASSWORD, "other") == spoken["wrong"]


@pytest.mark.parametrize(
    ("manner", "new", "expected"),
    [
        ("new", "NEW", "NEW"),
        ("new", None, None),
        ("always", "NEW", "NEW"),
        ("always", None, "OLD"),
        ("never", "NEW", None),
        ("never", None, None),
    ],
)
def test_a_refresh_answers_the_refresh_token_that_the_dialect_says(
    manner: str, new: str | None, expected: str | None
) -> None:
    """
    A client that keeps its first refresh token for ever gets none; one that stores what it gets is always given one.
    """
    dialect = read({"refresh_token_in_answer": manner})
    answer = TokenAnswer(access_token="A", token_type="Bearer", expires_in=1, refresh_token=new)
    assert json.loads(answering.good(dialect, answer, presented="OLD").body).get("refresh_token") == expected
    assert json.loads(answering.good(dialect, answer).body).get("refresh_token") == new


def test_a_refresh_token_that_is_in_a_cookie_is_in_no_body() -> None:
    """
    Whatever the caller hands over, a page of a cookie dialect cannot read the refresh token.
    """
    found = answering.good(named("cookie-envelope"), TOKENS)
    assert b'"R"' not in found.body


def test_the_csrf_token_is_said_where_the_page_looks_for_it() -> None:
    """
    A page that has just been loaded learns the CSRF token and the session in its own spelling.
    """
    found = answering.csrf(named("cookie-envelope"), csrf_token="C", session_id="S")
    assert json.loads(found.body) == {"isSuccess": True, "data": {"csrfToken": "C", "sessionId": "S"}}


def test_a_sign_out_is_answered_in_the_envelope_if_there_is_one() -> None:
    """
    A page that looks into every answer for its envelope finds it at sign-out, too.
    """
    assert answering.done(named("code-in-200"))[::2] == (200, b'{"code":200}')
    assert answering.done(named("nest"))[::2] == (204, b"")


def test_a_challenge_goes_only_with_the_status_it_is_for() -> None:
    """
    WWW-Authenticate stays with a 401 and is left out where the dialect says 200 or 400 instead.
    """
    for name in NAMES:
        found = answering.failure(named(name), EXPIRED, place="resource")
        assert ("WWW-Authenticate" in dict(found.headers)) == (found.status == 401)


def test_an_answer_leaves_the_dialect_as_it_is() -> None:
    """
    What is written into one answer is not there in the next.
    """
    dialect = read(
        {
            "success": {"body": {"data": {"kind": "tokens"}, "trace": []}},
            "failure": {"body": {"error": {"kind": "failure"}}, "message_at": "/error/message"},
            "tokens": {"access_token": "/data/a", "refresh_token": "/data/r", "session_id": "/trace/0"},
        }
    )
    answering.good(dialect, TOKENS)
    assert json.loads(answering.failure(dialect, WRONG_PASSWORD, place="other").body) == {
        "error": {"kind": "failure", "message": "Wrong."}
    }
    assert dialect.success.body == {"data": {"kind": "tokens"}, "trace": []}
    assert dialect.failure is not None
    assert dialect.failure.body == {"error": {"kind": "failure"}}
    assert json.loads(answering.csrf(dialect, csrf_token="C", session_id="S").body) == {
        "data": {"kind": "tokens"},
        "trace": ["S"],
    }
