"""
A Django project in one file that lets in whoever has signed in at an evertoken server elsewhere.

    pip install 'evertoken[guard,django]' djangorestframework
    evertoken clients add orders          # at the server: prints the client's id and secret, once

    export ISSUER=http://127.0.0.1:8000 CLIENT_ID=orders CLIENT_SECRET=ecs_...
    python django_app.py check
    python django_app.py runserver 8001   # or: uvicorn django_app:asgi, gunicorn django_app:wsgi

    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8001/orders
"""

import os
import sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "for-development-only"),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "evertoken.guards.django",  # manage.py check looks at EVERTOKEN
    ],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "evertoken.guards.django.GuardMiddleware",  # in front of everything that is not PUBLIC
    ],
    EVERTOKEN={
        "ISSUER": os.environ["ISSUER"],
        "AUDIENCE": os.environ.get("AUDIENCE", os.environ["ISSUER"]),
        "CLIENT_ID": os.environ["CLIENT_ID"],
        "CLIENT_SECRET": os.environ["CLIENT_SECRET"],
        "PUBLIC": ["/healthz"],
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["evertoken.guards.django.rest_framework.AccessTokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 - these need the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from evertoken.guards.django import guarded  # noqa: E402
from evertoken.guards.django.rest_framework import HasRole  # noqa: E402


def healthz(request):
    return JsonResponse({"ok": True})


def orders(request):
    return JsonResponse({"orders of": request.evertoken.sub})


@guarded(roles=["admin"])
async def all_orders(request):
    return JsonResponse({"seen by": request.evertoken.sub})


class Reports(APIView):
    def get(self, request):
        return Response({"reports for": request.user.username})


class AdminReports(APIView):
    permission_classes = [HasRole.any_of("admin")]

    def get(self, request):
        return Response({"seen by": request.auth.sub})


urlpatterns = [
    path("healthz", healthz),
    path("orders", orders),
    path("admin/orders", all_orders),
    path("api/reports", Reports.as_view()),
    path("api/admin/reports", AdminReports.as_view()),
]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
else:
    wsgi, asgi = get_wsgi_application(), get_asgi_application()
