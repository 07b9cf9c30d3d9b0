"""What `manage.py check` says of the setting EVERTOKEN, before a request does."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from evertoken.errors import ConfigurationError
from evertoken.guards.django.configuration import SETTING, configuration_of

MIDDLEWARE = "evertoken.guards.django.GuardMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def check_settings(app_configs: object = None, **_: object) -> list[CheckMessage]:
    """
    Errors and warnings about EVERTOKEN and the place of its middleware; nothing is fetched and no guard started.

    E001: a setting is missing or wrong. W001: ended sessions stay unheard of. W002: a user found by GET_USER would be
    overwritten.
    """
    del app_configs
    given = getattr(settings, SETTING, None)
    found: list[CheckMessage] = []
    try:
        configuration_of(given)
    except ConfigurationError as error:
        found.append(Error(str(error), hint="See docs/frameworks.md of evertoken.", id="evertoken.E001"))
    if isinstance(given, Mapping):
        found.extend(_warnings(given))
    return found


def _warnings(given: Mapping[str, Any]) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if given.get("GUARD") is None and not given.get("CLIENT_ID"):
        found.append(
            CheckWarning(
                "EVERTOKEN has no CLIENT_ID and CLIENT_SECRET: tokens are verified, but a session that was ended goes"
                " on here until its access token expires",
                hint="Make a credential with: evertoken clients add NAME",
                id="evertoken.W001",
            )
        )
    middleware = list(settings.MIDDLEWARE)
    has_both = given.get("GET_USER") and MIDDLEWARE in middleware and AUTHENTICATION in middleware
    if has_both and middleware.index(MIDDLEWARE) < middleware.index(AUTHENTICATION):
        found.append(
            CheckWarning(
                "AuthenticationMiddleware comes after evertoken's GuardMiddleware and overwrites request.user",
                hint=f"Put {MIDDLEWARE!r} below {AUTHENTICATION!r} in MIDDLEWARE.",
                id="evertoken.W002",
            )
        )
    return found
