"""The setting EVERTOKEN: what is wrong with it is said at start, and the guard that it describes."""

import io
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.frameworks.compliance.bench import Stage
from tests.frameworks.wsgi_django_project import GUARD, USUAL, over_wsgi, project
from tests.support.one_server import http, live
from tests.support.server import LiveServer

# isort: split
import httpx2
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.test import Client, override_settings

from evertoken.errors import ConfigurationError
from evertoken.guards import Guard
from evertoken.guards.django import close_guard, get_guard, guarded
from evertoken.guards.django.configuration import configuration_of
from tests.client.forking import Child
from tests.edge.attacking import bearer, get
from tests.guards.elsewhere import sign_out, until
from tests.oauth.speaking import API, add_client

__all__ = ["http", "live"]

GOOD: Mapping[str, Any] = {"ISSUER": "https://auth.example", "AUDIENCE": "https://api.example"}


class Forgetful:
    """No guard: it has no `recall`."""

    def check(self) -> None: ...


def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"sub": request.evertoken.sub})


@pytest.fixture
def stage(live: LiveServer) -> Stage:
    return Stage(live.server.guard, live.clock)


@pytest.mark.parametrize(
    ("given", "setting", "says"),
    [
        (None, "EVERTOKEN", "is not set"),
        ("https://auth.example", "EVERTOKEN", "must be a dict, not str"),
        ({}, "EVERTOKEN['ISSUER']", "is missing"),
        ({"ISSUER": "https://auth.example"}, "EVERTOKEN['AUDIENCE']", "is missing"),
        ({**GOOD, "ISSUER": "auth.example"}, "EVERTOKEN['ISSUER']", "URL"),
        ({**GOOD, "ISSUER": "http://auth.example"}, "EVERTOKEN['ISSUER']", "https"),
        ({**GOOD, "AUDIENCE": ["a", "b"]}, "EVERTOKEN['AUDIENCE']", "must be a text"),
        ({**GOOD, "ISUER": "x"}, "EVERTOKEN['ISUER']", "there is no such setting; there are ISSUER, AUDIENCE"),
        ({**GOOD, "issuer": "x"}, "EVERTOKEN['issuer']", "there is no such setting"),
        ({**GOOD, "CLIENT_ID": "api"}, "EVERTOKEN['CLIENT_ID'], EVERTOKEN['CLIENT_SECRET']", "one needs the other"),
        ({**GOOD, "WHEN_FEED_IS_LOST": "close"}, "EVERTOKEN['WHEN_FEED_IS_LOST']", "go_on"),
        ({**GOOD, "LEEWAY_SECONDS": 3600}, "EVERTOKEN['LEEWAY_SECONDS']", "60"),
        ({**GOOD, "LEEWAY_SECONDS": "30"}, "EVERTOKEN", "of the wrong type"),
        ({**GOOD, "PUBLIC": "/healthz"}, "EVERTOKEN['PUBLIC']", "must be a list"),
        ({**GOOD, "PUBLIC": ["healthz"]}, "EVERTOKEN['PUBLIC']", "slash"),
        ({**GOOD, "PUBLIC": ["/"]}, "EVERTOKEN['PUBLIC']", "would open everything"),
        ({**GOOD, "ROLES": "admin"}, "EVERTOKEN['ROLES']", "must be a list"),
        ({**GOOD, "SCOPES": ["read", 7]}, "EVERTOKEN['SCOPES']", "must be a list"),
        ({**GOOD, "GET_USER": "nowhere.find"}, "EVERTOKEN['GET_USER']", "cannot import nowhere.find"),
        ({**GOOD, "GET_USER": 7}, "EVERTOKEN['GET_USER']", "must be a function"),
        ({**GOOD, "ON_EVENT": "nowhere.tell"}, "EVERTOKEN['ON_EVENT']", "cannot import nowhere.tell"),
        ({"GUARD": Forgetful()}, "EVERTOKEN['GUARD']", "must be a guard"),
        ({"GUARD": "nowhere.guard"}, "EVERTOKEN['GUARD']", "cannot import nowhere.guard"),
        ({**GOOD, "GUARD": Forgetful()}, "EVERTOKEN['GUARD']", "take out ISSUER, AUDIENCE"),
    ],
)
def test_a_wrong_setting_is_named_as_it_is_written(given: Any, setting: str, says: str) -> None:
    """What is missing, misspelled or of the wrong kind is said at start, with the name that stands in the settings."""
    with pytest.raises(ConfigurationError, match=r".") as raised:
        configuration_of(given)
    assert raised.value.setting == setting
    assert says in str(raised.value)
    assert str(raised.value).count("EVERTOKEN") == setting.count("EVERTOKEN")


def test_a_secret_is_in_no_message() -> None:
    """Whatever is wrong, the client secret is not repeated."""
    for wrong in ({"CLIENT_ID": ""}, {"CLIENT_ID": "api", "LEEWAY_SECONDS": -1}, {"CLIENT_ID": "api", "VERFY": 1}):
        with pytest.raises(ConfigurationError) as raised:
            configuration_of({**GOOD, "CLIENT_SECRET": "ecs_very-secret", **wrong})
        assert "very-secret" not in str(raised.value)


def test_the_server_does_not_start_with_a_wrong_setting() -> None:
    """With the middleware a wrong setting ends the start, not a request."""
    with (
        override_settings(MIDDLEWARE=[GUARD], EVERTOKEN={"ISSUER": "https://auth.example"}),
        pytest.raises(ImproperlyConfigured, match=r"EVERTOKEN\['AUDIENCE'\]: is missing"),
    ):
        get_wsgi_application()


def test_manage_check_says_what_is_missing() -> None:
    """`manage.py check` fails for a setting that cannot be used, and names it."""
    with (
        override_settings(EVERTOKEN={"AUDIENCE": "https://api.example"}),
        pytest.raises(SystemCheckError, match=r"evertoken.E001\) EVERTOKEN\['ISSUER'\]: is missing"),
    ):
        call_command("check")


@pytest.mark.parametrize(
    ("given", "middleware", "found"),
    [
        ({**GOOD, "CLIENT_ID": "api", "CLIENT_SECRET": "ecs_x"}, (*USUAL, GUARD), []),
        (GOOD, (*USUAL, GUARD), ["evertoken.W001"]),
        ({"GET_USER": "django.contrib.auth.get_user"}, (GUARD, *USUAL), ["evertoken.W002"]),
        ({"GET_USER": "django.contrib.auth.get_user"}, (*USUAL, GUARD), []),
        ({}, (GUARD, *USUAL), []),
        ({"GET_USER": "django.contrib.auth.get_user"}, USUAL, []),
    ],
)
def test_manage_check_warns_of_what_would_surprise(
    stage: Stage, given: dict[str, Any], middleware: tuple[str, ...], found: list[str]
) -> None:
    """A guard that hears of no ended session, and a `request.user` that would be overwritten, are told at once."""
    told = given if "ISSUER" in given else {"GUARD": stage.guard, **given}
    with override_settings(EVERTOKEN=told, MIDDLEWARE=middleware):
        assert [message.id for message in run_checks() if message.id.startswith("evertoken")] == found


def test_a_guard_can_be_named_by_where_it_is() -> None:
    """GUARD may be a dotted path, for a module that builds the server or the guard."""
    found = configuration_of({"GUARD": f"{__name__}.NAMED"})
    assert found.guard is NAMED and not found.is_ours


NAMED = Guard("https://auth.example", "https://api.example")


# ---- a guard of its own ----


@pytest.fixture
def remote(live: LiveServer) -> Iterator[dict[str, Any]]:
    """EVERTOKEN of a service that knows the issuer's address and a credential."""
    made = {"ISSUER": live.url, "AUDIENCE": live.url, "CLIENT_ID": API, "CLIENT_SECRET": add_client(live, API)}
    with project(Stage(live.server.guard, live.clock), {"/whoami": guarded(whoami)}):
        yield {**made, "CLOCK": live.clock, "WHEN_FEED_IS_LOST": timedelta(seconds=30)}


def test_a_service_follows_the_issuer_by_its_settings_alone(
    live: LiveServer, http: httpx2.Client, remote: dict[str, Any]
) -> None:
    """With an address and a credential tokens are checked, and a session that ends is refused soon after."""
    first, second = live.sign_in(http), live.sign_in(http)
    with override_settings(EVERTOKEN=remote), over_wsgi() as url:
        shown = bearer(first["access_token"])
        until(lambda: get(url, "/whoami", shown).status == 200)  # 503 until the feed was heard for the first time
        sign_out(http, first)
        until(lambda: get(url, "/whoami", shown).status == 401)
        assert get(url, "/whoami", bearer(second["access_token"])).status == 200
        guard = get_guard()
        assert isinstance(guard, Guard) and guard.status().feed == "followed"
    assert get_guard() is not guard  # the settings have changed: it was closed
    assert guard._is_closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_each_forked_worker_has_a_guard_that_runs(
    live: LiveServer, http: httpx2.Client, remote: dict[str, Any]
) -> None:
    """A server that loads the application and then forks: the guard starts in the worker, with its first token."""
    tokens = live.sign_in(http)
    with override_settings(EVERTOKEN=remote):
        guard = get_guard()
        assert isinstance(guard, Guard) and not guard._is_started

        def work() -> list[Any]:
            client, headers = Client(), {"Authorization": f"Bearer {tokens['access_token']}"}
            until(lambda: client.get("/whoami", headers=headers).status_code == 200)
            return [guard.status().feed, guard._is_started]

        assert Child(work).result() == ["followed", True]
        assert not guard._is_started


def test_closing_begins_anew_with_the_next_request(live: LiveServer, remote: dict[str, Any]) -> None:
    """`close_guard` ends the thread; whoever asks after that gets a new guard."""
    with override_settings(EVERTOKEN=remote):
        guard = get_guard()
        close_guard()
        close_guard()
        assert get_guard() is not guard


def test_a_guard_of_the_host_is_not_closed_for_it() -> None:
    """What was handed over as GUARD is its owner's to close."""
    with override_settings(EVERTOKEN={"GUARD": NAMED}):
        assert get_guard() is NAMED
        close_guard()
    assert not NAMED._is_closed


def test_a_command_says_whether_the_issuer_is_reached(remote: dict[str, Any]) -> None:
    """`manage.py evertoken_guard` fetches the keys and asks the feed, and fails with the setting that is wrong."""

    def told(wait: float = 20, **changed: Any) -> str:
        out = io.StringIO()
        with override_settings(EVERTOKEN=remote | changed):
            call_command("evertoken_guard", wait=wait, stdout=out)
        return out.getvalue()

    assert re.fullmatch(r"keys: \S+\nrevocations: followed\n", told())
    nothing: dict[str, Any] = {"CLIENT_ID": None, "CLIENT_SECRET": None, "WHEN_FEED_IS_LOST": "go_on"}
    assert "revocations: not followed" in told(**nothing)
    for wrong, setting in (
        ({"CLIENT_SECRET": "ecs_wrong"}, "CLIENT_SECRET"),
        ({**nothing, "ISSUER": remote["ISSUER"] + "/nowhere"}, "ISSUER"),
        ({"ISSUER": ""}, "ISSUER"),
    ):
        with pytest.raises(CommandError, match=rf"EVERTOKEN\['{setting}'\]") as raised:
            told(wait=0.5 if "nowhere" in wrong.get("ISSUER", "") else 20, **wrong)
        assert "ecs_wrong" not in str(raised.value)


def test_a_command_starts_no_guard_beside_the_server(stage: Stage) -> None:
    """In the server's process there is nothing to fetch, and the command says so."""
    out = io.StringIO()
    with override_settings(EVERTOKEN={"GUARD": stage.guard}):
        call_command("evertoken_guard", stdout=out)
    assert out.getvalue() == "GUARD is AccessCheck: nothing is fetched.\n"
