"""Applications of Django and Django REST framework, guarded as their users write it, for the compliance suite."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.frameworks.compliance.bench import Bench, Stage
from tests.frameworks.wsgi_django_project import GUARD, USUAL, opened, over_asgi, over_wsgi, project

# isort: split
from django.http import HttpRequest, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from evertoken.guards.django import guarded
from evertoken.guards.django.rest_framework import AccessTokenAuthentication, HasRole, HasScope


class MiddlewareBench(Bench):
    """`GuardMiddleware` in front of everything but /open, over WSGI; rights by the decorator."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        def whole(request: HttpRequest) -> JsonResponse:
            return JsonResponse(stage.answer(request.evertoken))

        def failing(request: HttpRequest) -> JsonResponse:
            raise RuntimeError("of the application")

        class Admin(View):  # type: ignore[misc]  # Django has no types
            @method_decorator(guarded(roles=["admin", "owner"]))  # type: ignore[untyped-decorator]
            def get(self, request: HttpRequest) -> JsonResponse:
                return JsonResponse(stage.answer(request.evertoken))

        views = {
            "/open": opened,
            "/guarded": whole,
            "/failing": failing,
            "/admin": Admin.as_view(),
            "/scoped": guarded(scopes=["read", "write"])(whole),
        }
        with project(stage, views, middleware=(*USUAL, GUARD), PUBLIC=["/open"]), over_wsgi() as url:
            yield url


class AsyncMiddlewareBench(Bench):
    """The same over ASGI, where middleware and views are async."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        async def whole(request: HttpRequest) -> JsonResponse:
            return JsonResponse(stage.answer(request.evertoken))

        async def failing(request: HttpRequest) -> JsonResponse:
            raise RuntimeError("of the application")

        @method_decorator(guarded(roles=["admin", "owner"]), name="dispatch")
        class Admin(View):  # type: ignore[misc]
            async def get(self, request: HttpRequest) -> JsonResponse:
                return JsonResponse(stage.answer(request.evertoken))

        views = {
            "/open": opened,
            "/guarded": whole,
            "/failing": failing,
            "/admin": Admin.as_view(),
            "/scoped": guarded(scopes=["read", "write"])(whole),
        }
        with project(stage, views, middleware=(*USUAL, GUARD), PUBLIC=["/open"]), over_asgi() as url:
            yield url


class DecoratorBench(Bench):
    """`@guarded` alone, on functions and classes, plain and async, over WSGI."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        @guarded
        class Whole(View):  # type: ignore[misc]
            def get(self, request: HttpRequest) -> JsonResponse:
                return JsonResponse(stage.answer(request.evertoken))

            def post(self, request: HttpRequest) -> JsonResponse:
                return JsonResponse(stage.answer(request.evertoken))

        @guarded(roles=["admin", "owner"])
        class Admin(View):  # type: ignore[misc]
            async def get(self, request: HttpRequest) -> JsonResponse:
                return JsonResponse(stage.answer(request.evertoken))

        @guarded(scopes=["read", "write"])
        def scoped(request: HttpRequest) -> JsonResponse:
            return JsonResponse(stage.answer(request.evertoken))

        @guarded
        async def failing(request: HttpRequest) -> JsonResponse:
            raise RuntimeError("of the application")

        views = {
            "/open": opened,
            "/guarded": Whole.as_view(),
            "/admin": Admin.as_view(),
            "/scoped": scoped,
            "/failing": failing,
        }
        with project(stage, views), over_wsgi() as url:
            yield url


class RestFrameworkBench(Bench):
    """The authentication and permission classes of Django REST framework."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        class Guarded(APIView):  # type: ignore[misc]
            authentication_classes = (AccessTokenAuthentication,)
            permission_classes: tuple[Any, ...] = (IsAuthenticated,)

            def get(self, request: Request) -> Response:
                return Response(stage.answer(request.auth))

        class Whole(Guarded):
            def post(self, request: Request) -> Response:
                return Response(stage.answer(request.auth))

        class Admin(Guarded):
            permission_classes = (HasRole.any_of("admin", "owner"),)

        class Scoped(Guarded):
            permission_classes = (HasScope,)
            required_scopes = ("read", "write")

        class Failing(Guarded):
            def get(self, request: Request) -> Response:
                raise RuntimeError("of the application")

        @api_view(["GET"])  # type: ignore[untyped-decorator]
        @authentication_classes([AccessTokenAuthentication])  # type: ignore[untyped-decorator]
        @permission_classes([AllowAny])  # type: ignore[untyped-decorator]
        def anybody(request: Request) -> Response:
            return Response({"open": True})

        views = {
            "/open": anybody,
            "/guarded": Whole.as_view(),
            "/admin": Admin.as_view(),
            "/scoped": Scoped.as_view(),
            "/failing": Failing.as_view(),
        }
        with project(stage, views), over_wsgi() as url:
            yield url
