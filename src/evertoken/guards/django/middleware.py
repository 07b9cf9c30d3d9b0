"""The guard as Django middleware, in front of every path that is not public."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from evertoken.errors import ConfigurationError
from evertoken.guards.django.configuration import configured
from evertoken.guards.django.passing import let_out, refusal, refusal_async


class GuardMiddleware:
    """
    Lets a request pass only with a good access token; its claims are `request.evertoken`, None on public paths.

    PUBLIC, SCOPES and ROLES of the setting EVERTOKEN say what is open and what is demanded. It belongs after
    AuthenticationMiddleware, where GET_USER is set, and after what answers preflights (CORS). Requests that it lets in
    need no CSRF token: no browser adds an Authorization header by itself.

    Raises:
        ImproperlyConfigured: At start; the message names the setting.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        try:
            configured()
        except ConfigurationError as error:
            raise ImproperlyConfigured(str(error)) from error
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The application's answer, or the guard's."""
        if self._is_async:
            return self._answer_async(request)
        known = configured()
        # By the path that Django resolves, without the prefix of the deployment.
        if known.public.have(request.path_info):
            request.evertoken = None
            return self.get_response(request)
        refused = refusal(request, scopes=known.scopes, roles=known.roles)
        if refused is not None:
            return refused
        _excuse_from_csrf(request)
        return let_out(self.get_response(request))

    async def _answer_async(self, request: HttpRequest) -> Any:
        known = configured()
        get_response: Callable[[HttpRequest], Awaitable[Any]] = self.get_response
        # By the path that Django resolves, without the prefix of the deployment.
        if known.public.have(request.path_info):
            request.evertoken = None
            return await get_response(request)
        refused = await refusal_async(request, scopes=known.scopes, roles=known.roles)
        if refused is not None:
            return refused
        _excuse_from_csrf(request)
        return let_out(await get_response(request))


def _excuse_from_csrf(request: HttpRequest) -> None:
    # As Django's own test client and Django REST framework do; the view is not known yet, so it cannot be exempted.
    request._dont_enforce_csrf_checks = True  # noqa: SLF001
