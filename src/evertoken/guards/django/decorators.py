"""`@guarded`, for functions, async functions and class-based views."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.views import View

from evertoken.guards.django.passing import let_out, refusal, refusal_async

_View = TypeVar("_View", bound=Callable[..., Any])


@overload
def guarded(view: _View) -> _View: ...


@overload
def guarded(*, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> Callable[[_View], _View]: ...


def guarded(
    view: _View | None = None, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()
) -> _View | Callable[[_View], _View]:
    """
    Let only those reach a view who hold a good access token, and put its claims onto `request.evertoken`.

    It goes on functions, async functions, classes, and with Django's `method_decorator` on `dispatch`. A refusal is a
    problem (RFC 9457) with its challenge, whatever the application's handler403 and others say. The view is exempt
    from Django's CSRF check: no browser adds an Authorization header by itself.

    Args:
        scopes: Every one of these is demanded.
        roles: At least one of these is demanded.
    """
    if view is None:
        return functools.partial(guarded, scopes=scopes, roles=roles)
    if isinstance(view, type):
        return cast("_View", _class(view, scopes, roles))
    around = _around_async if _is_async(view) else _around
    wrapped = around(view, scopes, roles)
    wrapped.csrf_exempt = True  # type: ignore[attr-defined]
    return cast("_View", wrapped)


def _around(view: Callable[..., Any], scopes: Sequence[str], roles: Sequence[str]) -> Callable[..., Any]:
    @functools.wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = refusal(request, scopes=scopes, roles=roles)
        return let_out(view(request, *args, **kwargs)) if refused is None else refused

    return inner


def _around_async(view: Callable[..., Any], scopes: Sequence[str], roles: Sequence[str]) -> Callable[..., Any]:
    @functools.wraps(view)
    async def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await refusal_async(request, scopes=scopes, roles=roles)
        return let_out(await view(request, *args, **kwargs)) if refused is None else refused

    return inner


def _class(view: Any, scopes: Sequence[str], roles: Sequence[str]) -> Any:
    if not issubclass(view, View):
        raise TypeError(f"{view!r} is no view of Django's: @guarded goes on a function or a class-based view")
    dispatch: Callable[..., Any] = view.dispatch

    @functools.wraps(dispatch)
    def guarded_dispatch(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        bound = functools.partial(dispatch, self)
        around = _around_async if type(self).view_is_async else _around
        return around(functools.wraps(dispatch)(bound), scopes, roles)(request, *args, **kwargs)

    guarded_dispatch.csrf_exempt = True  # type: ignore[attr-defined]  # as_view takes it from dispatch
    view.dispatch = guarded_dispatch
    return view


def _is_async(view: Callable[..., Any]) -> bool:
    """Whether the view's answer is awaited; for `method_decorator`, which binds `dispatch`, its class knows."""
    if iscoroutinefunction(view):
        return True
    bound = getattr(view, "func", None) if isinstance(view, functools.partial) else view
    owner = getattr(bound, "__self__", None)
    return isinstance(owner, View) and bool(type(owner).view_is_async)
