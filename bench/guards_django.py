"""
Django and Django REST framework in one project: one route of each, open, guarded, and behind simplejwt.

The project is small, which makes what a guard adds look large: of Django's own middleware only CommonMiddleware, and
a database in memory.
"""

import os
from collections.abc import Sequence
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from bench.guards_server import Routes
from bench.guards_wsgi import Inline
from evertoken.guards.access_check import AccessCheck

urlpatterns: list[Any] = []


async def routes(guard: AccessCheck) -> Routes:
    """As docs and examples have it."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # WSGI in an event loop that has nothing else to do
    settings.configure(
        SECRET_KEY="of-the-bench-and-of-nothing-else-at-all",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
        EVERTOKEN={"GUARD": guard},
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()
    urlpatterns.extend(_ours())
    # It has models of Django's behind it, which need the settings.
    from bench.peers import simplejwt_guard  # noqa: PLC0415

    view, tokens = simplejwt_guard.view()
    urlpatterns.append(path("peer", view))
    project = Inline(get_wsgi_application())
    paths = ("/plain", "/guarded", "/drf/plain", "/drf/guarded", "/peer")
    return Routes(dict.fromkeys(paths, project), tokens)


def _ours() -> list[Any]:
    from rest_framework.permissions import IsAuthenticated  # noqa: PLC0415
    from rest_framework.request import Request  # noqa: PLC0415
    from rest_framework.response import Response  # noqa: PLC0415
    from rest_framework.views import APIView  # noqa: PLC0415

    from evertoken.guards.django import guarded  # noqa: PLC0415
    from evertoken.guards.django.rest_framework import AccessTokenAuthentication  # noqa: PLC0415

    def plain(_request: HttpRequest) -> JsonResponse:
        return JsonResponse({"hello": "world"})

    @guarded
    def behind(request: HttpRequest) -> JsonResponse:
        del request
        return JsonResponse({"hello": "world"})

    class Plain(APIView):  # type: ignore[misc]  # Django REST framework has no types
        authentication_classes: Sequence[Any] = ()
        permission_classes: Sequence[Any] = ()

        def get(self, _request: Request) -> Response:
            return Response({"hello": "world"})

    class Guarded(Plain):
        authentication_classes = (AccessTokenAuthentication,)
        permission_classes = (IsAuthenticated,)

    return [
        path("plain", plain),
        path("guarded", behind),
        path("drf/plain", Plain.as_view()),
        path("drf/guarded", Guarded.as_view()),
    ]
