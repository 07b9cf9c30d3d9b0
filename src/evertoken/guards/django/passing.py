"""A request of Django's before the guard: who it is, and what goes onto the request."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from evertoken.guards.django.configuration import Configured, configured
from evertoken.guards.django.users import user_of, user_of_async
from evertoken.guards.judging import Refusal, demanded
from evertoken.guards.one_header import judged, judged_async
from evertoken.guards.speech import Speech
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import problems


def refusal(request: HttpRequest, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> HttpResponse | None:
    """
    Let the request in, with its claims and its user on it, and return None; or the answer that says why not.

    Args:
        scopes: Every one of these is demanded.
        roles: At least one of these.
    """
    known = configured()
    try:
        claims = judged(*credentials(request, known.speech), known.guard, now_ms=known.clock())
        passed = demanded(claims, scopes=scopes, roles=roles, speech=known.speech)
        user = None if known.get_user is None else user_of(passed, known.get_user)
    except Refusal as refused:
        return problem_response(refused.problem, known.speech)
    _let_in(request, passed, user, known)
    return None


async def refusal_async(
    request: HttpRequest, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()
) -> HttpResponse | None:
    """As `refusal`, without blocking the event loop."""
    known = configured()
    try:
        claims = await judged_async(*credentials(request, known.speech), known.guard, now_ms=known.clock())
        passed = demanded(claims, scopes=scopes, roles=roles, speech=known.speech)
        user = None if known.get_user is None else await user_of_async(passed, known.get_user)
    except Refusal as refused:
        return problem_response(refused.problem, known.speech)
    _let_in(request, passed, user, known)
    return None


def let_out(response: Any) -> Any:
    """The answer of a view that was let in, marked for caches: Django's own would give it to the next caller."""
    if isinstance(response, HttpResponseBase):
        patch_vary_headers(response, (configured().speech.header,))
    return response


def credentials(request: HttpRequest, speech: Speech) -> tuple[str | None, str]:
    """The token's header, several joined with commas as Django and WSGI servers do, and the query."""
    return request.META.get(speech.environ_key), request.META.get("QUERY_STRING", "")


def problem_response(problem: problems.ProblemAnswer, speech: Speech) -> HttpResponse:
    """A problem as Django's response."""
    answer = speech.answer(problem)
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def _let_in(request: HttpRequest, claims: AccessTokenClaims, user: Any, known: Configured) -> None:
    request.evertoken = claims
    if known.get_user is None:
        return
    request.user = user

    async def auser() -> Any:
        return user

    request.auser = auser
