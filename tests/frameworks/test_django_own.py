"""What Django's guard does beyond the suite: users, public paths, rights, CSRF, caches, classes of views."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.frameworks.compliance.bench import Stage
from tests.frameworks.wsgi_django_project import GUARD, USUAL, opened, over_asgi, over_wsgi, project
from tests.support.one_server import http, live
from tests.support.server import LiveServer

# isort: split
from django.core.cache import caches
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page

from evertoken.guards.django import guarded
from tests.edge.attacking import bearer, forged, get, send
from tests.edge.attacking import request as raw_request

__all__ = ["http", "live"]


def whoami(request: HttpRequest) -> JsonResponse:
    claims, user = request.evertoken, request.user
    return JsonResponse({"sub": claims and claims.sub, "user": user.username, "known": user.is_authenticated})


async def whoami_async(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    return JsonResponse({"sub": request.evertoken.sub, "user": user.username, "known": user.is_authenticated})


def bearing(live: LiveServer, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {forged(live, payload=claims)}"}


@pytest.fixture
def stage(live: LiveServer) -> Stage:
    return Stage(live.server.guard, live.clock)


PEOPLE = {
    "u_ada": SimpleNamespace(username="ada", is_authenticated=True, is_active=True),
    "u_old": SimpleNamespace(username="old", is_authenticated=True, is_active=False),
}


def find(claims: Any) -> Any:
    """As with Django's models: it may block, and must not run on an event loop."""
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    return PEOPLE.get(claims.sub)


async def find_async(claims: Any) -> Any:
    await asyncio.sleep(0)
    return PEOPLE.get(claims.sub)


@pytest.mark.parametrize("hook", [find, find_async])
@pytest.mark.parametrize("over", [over_wsgi, over_asgi])
@pytest.mark.parametrize("view", [whoami, whoami_async])
def test_the_user_of_a_token_is_the_applications_own(
    live: LiveServer, stage: Stage, hook: Any, over: Any, view: Any
) -> None:
    """GET_USER, plain or async, gives `request.user`, in plain and async views, over WSGI and ASGI."""
    views: dict[str, Any] = {"/middleware": view, "/decorated": guarded(view)}
    with project(stage, views, middleware=(*USUAL, GUARD), GET_USER=hook), over() as url:
        for path in views:
            answer = get(url, path, bearer(forged(live)))
            assert answer.json() == {"sub": "u_ada", "user": "ada", "known": True}
            for sub in ("u_old", "u_nobody"):
                refused = get(url, path, bearer(forged(live, payload={"sub": sub})))
                assert (refused.status, refused.code) == (403, "insufficient_rights")
                assert "insufficient_scope" in refused.one("WWW-Authenticate")


def test_without_the_hook_the_user_stays_as_it_was(live: LiveServer, stage: Stage) -> None:
    """Claims are enough for most services: `request.user` is Django's AnonymousUser then."""
    with project(stage, {"/whoami": guarded(whoami)}):
        answer = Client().get("/whoami", headers=bearing(live))
    assert answer.json() == {"sub": "u_ada", "user": "", "known": False}


# ---- paths, rights, CSRF ----


def test_public_paths_are_open_and_nothing_climbs_out_of_them(live: LiveServer, stage: Stage) -> None:
    """What PUBLIC names needs no token and has no claims; other spellings, and paths that climb, are guarded."""
    views: dict[str, Any] = {"/open": whoami, "/files/<path:rest>": lambda request, rest: opened(request)}
    with project(stage, views, middleware=(*USUAL, GUARD), PUBLIC=["/open", "/files/"]), over_wsgi() as url:
        for shown in ((), (bearer("x"),), (bearer(forged(live)),)):
            assert get(url, "/open", *shown).json() == {"sub": None, "user": "", "known": False}
        for path in ("/files/a", "/files/a/b..c", "/%6Fpen", "/open?x=1"):
            assert get(url, path).status == 200, path
        for path in ("/files/../secret", "/files/%2e%2e/secret", "/files", "/open/", "/OPEN", "/", "/nowhere"):
            assert get(url, path).status == 401, path


def test_the_middleware_demands_rights_of_everything(live: LiveServer, stage: Stage) -> None:
    """SCOPES and ROLES stand before every path that is not public."""
    rights = {"ROLES": ["admin"], "SCOPES": ["read"]}
    for over in (over_wsgi, over_asgi):
        with project(stage, {"/whoami": whoami}, middleware=(*USUAL, GUARD), **rights), over() as url:
            for claims, status in (
                ({"roles": ["admin"], "scope": "read"}, 200),
                ({"roles": ["admin"], "scope": ""}, 403),
                ({"roles": [], "scope": "read"}, 403),
            ):
                assert get(url, "/whoami", bearer(forged(live, payload=claims))).status == status


def test_a_post_with_a_token_needs_no_csrf_token(live: LiveServer, stage: Stage) -> None:
    """No browser adds an Authorization header by itself; what is public, or has no guard, is protected as before."""
    views = {"/guarded": guarded(whoami), "/plain": whoami, "/open": whoami, "/class": _Class.as_view()}
    token = bearer(forged(live))
    with project(stage, views), over_wsgi() as url:
        assert send(url, raw_request("POST", "/guarded", token)).status == 200
        assert send(url, raw_request("POST", "/class", token)).status == 200
        assert send(url, raw_request("POST", "/plain", token)).status == 403
    with project(stage, views, middleware=(*USUAL, GUARD), PUBLIC=["/open"]), over_wsgi() as url:
        assert send(url, raw_request("POST", "/plain", token)).status == 200
        assert send(url, raw_request("POST", "/open", token)).status == 403


@guarded
class _Class(View):  # type: ignore[misc]  # Django has no types
    def post(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"sub": request.evertoken.sub})


def test_a_class_whose_views_are_async_is_refused_and_let_in(live: LiveServer, stage: Stage) -> None:
    """An answer of the guard is awaited where the view's own would be: directly, and through `method_decorator`."""

    class Async(View):  # type: ignore[misc]
        async def get(self, request: HttpRequest) -> JsonResponse:
            return JsonResponse({"sub": request.evertoken.sub})

    direct: Any = guarded(roles=["admin"])(type("A", (Async,), {}))
    on_dispatch = method_decorator(guarded(roles=["admin"]), name="dispatch")
    on_method = method_decorator(guarded(roles=["admin"]), name="get")
    views = {
        "/direct": direct.as_view(),
        "/dispatch": on_dispatch(type("B", (Async,), {})).as_view(),
        "/method": on_method(type("C", (Async,), {})).as_view(),
    }
    for over in (over_wsgi, over_asgi):
        with project(stage, views), over() as url:
            for path in views:
                assert get(url, path).status == 401, path
                assert get(url, path, bearer(forged(live, payload={"roles": []}))).status == 403
                assert get(url, path, bearer(forged(live, payload={"roles": ["admin"]}))).json() == {"sub": "u_ada"}


@pytest.mark.parametrize("over", [over_wsgi, over_asgi])
@pytest.mark.parametrize("view", [whoami, whoami_async])
def test_what_a_guard_let_in_varies_by_authorization(live: LiveServer, stage: Stage, over: Any, view: Any) -> None:
    """Caches are told not to hand one caller's answer to the next; older Djangos' own would. Open pages stay."""
    views: dict[str, Any] = {"/mine": view, "/guarded": guarded(view), "/open": opened}
    token = bearer(forged(live))
    with project(stage, views), over() as url:
        assert "Authorization" in get(url, "/guarded", token).one("Vary")
    with project(stage, views, middleware=(*USUAL, GUARD), PUBLIC=["/open"]), over() as url:
        assert "Authorization" in get(url, "/mine", token).one("Vary")
        assert not any("Authorization" in value for value in get(url, "/open", token).all("Vary"))


@pytest.mark.parametrize("over", [over_wsgi, over_asgi])
def test_djangos_own_cache_gives_nobody_anothers_answer(live: LiveServer, stage: Stage, over: Any) -> None:
    """Answers vary by Authorization: with the cache middleware, each caller is cached apart and none gets in by it."""
    within = (
        "django.middleware.cache.UpdateCacheMiddleware",
        *USUAL,
        GUARD,
        "django.middleware.cache.FetchFromCacheMiddleware",
    )
    ran: list[str] = []

    def mine(request: HttpRequest) -> JsonResponse:
        ran.append(request.evertoken.sub)
        return JsonResponse({"sub": request.evertoken.sub})

    ada, bob = bearer(forged(live)), bearer(forged(live, payload={"sub": "u_bob"}))
    cases: list[tuple[tuple[str, ...], Any]] = [(within, mine), (USUAL, cache_page(60)(guarded(mine)))]
    for middleware, view in cases:
        caches["default"].clear()
        with project(stage, {"/mine": view}, middleware=middleware), over() as url:
            for _ in range(2):
                assert get(url, "/mine", ada).json() == {"sub": "u_ada"}
                assert get(url, "/mine", bob).json() == {"sub": "u_bob"}
                assert get(url, "/mine").status == 401
            assert "Authorization" in get(url, "/mine", ada).one("Vary")
    assert ran == ["u_ada", "u_bob"] * 2  # the second time from the cache


def test_only_views_can_be_guarded() -> None:
    """A class that is no view is a mistake that is told where it is made."""
    with pytest.raises(TypeError, match="no view of Django's"):
        guarded(SimpleNamespace)
