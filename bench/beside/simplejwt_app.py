"""
djangorestframework-simplejwt with rotation and blacklist, as its documentation has it.

It runs in an environment of its own, under gunicorn or granian. BENCH_DATABASE is sqlite:///path or postgresql://...;
`python -m bench.beside.simplejwt_app USERS` makes the tables and so many users. The project is lean: of Django's own
middleware only CommonMiddleware, one connection kept for each thread.

Source: https://django-rest-framework-simplejwt.readthedocs.io/en/stable/settings.html and blacklist_app.html
"""

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

PASSWORD = "correct-horse-battery"
_SECRET = "of-the-bench-and-of-nothing-else-at-all"

urlpatterns: list[Any] = []


def _database(url: str) -> dict[str, Any]:
    # ATOMIC_REQUESTS: a refresh is then one transaction, and one commit, in place of three. It is off by default; on,
    # it is faster and keeps the blacklist whole.
    shared = {"CONN_MAX_AGE": None, "ATOMIC_REQUESTS": os.environ.get("BENCH_ATOMIC") == "1"}
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        options = {"init_command": pragmas, "transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, "OPTIONS": options, **shared}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "NAME": parts.path.lstrip("/"),
        **shared,
    }


settings.configure(
    SECRET_KEY=_SECRET,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": _database(os.environ["BENCH_DATABASE"])},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # a sign-in is not what is measured
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    },
    SIMPLE_JWT={"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True, "ALGORITHM": "HS256"},
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.db import connection  # noqa: E402 - they need the settings
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView  # noqa: E402


def durable(_request: HttpRequest) -> JsonResponse:
    """What the database says of the connection that serves."""
    asked = "PRAGMA synchronous" if connection.vendor == "sqlite" else "SHOW synchronous_commit"
    with connection.cursor() as cursor:
        cursor.execute(asked)
        return JsonResponse({"durable": str(cursor.fetchone()[0])})


urlpatterns += [
    path("token", TokenObtainPairView.as_view()),
    path("refresh", TokenRefreshView.as_view()),
    path("durable", durable),
]
application = get_wsgi_application()


def _prepare(users: int) -> None:
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    for number in range(users):
        get_user_model().objects.create_user(f"user{number}", password=PASSWORD)


if __name__ == "__main__":
    _prepare(int(sys.argv[1]))
