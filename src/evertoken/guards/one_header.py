"""The guard where a framework hands over the token's header as one text (WSGI, Django): sync and async."""

from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import refusing
from evertoken.guards.speech import Speech, speech_of
from evertoken.tokens.claims import AccessTokenClaims


def judged(authorization: str | None, query: str, guard: ChecksAccess, *, now_ms: int) -> AccessTokenClaims | None:
    """
    The claims of a request's access token; None where it brought none. For threads: a guard elsewhere may block.

    Args:
        authorization: The header of the guard's dialect, each character a byte of it (PEP 3333). Servers join several
            with a comma, and what follows one token then is misplaced.
        query: Of the URL, as it came.
        now_ms: Current time.

    Raises:
        Refusal: The token is bad (401), misplaced (400), or cannot be judged now (503).

    Source: RFC 6750 §2 and §3.
    """
    if authorization is None:
        return None
    claims = _recalled(authorization, query, guard, now_ms)
    if claims is not None:
        return claims
    speech = speech_of(guard)
    with refusing(speech):
        token = _token(authorization, query, speech)
        return None if token is None else guard.check(token, now_ms=now_ms)


async def judged_async(
    authorization: str | None, query: str, guard: ChecksAccess, *, now_ms: int
) -> AccessTokenClaims | None:
    """As `judged`, without blocking the event loop."""
    if authorization is None:
        return None
    claims = _recalled(authorization, query, guard, now_ms)
    if claims is not None:
        return claims
    speech = speech_of(guard)
    with refusing(speech):
        token = _token(authorization, query, speech)
        return None if token is None else await guard.check_async(token, now_ms=now_ms)


def _recalled(authorization: str, query: str, guard: ChecksAccess, now_ms: int) -> AccessTokenClaims | None:
    """As nearly every request comes: with a token that was seen before. Most of the work was done then."""
    if query and "access_token" in query:
        return None
    return guard.recall(authorization.encode("latin-1", "replace"), now_ms=now_ms)


def _token(authorization: str, query: str, speech: Speech) -> str | None:
    return speech.token([authorization], query=query.encode("utf-8", "replace"))
