"""A Django project in this process: its settings once, its routes and middleware as each test wants them."""

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import django
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test.utils import override_settings
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from tests.frameworks.compliance.bench import HANDLED, PAGE, Stage
from tests.frameworks.wsgi_serving import serving_wsgi
from tests.guards.serving import serving

HERE: Final = "tests.frameworks.wsgi_django_project"
GUARD: Final = "evertoken.guards.django.GuardMiddleware"
USUAL: Final = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    f"{HERE}.cors",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)

urlpatterns: Final[list[Any]] = []
"""The routes where no test says otherwise."""

if not settings.configured:
    settings.configure(
        SECRET_KEY="of-the-tests",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "evertoken.guards.django",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        LOGGING_CONFIG=None,
        USE_TZ=True,
        ROOT_URLCONF=HERE,
    )
    django.setup()


@sync_and_async_middleware  # type: ignore[untyped-decorator]  # Django has no types
def cors(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A page elsewhere may call the application; preflights are answered here, as django-cors-headers does it."""

    def allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.headers.get("Origin") == PAGE:
            response.headers["Access-Control-Allow-Origin"] = PAGE
            response.headers["Access-Control-Allow-Headers"] = "authorization"
            response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
        return response

    def is_preflight(request: HttpRequest) -> bool:
        return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers

    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return allowed(request, HttpResponse() if is_preflight(request) else await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return allowed(request, HttpResponse() if is_preflight(request) else get_response(request))

    return answer


def handled(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """The application's own handler of every error."""
    return JsonResponse({"handled": True}, status=HANDLED)


def opened(request: HttpRequest) -> HttpResponse:
    """GET /open."""
    return JsonResponse({"open": True})


def exception_handler(error: Exception, context: object) -> Any:
    """The application's own handler of Django REST framework's errors; the rest becomes a 500 of Django's."""
    from rest_framework.exceptions import APIException
    from rest_framework.response import Response

    return Response({"handled": True}, status=HANDLED) if isinstance(error, APIException) else None


@contextlib.contextmanager
def project(
    stage: Stage, views: dict[str, Callable[..., Any]], *, middleware: tuple[str, ...] = USUAL, **evertoken: Any
) -> Iterator[None]:
    """The project's settings, with these views by their paths."""
    routes = ModuleType(f"{HERE}.routes")
    routes.__dict__.update(
        urlpatterns=[path(place.removeprefix("/"), view) for place, view in views.items()],
        handler400=handled,
        handler403=handled,
        handler404=handled,
        handler500=handled,
    )
    told = {"GUARD": stage.guard, "CLOCK": stage.clock, **evertoken}
    framework = {"EXCEPTION_HANDLER": f"{HERE}.exception_handler"}
    with override_settings(ROOT_URLCONF=routes, MIDDLEWARE=middleware, EVERTOKEN=told, REST_FRAMEWORK=framework):
        yield


@contextlib.contextmanager
def over_wsgi() -> Iterator[str]:
    """Serve the project with threads."""
    with serving_wsgi(get_wsgi_application()) as url:
        yield url


@contextlib.contextmanager
def over_asgi() -> Iterator[str]:
    """Serve the project with uvicorn."""
    with serving(get_asgi_application()) as url:
        yield url
