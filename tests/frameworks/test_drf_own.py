"""What the classes for Django REST framework do beyond the suite: beside others, joined, and with users."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.frameworks.compliance.bench import HANDLED, Stage
from tests.frameworks.wsgi_django_project import project
from tests.support.one_server import http, live
from tests.support.server import LiveServer

# isort: split
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from evertoken.errors import FeedLost
from evertoken.guards.django import TokenUser
from evertoken.guards.django.rest_framework import AccessTokenAuthentication, HasRole, HasScope
from tests.edge.attacking import forged
from tests.frameworks.compliance.ending import Shut

__all__ = ["http", "live"]

NO_TOKEN = 'Bearer realm="evertoken"'
INVALID = NO_TOKEN + ', error="invalid_token"'


class ByName(BaseAuthentication):  # type: ignore[misc]  # Django REST framework has no types
    """Another authentication of the application's: a name in a header, without a challenge of its own."""

    def authenticate(self, request: Request) -> tuple[object, None] | None:
        name = request.headers.get("X-Name")
        if name == "nobody":
            raise AuthenticationFailed("nobody is nobody")
        return (_Named(), None) if name else None


class _Named:
    is_authenticated = True
    is_active = True
    pk = "named"


class Seen(APIView):  # type: ignore[misc]
    """Answers who is seen."""

    authentication_classes: tuple[Any, ...] = (AccessTokenAuthentication,)
    permission_classes: tuple[Any, ...] = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        claims = request.auth
        return Response({"pk": request.user.pk, "jti": claims and claims.jti})


def view(**attributes: Any) -> Any:
    made: Any = type("View", (Seen,), attributes)
    return made.as_view()


VIEWS = {
    "/seen": view(),
    "/behind": view(authentication_classes=(ByName, AccessTokenAuthentication)),
    "/before": view(authentication_classes=(AccessTokenAuthentication, ByName)),
    "/before/role": view(
        authentication_classes=(AccessTokenAuthentication, ByName), permission_classes=(HasRole.any_of("admin"),)
    ),
    "/either": view(permission_classes=(HasRole.any_of("admin") | HasScope.all_of("read", "write"),)),
    "/both": view(permission_classes=(HasRole.any_of("admin") & HasScope.all_of("read"),)),
    "/not": view(permission_classes=(IsAuthenticated & ~HasRole.any_of("guest"),)),
    "/named": view(permission_classes=(HasRole,), required_roles=["admin", "owner"]),
    "/scopes": view(permission_classes=(HasScope.all_of("read", "delete"),)),
    "/token": view(permission_classes=(HasScope,)),
    "/letters": view(permission_classes=(HasRole,), required_roles="admin"),
}


@pytest.fixture
def client(live: LiveServer) -> Iterator[Client]:
    with project(Stage(live.server.guard, live.clock), VIEWS):
        yield Client(raise_request_exception=False)


def bearing(live: LiveServer, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {forged(live, payload=claims)}"}


def test_a_user_without_a_database(live: LiveServer, client: Client) -> None:
    """Without GET_USER the user is a TokenUser: authenticated, with the token's id and name, no rights of Django's."""
    assert client.get("/seen", headers=bearing(live, jti="t-9")).json() == {"pk": "u_ada", "jti": "t-9"}
    claims = live.server.guard.check(forged(live, payload={"preferred_username": "ada"}), now_ms=live.clock())
    user = TokenUser(claims)
    assert (user.id, user.pk, user.username, user.get_username(), str(user)) == ("u_ada", "u_ada", "ada", "ada", "ada")
    assert user.is_authenticated and user.is_active and not user.is_staff and not user.is_superuser
    assert not user.has_perm("auth.add_user") and not user.has_perms(["x"]) and not user.has_module_perms("auth")
    assert user == TokenUser(claims) and len({user, TokenUser(claims)}) == 1
    nameless = live.server.guard.check(forged(live, payload={"sub": "u_bob"}), now_ms=live.clock())
    assert TokenUser(nameless).username == "u_bob" and TokenUser(nameless) != user


def test_throttles_count_by_the_users_id(live: LiveServer) -> None:
    """UserRateThrottle knows a TokenUser apart from others."""
    claims = live.server.guard.check(forged(live), now_ms=live.clock())

    class Throttle(UserRateThrottle):  # type: ignore[misc]
        rate = "1/min"

    request = type("Request", (), {"user": TokenUser(claims), "META": {}})()
    assert Throttle().get_cache_key(request, None) == "throttle_user_u_ada"


@pytest.mark.parametrize("path", ["/before", "/behind"])
def test_a_bad_token_is_a_401_wherever_the_class_stands(live: LiveServer, client: Client, path: str) -> None:
    """
    The framework answers by the first class of a view; a bad token gets 401 and its own challenge all the same.

    A 403 would let no client refresh.
    """
    answer = client.get(path, headers=bearing(live, exp=live.clock() // 1000))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer.headers["WWW-Authenticate"].startswith(INVALID)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_other_classes_have_their_say(live: LiveServer, client: Client) -> None:
    """Who comes with something else than a token is the other class's, and so is what that one refuses."""
    for path in ("/before", "/behind"):
        assert client.get(path, headers={"X-Name": "ada"}).json() == {"pk": "named", "jti": None}
        assert client.get(path, headers=bearing(live)).json()["pk"] == "u_ada"
        refused = client.get(path, headers={"X-Name": "nobody"})
        assert (refused.status_code, refused.json()) == (HANDLED, {"handled": True})  # the application's own handler
    assert client.get("/before").headers["WWW-Authenticate"] == NO_TOKEN
    assert client.get("/behind").status_code == HANDLED  # the first class has no challenge: the framework's 403


def test_rights_of_a_token_are_not_given_to_who_came_without_one(client: Client) -> None:
    """Somebody whom another class has authenticated has no roles of ours: 403, a sign-in would change it."""
    answer = client.get("/before/role", headers={"X-Name": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_rights")


@pytest.mark.parametrize(
    ("path", "claims", "passes"),
    [
        ("/either", {"roles": ["admin"]}, True),
        ("/either", {"scope": "read write"}, True),
        ("/either", {"scope": "read", "roles": ["editor"]}, False),
        ("/both", {"scope": "read", "roles": ["admin"]}, True),
        ("/both", {"scope": "read", "roles": []}, False),
        ("/both", {"scope": "", "roles": ["admin"]}, False),
        ("/not", {"roles": ["guest"]}, False),
        ("/not", {"roles": ["editor"]}, True),
        ("/named", {"roles": ["owner"]}, True),
        ("/named", {"roles": ["editor"]}, False),
        ("/token", {}, True),
    ],
)
def test_permissions_can_be_joined(
    live: LiveServer, client: Client, path: str, claims: dict[str, Any], passes: bool
) -> None:
    """`|`, `&` and `~` work as with any permission; what a joined one refuses the framework answers by itself."""
    answer = client.get(path, headers=bearing(live, **claims))
    assert answer.status_code in ({200} if passes else {403, HANDLED})


def test_a_permission_named_by_its_letters_is_a_fault_of_the_program(live: LiveServer, client: Client) -> None:
    """`required_roles = "admin"` would let in whoever has the role `a`; it lets in nobody, and says what is wrong."""
    with pytest.raises(ImproperlyConfigured, match="required_roles of View must be a list"):
        Client().get("/letters", headers=bearing(live, roles=["a"]))


def test_the_answer_of_a_permission_names_the_scopes(live: LiveServer, client: Client) -> None:
    """403 with the challenge of RFC 6750; joined ones name none, and a request without a token gets a 401."""
    answer = client.get("/scopes", headers=bearing(live, scope="read"))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_rights")
    assert answer.headers["WWW-Authenticate"] == f'{NO_TOKEN}, error="insufficient_scope", scope="read delete"'
    with override_settings(REST_FRAMEWORK={}):  # the framework's own exception handler
        answer = client.get("/both", headers=bearing(live, roles=["admin"], scope=""))
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/json")
        unknown = client.get("/both")
        assert (unknown.status_code, unknown.headers["WWW-Authenticate"]) == (401, NO_TOKEN)


def test_a_user_of_the_application(live: LiveServer) -> None:
    """GET_USER finds `request.user`; one that is unknown or not active gets 403, for no refresh would change it."""
    people = {"u_ada": _Named()}
    with project(Stage(live.server.guard, live.clock), VIEWS, GET_USER=lambda claims: people.get(claims.sub)):
        client = Client()
        assert client.get("/seen", headers=bearing(live)).json()["pk"] == "named"
        answer = client.get("/seen", headers=bearing(live, sub="u_bob"))
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_rights")
        assert "not known or not active" in answer.json()["detail"]
        people["u_ada"].is_active = False
        assert client.get("/seen", headers=bearing(live)).status_code == 403


def test_what_the_view_raises_goes_to_its_own_handler(live: LiveServer) -> None:
    """Errors that are not ours meet the exception handler that was set, in a view that was let in."""

    class Missing(Seen):
        def get(self, request: Request) -> Response:
            raise NotFound

    with project(Stage(live.server.guard, live.clock), {"/missing": Missing.as_view()}):
        assert Client().get("/missing", headers=bearing(live)).json() == {"handled": True}


def test_a_lost_feed_is_503_with_the_frameworks_own_handler_too(live: LiveServer) -> None:
    """Retry-After says when; nobody is signed out."""
    shut = Shut(FeedLost("of the test", retry_after_seconds=5))
    with project(Stage(shut, live.clock), VIEWS), override_settings(REST_FRAMEWORK={}):
        answer = Client().get("/seen", headers=bearing(live))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
