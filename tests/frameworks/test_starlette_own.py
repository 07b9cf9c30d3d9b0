"""What Starlette's users expect beyond the suite: its own `@requires`, users, classes, other backends."""

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationError, UnauthenticatedUser
from starlette.authentication import requires as starlette_requires
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.guards.starlette import TokenAuthentication, TokenUser, on_error, requires
from tests.frameworks.calling import Material, call
from tests.support.clock import MovingClock


async def who(request: Request) -> JSONResponse:
    user = request.user
    return JSONResponse([user.is_authenticated, user.identity, user.display_name, request.auth.scopes])


class Reports(HTTPEndpoint):
    @requires(roles=["editor"])
    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse({"for": request.user.identity})

    @requires(roles=["admin"])
    async def delete(self, request: Request) -> JSONResponse:
        return JSONResponse({"by": request.user.identity})


@pytest.fixture
def material(clock: MovingClock) -> Material:
    return Material(clock)


@pytest.fixture
def app(material: Material) -> Starlette:
    async def answered(request: Request) -> JSONResponse:
        return JSONResponse({"for": request.user.identity})

    return Starlette(
        routes=[
            Route("/who", who),
            Route("/reports", Reports),
            Route("/authenticated", starlette_requires("authenticated")(answered)),
            Route("/role", starlette_requires("role:admin")(answered)),
            Route("/scope", starlette_requires(["authenticated", "read"])(answered)),
        ],
        middleware=[Middleware(TokenAuthentication, guard=material.guard, clock=material.clock)],
    )


def test_a_request_without_a_token_is_unauthenticated_and_goes_on(app: Starlette) -> None:
    """`request.user` is Starlette's own unauthenticated user, without a scope."""
    assert json.loads(call(app, "/who").body) == [False, "", "", []]


def test_a_token_makes_a_user_with_scopes_and_roles(app: Starlette, material: Material) -> None:
    """`request.user` is the token's; `request.auth.scopes` holds its scopes, and its roles as `role:NAME`."""
    token = material.token(roles=["editor"], scope="read write", preferred_username="Ada")
    assert json.loads(call(app, "/who", token).body) == [
        True,
        "u-1",
        "Ada",
        ["authenticated", "read", "write", "role:editor"],
    ]
    nameless = material.token(jti="t-2", preferred_username=7, scope="")
    assert json.loads(call(app, "/who", nameless).body)[2] == "u-1"


def test_a_bad_token_is_refused_even_where_none_is_needed(app: Starlette) -> None:
    """Starlette's own rule: who brings credentials that are bad is told so, wherever; it is 401 with the challenge."""
    answer = call(app, "/who", "x")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="evertoken", error="invalid_token"'


def test_starlettes_own_requires_works(app: Starlette, material: Material) -> None:
    """`@requires` of Starlette knows `authenticated`, scopes, and roles as `role:NAME`; it answers 403 by itself."""
    admin = material.token(roles=["admin"], scope="read")
    plain = material.token(roles=["editor"], scope="write", jti="t-2")
    assert [call(app, path, admin).status for path in ("/authenticated", "/role", "/scope")] == [200, 200, 200]
    assert [call(app, path, plain).status for path in ("/authenticated", "/role", "/scope")] == [200, 403, 403]
    assert [call(app, path).status for path in ("/authenticated", "/role", "/scope")] == [403, 403, 403]


def test_a_scope_never_passes_for_a_role(app: Starlette, material: Material) -> None:
    """A client may be granted a scope of any name: one that is spelled like a role gives no role."""
    token = material.token(roles=["editor"], scope="role:admin")
    assert call(app, "/role", token).status == 403
    assert json.loads(call(app, "/who", token).body)[3] == ["authenticated", "role:editor"]


def test_methods_of_endpoint_classes_can_be_guarded(app: Starlette, material: Material) -> None:
    """`requires` stands on methods as on functions, each with its own rights."""
    token = material.token(roles=["editor"])
    assert call(app, "/reports", token).status == 200
    assert call(app, "/reports", token, method="DELETE").status == 403
    assert call(app, "/reports", method="DELETE").status == 401


def test_a_function_without_a_request_is_refused_at_once() -> None:
    """A guard that could never ask is an error where it is written, not an open route."""
    with pytest.raises(TypeError, match="no argument named request or websocket"):

        @requires()
        async def nobody(req: Request) -> None: ...


def test_without_the_middleware_nobody_passes() -> None:
    """Forgotten middleware, or another backend's user: 401, never an open route."""

    async def answered(request: Request) -> JSONResponse:
        raise AssertionError

    routes = [Route("/", requires()(answered))]
    assert call(Starlette(routes=routes), "/").status == 401

    class Others:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["auth"], scope["user"] = AuthCredentials(["authenticated"]), UnauthenticatedUser()
            await self._app(scope, receive, send)

    assert call(Starlette(routes=routes, middleware=[Middleware(Others)]), "/").status == 401


def test_the_error_of_another_backend_becomes_a_problem_too() -> None:
    """`on_error` answers whatever a composed backend raises, and repeats nothing of it."""
    answer = on_error(HTTPConnection({"type": "http", "headers": []}), AuthenticationError("the secret of theirs"))
    assert (answer.status_code, answer.media_type) == (401, "application/problem+json")
    assert b"theirs" not in bytes(answer.body)


def test_lifespan_messages_pass_untouched(material: Material) -> None:
    """The middleware judges requests and WebSockets, nothing else."""
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    call(TokenAuthentication(inner, material.guard), "/", kind="lifespan")
    assert seen == ["lifespan"]
    assert TokenUser(material.guard.check(material.token(), now_ms=material.clock())).is_authenticated
