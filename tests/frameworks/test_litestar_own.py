"""What Litestar's users expect beyond the suite: their OpenAPI, public places, users, and the server in the app."""

import json
from pathlib import Path
from typing import Any

import litestar
import pytest
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from evertoken.accounts.users import User
from evertoken.assembly import build
from evertoken.edge.settings import Settings
from evertoken.guards import AccessTokenClaims
from evertoken.guards.litestar import TokenAuth, evertoken_handler, requires
from evertoken.secret import Secret
from tests.frameworks.asgi_serving import serving_asgi
from tests.frameworks.calling import Material, call
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, WEAK, client_at, free_port

Asked = litestar.Request[AccessTokenClaims, AccessTokenClaims, State]


@litestar.get("/{rest:path}")
async def anything(request: litestar.Request[Any, Any, State]) -> dict[str, Any]:
    claims = request.scope.get("auth")
    return {"sub": claims.sub if isinstance(claims, AccessTokenClaims) else None}


@pytest.fixture
def material(clock: MovingClock) -> Material:
    return Material(clock)


def _app(*handlers: Any, **options: Any) -> litestar.Litestar:
    return litestar.Litestar(handlers, logging_config=None, **options)


def test_public_places_are_exactly_those_that_are_named(material: Material) -> None:
    """Public is a path as a whole, or with all below it where it ends in a slash; nobody climbs out of it."""
    app = _app(anything, plugins=[TokenAuth(material.guard, public=["/healthz", "/open/"], clock=material.clock)])
    for path in ("/healthz", "/healthz/", "/open", "/open/", "/open/a/b", "//open//a"):
        assert call(app, path).status == 200, path
        assert json.loads(call(app, path, "x").body) == {"sub": None}
    for path in (
        "/healthz/x",
        "/x/healthz",
        "/open/../a",
        "/open/a/..",
        "/opening",
        "/openly/a",
        "/guarded/open/",
    ):
        assert call(app, path).status == 401, path


def test_the_security_scheme_stands_in_the_applications_openapi(material: Material) -> None:
    """An HTTP bearer scheme for JWTs, beside whatever the application describes itself."""
    own = OpenAPIConfig(
        title="Reports",
        version="1",
        components=Components(security_schemes={"own": SecurityScheme(type="http", scheme="basic")}),
        security=[{"own": []}],
    )
    app = _app(anything, plugins=[TokenAuth(material.guard)], openapi_config=own)
    described = app.openapi_schema.to_schema()
    assert described["components"]["securitySchemes"]["evertoken"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of evertoken.",
    }
    assert "own" in described["components"]["securitySchemes"]
    assert described["security"] == [{"own": []}, {"evertoken": []}]
    assert own.security == [{"own": []}]
    assert _app(anything, plugins=[TokenAuth(material.guard)], openapi_config=None).openapi_config is None


def test_the_applications_own_user_is_found_for_the_claims(material: Material) -> None:
    """`retrieve_user` makes `request.user`; `request.auth` stays the typed claims."""

    async def retrieve(claims: AccessTokenClaims, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        assert connection.scope["path"] == "/"
        return {"u-1": "Ada Lovelace"}.get(claims.sub)

    @litestar.get("/")
    async def who(request: litestar.Request[str | None, AccessTokenClaims, State]) -> list[Any]:
        return [request.user, request.auth.sub]

    app = _app(who, plugins=[TokenAuth(material.guard, retrieve_user=retrieve, clock=material.clock)])
    assert json.loads(call(app, "/", material.token()).body) == ["Ada Lovelace", "u-1"]
    assert json.loads(call(app, "/", material.token(sub="u-2", jti="t-2")).body) == [None, "u-2"]


def test_rights_can_be_demanded_of_the_whole_application(material: Material) -> None:
    """`TokenAuth(roles=...)` holds for every route, beside the guards of routes and controllers."""

    class Admin(litestar.Controller):
        path = "/admin"
        guards = [requires("write")]  # noqa: RUF012 - as Litestar's docs write it

        @litestar.get()
        async def index(self) -> str:
            return "yes"

    app = _app(Admin, anything, plugins=[TokenAuth(material.guard, roles=["editor"], clock=material.clock)])
    assert call(app, "/admin", material.token(scope="write")).status == 200
    assert call(app, "/admin", material.token(scope="read")).status == 403
    assert call(app, "/x", material.token(roles=["author"])).status == 403
    assert call(app, "/x", material.token(roles=["editor"])).status == 200


def test_a_guard_without_the_plugin_lets_nobody_pass() -> None:
    """Forgotten plugin: the route is shut, not open."""

    @litestar.get("/", guards=[requires()])
    async def behind() -> str:
        raise AssertionError

    for token in (None, "x"):
        answer = call(_app(behind), "/", token)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="evertoken"')


def test_the_older_way_of_adding_it_works_too(material: Material) -> None:
    """`on_app_init=[auth.on_app_init]`, as Litestar's own JWTAuth is added."""
    app = _app(anything, on_app_init=[TokenAuth(material.guard, clock=material.clock).on_app_init])
    assert [call(app, "/x").status, call(app, "/x", material.token()).status] == [401, 200]


def test_the_whole_server_lives_in_the_application(tmp_path: Path) -> None:
    """Sign-in, a guarded route and sign-out work in one application; its lifespan runs with the application's."""
    port = free_port()
    server = build(Settings(port=port, store=str(tmp_path / "evertoken.db")), hashing_parameters=WEAK)

    async def add_ada() -> None:
        hashed = server.hashing.hash_now(Secret(PASSWORD))
        await server.store.add_user(User("u_ada", "ada", hashed, 0, False, (), 0))

    @litestar.get("/reports")
    async def reports(request: Asked) -> dict[str, Any]:
        return {"for": request.auth.extra["preferred_username"]}

    app = _app(
        reports,
        evertoken_handler(server),
        plugins=[TokenAuth(server.guard)],
        lifespan=[server.lifespan],
        on_startup=[add_ada],
    )
    with serving_asgi(app, port=port) as url, client_at(url) as http:
        assert http.get("/readyz").json() == {"status": "ready"}
        tokens = http.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get("/reports").status_code == 401
        assert http.get("/reports", headers=bearer).json() == {"for": "ada"}
        assert http.get("/auth/me", headers=bearer).json()["sub"] == "u_ada"
        assert http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
        assert http.get("/.well-known/jwks.json").json()["keys"]
        assert http.get("/auth/nothing").json()["code"] == "not_found"
        assert http.get("/auth/me/").status_code == 404  # as where the server runs by itself
        assert len(http.get("/auth/sessions?limit=1", headers=bearer).json()["sessions"]) == 1
        assert http.get("/nothing").json()["code"] == "not_found"
        assert http.get("/sessions").headers["content-type"].startswith("text/html")
        assert http.post("/auth/logout", headers=bearer).status_code == 204
        assert http.get("/reports", headers=bearer).status_code == 401
