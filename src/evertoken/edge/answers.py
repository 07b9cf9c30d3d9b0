"""HTTP answers: JSON out, problems, OAuth errors. Every answer that may hold a token says no-store."""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from evertoken.wire import problems
from evertoken.wire.answers import OAuthError, encode
from evertoken.wire.problems import ProblemAnswer

NO_STORE = ("Cache-Control", "no-store")


class Refused(Exception):
    """Raised by a route to answer with a problem; nothing has been changed by then."""

    def __init__(self, problem: ProblemAnswer) -> None:
        super().__init__(problem.code)
        self.problem = problem


class OAuthRefused(Exception):
    """Raised by an OAuth route to answer with an error of RFC 6749 §5.2."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers


def refuse(status: int, code: str, detail: str, *headers: tuple[str, str]) -> Refused:
    """A problem to raise."""
    return Refused(ProblemAnswer(status, code, detail, headers))


def json_answer(
    answer: Any, *, status: int = 200, headers: Iterable[tuple[str, str]] = (), media_type: str = "application/json"
) -> Response:
    """A JSON answer that no cache keeps."""
    response = Response(encode(answer), status_code=status, media_type=media_type)
    add_headers(response, (NO_STORE, *headers))
    return response


def empty(status: int = 204, *, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """An answer without a body."""
    response = Response(status_code=status)
    add_headers(response, (NO_STORE, *headers))
    return response


def problem_answer(problem: ProblemAnswer) -> Response:
    """A problem as an answer."""
    response = Response(problem.body(), status_code=problem.status, media_type=problems.MEDIA_TYPE)
    add_headers(response, (NO_STORE, *problem.headers))
    return response


def oauth_error(refused: OAuthRefused) -> Response:
    """An OAuth error as an answer."""
    answer = OAuthError(error=refused.error, error_description=refused.description)
    return json_answer(answer, status=refused.status, headers=(("Pragma", "no-cache"), *refused.headers))


def oauth_problem(problem: ProblemAnswer) -> Response:
    """A problem in the shape that OAuth clients expect: they read `error`, and know no problem documents."""
    faults = {500: "server_error", 503: "temporarily_unavailable"}
    error = faults.get(problem.status, "invalid_request")
    return oauth_error(OAuthRefused(error, problem.detail, status=problem.status, headers=problem.headers))


def add_headers(response: Response, headers: Iterable[tuple[str, str]]) -> None:
    """Headers besides those that Starlette has set; a name may be there several times."""
    response.raw_headers.extend((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)
