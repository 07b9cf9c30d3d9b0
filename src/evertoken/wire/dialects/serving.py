"""What a dialect must say before a server can speak it; a client needs less. Pure."""

from typing import Any, Final

from evertoken.wire.dialects.contradictions import calls
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.kinds import Contradiction
from evertoken.wire.dialects.pointer import parse
from evertoken.wire.dialects.writing import NoSuchPlace, failure_document, other_status, put, success_document

_OTHERS: Final = (
    (400, "invalid_request"),
    (403, "insufficient_rights"),
    (403, "origin_not_allowed"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (413, "too_large"),
    (415, "unsupported_media_type"),
    (429, "rate_limited"),
    (500, "internal"),
    (503, "unavailable"),
)
"""Failures that say nothing of a token: whoever took them for `expired` would refresh in vain, for `over` sign out."""


def refuse_unservable(dialect: Dialect) -> None:
    """
    For a server or a guard that is to speak this dialect.

    Raises:
        Contradiction: There is no sign-in or no refresh, a call is elsewhere, what has to be said has no words, or
            a client would misunderstand it.
    """
    for name, call in (("/login", dialect.login), ("/refresh", dialect.refresh)):
        if call is None:
            raise Contradiction(name, "is missing: a server needs a sign-in and a refresh")
    _refuse_elsewhere(dialect)
    refuse_unspeakable(dialect)
    _refuse_unspeakable_at_the_refresh(dialect)
    if dialect.tokens.refresh_token is None and not dialect.is_by_cookie:
        raise Contradiction("/tokens/refresh_token", "is missing: the sign-in would hand out none")
    _refuse_gaps(dialect)


def _refuse_elsewhere(dialect: Dialect) -> None:
    urls = [(f"{name}/url", call.url) for name, call in calls(dialect)]
    if dialect.csrf is not None and dialect.csrf.url is not None:
        urls.append(("/csrf/url", dialect.csrf.url))
    for at, url in urls:
        if not url.startswith("/") or "?" in url or "%" in url:
            raise Contradiction(at, "must be a plain path: a server serves no other origin, and no query")


def _refuse_unspeakable_at_the_refresh(dialect: Dialect) -> None:
    if not dialect.refresh_over:
        raise Contradiction("/refresh_over", "is empty: a server could not say that a session has ended")
    if dialect.failure is None and any(
        dialect.refresh_verdict(*_problem(code)) != "over" for code in ("session_over", "token_invalid")
    ):
        raise Contradiction("/failure", "is missing: no client would take a problem (RFC 9457) for refresh_over")
    for status, code in _OTHERS:
        said = dialect.refresh_verdict(*_other(dialect, status, code))
        if said != "accepted":
            place = "/stale" if said == "stale" else "/refresh_over"
            raise Contradiction(place, f"{code} ({status}) would be taken for {said}: tell the two apart by a code")


def refuse_unspeakable(dialect: Dialect) -> None:
    """
    For a guard, which only refuses.

    Raises:
        Contradiction: It could not say that an access token is not good, or where to say it is beyond an array's end.
    """
    if not dialect.expired:
        raise Contradiction("/expired", "is empty: a guard could not say that an access token is not good")
    if dialect.failure is None and any(
        dialect.verdict(*_problem(code)) != "expired" for code in ("token_expired", "token_invalid")
    ):
        raise Contradiction("/failure", "is missing: no client would take a problem (RFC 9457) for expired")
    for name in ("expired", "over", "refresh_over", "stale"):
        for rule in getattr(dialect, name)[:1]:
            try:
                failure_document(dialect, rule, status=401, message="", code="", reason="")
            except NoSuchPlace as error:
                raise Contradiction(f"/{name}/0", f"{error} leads beyond the end of an array") from None
    for status, code in _OTHERS:
        said = dialect.verdict(*_other(dialect, status, code))
        if said != "accepted":
            raise Contradiction(
                f"/{said}", f"{code} ({status}) would be taken for {said}: tell the two apart by a code"
            )


def _problem(code: str, status: int = 401) -> tuple[int, dict[str, Any]]:
    """What a server says where the dialect has no words of its own, as far as clients look at it."""
    return status, {"type": f"urn:evertoken:problem:{code}", "status": status, "code": code}


def _other(dialect: Dialect, status: int, code: str) -> tuple[int, Any]:
    """A failure that says nothing of a token, as a server writes it."""
    if dialect.failure is None:
        return _problem(code, status)
    return failure_document(dialect, None, status=other_status(dialect, status), message="", code=code)


def _refuse_gaps(dialect: Dialect) -> None:
    document = success_document(dialect, []) or None
    for name in dialect.tokens.__slots__:
        place = getattr(dialect.tokens, name)
        if place is None:
            continue
        if not parse(place):
            raise Contradiction(f"/tokens/{name}", "is the whole answer: nothing else could be said in it")
        try:
            document = put(document, place, "")
        except NoSuchPlace:
            raise Contradiction(f"/tokens/{name}", "leads beyond the end of an array") from None
