"""
What a server or a guard answers in a dialect, ready to be sent. Pure.

Nothing here decides what to say: a `TokenAnswer` or a `ProblemAnswer` comes in, its spelling in the dialect goes out.
"""

import json
from typing import Any, Final, Literal, NamedTuple

from evertoken.wire import problems
from evertoken.wire.answers import TokenAnswer
from evertoken.wire.dialects.dialect import Dialect, Match
from evertoken.wire.dialects.writing import failure_document, other_status, success_document
from evertoken.wire.problems import ProblemAnswer

Place = Literal["resource", "refresh", "other"]
"""Whose answer it is: an application's own route; the calls that take a refresh token; anything else."""

_NO_STORE: Final = ("Cache-Control", "no-store")
_JSON: Final = ("Content-Type", "application/json")
_ABOUT_A_TOKEN: Final = frozenset({"token_expired", "token_invalid"})


class Rendered(NamedTuple):
    """
    An answer.

    Args:
        headers: All that it needs but its length: the media type if it has a body, `no-store`, challenge, Retry-After.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def good(dialect: Dialect, answer: TokenAnswer, *, presented: str | None = None) -> Rendered:
    """
    The answer to sign-in or refresh.

    Args:
        answer: The tokens; `refresh_token` None where it stays as it was. Where the refresh token is in a cookie it
            is not written, whatever is here: the caller sets the cookie.
        presented: The refresh token that the call brought; None at sign-in.
    """
    refresh_token, manner = answer.refresh_token, dialect.refresh_token_in_answer
    if presented is not None and manner != "new":
        refresh_token = (refresh_token or presented) if manner == "always" else None
    places = dialect.tokens
    document = success_document(
        dialect,
        [
            (places.access_token, answer.access_token),
            ("/token_type" if _is_oauth(dialect) else None, answer.token_type),
            (places.refresh_token, None if dialect.is_by_cookie else refresh_token),
            (places.expires_in, answer.expires_in),
            (places.refresh_token_expires_in, answer.refresh_token_expires_in),
            (places.csrf_token, answer.csrf_token),
            (places.session_id, answer.session_id),
        ],
    )
    return _json(200, document)


def csrf(dialect: Dialect, *, csrf_token: str, session_id: str) -> Rendered:
    """The answer of `csrf.url`: the CSRF token of the cookie's session."""
    said = [(dialect.tokens.csrf_token, csrf_token), (dialect.tokens.session_id, session_id)]
    return _json(200, success_document(dialect, said))


def done(dialect: Dialect) -> Rendered:
    """A good answer that has nothing to say, as to a sign-out: the constant members, or 204 without a body."""
    if dialect.success.body:
        return _json(200, success_document(dialect, []))
    return Rendered(204, (_NO_STORE,), b"")


def failure(dialect: Dialect, problem: ProblemAnswer, *, place: Place) -> Rendered:
    """
    The answer when something is wrong: exactly the problem where the dialect has no `failure`.

    Args:
        place: Decides what is said of a token. On a resource a missing, bad or expired one is `expired`, and
            `session_over` is `over` if the dialect has such a thing, else `expired` too. Where a refresh token was
            sent, a bad one and the end of its session are `refresh_over`.
    """
    if dialect.failure is None:
        return Rendered(
            problem.status, (("Content-Type", problems.MEDIA_TYPE), _NO_STORE, *problem.headers), problem.body()
        )
    rule = _rule(dialect, problem.code, place)
    own = problem.status if rule is not None else other_status(dialect, problem.status)
    status, document = failure_document(
        dialect, rule, status=own, message=problem.detail, code=problem.code, reason=problem.reason
    )
    if problem.instance is not None and isinstance(document, dict):
        document.setdefault("instance", problem.instance)  # what the operator looks for in the log
    # A challenge belongs to its status (RFC 9110 §11.6.1); with another one it would only puzzle.
    kept = tuple(
        (name, value) for name, value in problem.headers if status == problem.status or name != "WWW-Authenticate"
    )
    return _json(status, document, *kept)


def _is_oauth(dialect: Dialect) -> bool:
    """Whether answers are those of RFC 6749 §5.1, which demands `token_type`."""
    return dialect.failure is None and dialect.tokens.access_token == "/access_token"  # noqa: S105 - a place


def _rule(dialect: Dialect, code: str, place: Place) -> Match | None:
    if place == "other":
        return None
    if place == "refresh":
        if code == "stale":
            return _first(dialect.stale)
        is_over = code == "session_over" or code in _ABOUT_A_TOKEN
        return _first(dialect.refresh_over or dialect.over) if is_over else None
    if code == "session_over":
        return _first(dialect.over or dialect.expired)
    return _first(dialect.expired) if code in _ABOUT_A_TOKEN else None


def _first(rules: tuple[Match, ...]) -> Match | None:
    return rules[0] if rules else None


def _json(status: int, document: Any, *headers: tuple[str, str]) -> Rendered:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return Rendered(status, (_JSON, _NO_STORE, *headers), body)
