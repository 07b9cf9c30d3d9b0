"""The setting EVERTOKEN, and the one guard of this process that is made from it."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from evertoken.clock import Clock, system_clock
from evertoken.dialects import DialectError
from evertoken.errors import ConfigurationError
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import PublicPlaces
from evertoken.guards.remote.guard import Guard
from evertoken.guards.speech import Speech, speech_of
from evertoken.tokens.claims import AccessTokenClaims

SETTING: Final = "EVERTOKEN"

GetUser = Callable[[AccessTokenClaims], Any]
"""Gives the Django user that a token belongs to, or None. It may be async."""

OF_THE_GUARD: Final[Mapping[str, str]] = {
    "ISSUER": "issuer",
    "AUDIENCE": "audience",
    "CLIENT_ID": "client_id",
    "CLIENT_SECRET": "client_secret",
    "WHEN_FEED_IS_LOST": "when_feed_is_lost",
    "JWKS_URL": "jwks_url",
    "REVOCATIONS_URL": "revocations_url",
    "LEEWAY_SECONDS": "leeway_seconds",
    "REMEMBER": "remember",
    "DIALECT": "dialect",
    "ALLOW_HTTP": "allow_http",
    "VERIFY": "verify",
    "ON_EVENT": "on_event",
}
"""What is handed to `Guard`, see there, and under which name."""

OTHERS: Final = frozenset({"GUARD", "PUBLIC", "SCOPES", "ROLES", "GET_USER", "CLOCK"})


@dataclass(frozen=True, slots=True)
class Configured:
    """
    The setting EVERTOKEN, checked.

    Args:
        guard: What checks the tokens: made of ISSUER and the rest, or GUARD.
        public: Paths that the middleware lets anybody reach: exact, or with everything below when they end in `/`.
        scopes: What the middleware demands: every one of these.
        roles: What the middleware demands: at least one of these.
        get_user: Finds the Django user of a token; None leaves `request.user` alone.
        clock: Returns the time in milliseconds.
        is_ours: The guard was made here, and is closed here.
        speech: How the guard speaks.
    """

    guard: ChecksAccess
    public: PublicPlaces
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    get_user: GetUser | None
    clock: Clock
    is_ours: bool
    speech: Speech


class _InThisProcess:
    """Made when it is first asked for: after a server has forked its workers, and not by `manage.py migrate`."""

    def __init__(self) -> None:
        self.made: Configured | None = None
        self.renew_lock()

    def renew_lock(self) -> None:
        """In a forked process, where nobody would let go of it; a module that is imported here may ask again."""
        self.lock = threading.RLock()


_process = _InThisProcess()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.renew_lock)


def configured() -> Configured:
    """
    What EVERTOKEN says, made once for the process; a guard elsewhere starts with the first token.

    Raises:
        ConfigurationError: `.setting` names what is missing or wrong.
    """
    made = _process.made
    if made is None:
        with _process.lock:
            made = _process.made = _process.made or configuration_of(getattr(settings, SETTING, None))
    return made


def get_guard() -> ChecksAccess:
    """
    The guard of this process, for `status()` in a health check, or to `start()` it before the first token.

    Raises:
        ConfigurationError: `.setting` names what is missing or wrong.
    """
    return configured().guard


def close_guard() -> None:
    """End the guard's thread, if EVERTOKEN has made one; the next request begins anew, with the present settings."""
    with _process.lock:
        made, _process.made = _process.made, None
    if made is not None and made.is_ours and isinstance(made.guard, Guard):
        made.guard.close()


def configuration_of(given: object) -> Configured:
    """
    What a value of EVERTOKEN says.

    Raises:
        ConfigurationError: `.setting` names what is missing or wrong, as it is written in EVERTOKEN.
    """
    if given is None:
        raise ConfigurationError(SETTING, "is not set; it is a dict with ISSUER, AUDIENCE, CLIENT_ID and CLIENT_SECRET")
    if not isinstance(given, Mapping):
        raise ConfigurationError(SETTING, f"must be a dict, not {type(given).__name__}")
    for name in given:
        if name not in OF_THE_GUARD and name not in OTHERS:
            raise ConfigurationError(_named(name), f"there is no such setting; there are {', '.join(_KNOWN)}")
    is_ours = given.get("GUARD") is None
    get_user = None if given.get("GET_USER") is None else _found("GET_USER", given["GET_USER"])
    clock = system_clock if given.get("CLOCK") is None else _found("CLOCK", given["CLOCK"])
    for name, found in (("GET_USER", get_user), ("CLOCK", clock)):
        if found is not None and not callable(found):
            raise ConfigurationError(_named(name), "must be a function, or where it is: 'module.function'")
    guard: ChecksAccess = _made(given) if is_ours else _given(given)
    return Configured(
        guard=guard,
        public=_places(given.get("PUBLIC", ())),
        scopes=_texts("SCOPES", given.get("SCOPES", ())),
        roles=_texts("ROLES", given.get("ROLES", ())),
        get_user=get_user,
        clock=clock,
        is_ours=is_ours,
        speech=speech_of(guard),
    )


def _made(given: Mapping[str, Any]) -> Guard:
    for name in ("ISSUER", "AUDIENCE"):
        if not given.get(name):
            raise ConfigurationError(_named(name), "is missing; tokens are judged by it")
    options = {OF_THE_GUARD[name]: value for name, value in given.items() if name in OF_THE_GUARD}
    if isinstance(options.get("on_event"), str):
        options["on_event"] = _found("ON_EVENT", options["on_event"])
    try:
        return Guard(**options)
    except ConfigurationError as error:
        raise written(error) from error
    except TypeError as error:  # a number that came from the environment as a text
        raise ConfigurationError(SETTING, f"a value is of the wrong type: {error}") from error


def written(error: ConfigurationError) -> ConfigurationError:
    """The same error of a guard's, with the setting as it is written in EVERTOKEN."""
    if error.setting.startswith(SETTING):
        return error
    if isinstance(error, DialectError):
        return ConfigurationError(_named("DIALECT"), f"{error.field}{str(error).removeprefix(error.setting)}")
    names = ", ".join(_named(_CALLED.get(name, name)) for name in error.setting.split(", "))
    return ConfigurationError(names, str(error).removeprefix(f"{error.setting}: "))


def _given(given: Mapping[str, Any]) -> ChecksAccess:
    superfluous = [name for name in OF_THE_GUARD if name in given]
    if superfluous:
        raise ConfigurationError(_named("GUARD"), f"has settings of its own: take out {', '.join(superfluous)}")
    guard: Any = _found("GUARD", given["GUARD"])
    if not all(callable(getattr(guard, name, None)) for name in ("check", "check_async", "recall")):
        raise ConfigurationError(
            _named("GUARD"), "must be a guard (evertoken.guards.Guard, or build(...).guard), or where it is: 'a.b.c'"
        )
    checked: ChecksAccess = guard
    return checked


def _found(name: str, value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        raise ConfigurationError(_named(name), f"cannot import {value}: {error}") from error


def _places(value: object) -> PublicPlaces:
    paths = _texts("PUBLIC", value)
    for path in paths:
        if not path.startswith("/"):
            raise ConfigurationError(_named("PUBLIC"), f"{path!r} does not begin with a slash")
        if path == "/":
            raise ConfigurationError(_named("PUBLIC"), "'/' would open everything: guard single views with @guarded")
    return PublicPlaces(paths)


def _texts(name: str, value: object) -> tuple[str, ...]:
    # A text is a sequence of texts too: "admin" would demand one of the roles a, d, m, i and n.
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(item, str) and item for item in value
    ):
        raise ConfigurationError(_named(name), "must be a list of texts")
    return tuple(value)


def _named(name: object) -> str:
    return f"{SETTING}[{str(name)!r}]"


def _changed(*, setting: str, **_: object) -> None:
    if setting == SETTING:
        close_guard()


_KNOWN: Final = (*OF_THE_GUARD, *sorted(OTHERS))
_CALLED: Final = {parameter: name for name, parameter in OF_THE_GUARD.items()}

setting_changed.connect(_changed, dispatch_uid="evertoken.guards.django")  # override_settings of tests
