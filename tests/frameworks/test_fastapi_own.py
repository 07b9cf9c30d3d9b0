"""What FastAPI's users expect beyond the suite: their OpenAPI, routers, overrides, and the whole server in the app."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Security
from fastapi.exceptions import HTTPException
from fastapi.security import SecurityScopes
from starlette.requests import HTTPConnection

from evertoken.accounts.users import User
from evertoken.assembly import Server, build
from evertoken.edge.settings import Settings
from evertoken.guards import AccessTokenClaims
from evertoken.guards.asgi import GuardMiddleware
from evertoken.guards.fastapi import REFUSALS, Guarded, evertoken_router
from evertoken.secret import Secret
from tests.frameworks.asgi_serving import serving_asgi
from tests.frameworks.calling import Material, call
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, WEAK, client_at, free_port


@pytest.fixture
def material(clock: MovingClock) -> Material:
    return Material(clock)


@pytest.fixture
def guarded(material: Material) -> Guarded:
    return Guarded(material.guard, clock=material.clock)


def test_the_security_scheme_stands_in_the_applications_openapi(guarded: Guarded) -> None:
    """Guarded routes name an HTTP bearer scheme for JWTs, so the docs page has its "Authorize"; open ones do not."""
    app = FastAPI()

    @app.get("/open")
    async def open_to_all() -> None: ...

    @app.get("/guarded", dependencies=[Depends(guarded)], responses=REFUSALS)
    async def behind() -> None: ...

    @app.get("/scoped", dependencies=[Security(guarded, scopes=["read"])])
    async def scoped() -> None: ...

    @app.get("/admin", dependencies=[Depends(guarded.requiring(roles=["admin"]))])
    async def admin() -> None: ...

    described = json.loads(json.dumps(app.openapi()))
    assert described["components"]["securitySchemes"] == {
        "evertoken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of evertoken.",
        }
    }
    paths = described["paths"]
    assert "security" not in paths["/open"]["get"]
    assert paths["/guarded"]["get"]["security"] == [{"evertoken": []}]
    assert paths["/admin"]["get"]["security"] == [{"evertoken": []}]
    assert paths["/scoped"]["get"]["security"] == [{"evertoken": ["read"]}]
    answers = paths["/guarded"]["get"]["responses"]
    assert answers.keys() == {"200", "400", "401", "403", "503"}
    for status in ("400", "401", "403", "503"):
        assert list(answers[status]["content"]) == ["application/problem+json"]
    assert "WWW-Authenticate" in answers["401"]["headers"]
    assert "Retry-After" in answers["503"]["headers"]


def test_what_is_answered_is_what_is_described(guarded: Guarded, material: Material) -> None:
    """The members that REFUSALS promises are those of a real refusal."""
    app = FastAPI()

    @app.get("/", dependencies=[Depends(guarded.requiring(roles=["admin"]))])
    async def behind() -> None: ...

    for token, status in ((None, 401), ("a b", 400), (material.token(), 403)):
        answer = call(app, "/", token)
        (media_type,) = REFUSALS[status]["content"]
        schema = REFUSALS[status]["content"][media_type]["schema"]
        assert (answer.status, answer.headers["content-type"]) == (status, media_type)
        assert set(schema["required"]) <= json.loads(answer.body).keys()
        assert json.loads(answer.body)["status"] == schema["properties"]["status"]["const"]


def test_a_router_and_a_whole_application_can_be_guarded(guarded: Guarded, material: Material) -> None:
    """`dependencies=` of a router or of the application guards all that is in it, and the token is judged once."""
    judged: list[str] = []
    check = material.guard.recall

    class Counting:
        check = material.guard.check
        check_async = material.guard.check_async

        def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
            judged.append("once")
            return check(authorization, now_ms=now_ms)

    counted = Guarded(Counting(), clock=material.clock)
    app = FastAPI(dependencies=[Depends(counted)])
    router = APIRouter(prefix="/api", dependencies=[Depends(counted)])

    @router.get("/reports")
    async def reports(claims: Annotated[AccessTokenClaims, Depends(counted)]) -> str:
        return claims.sub

    app.include_router(router)
    assert call(app, "/api/reports").status == 401
    assert call(app, "/api/reports", material.token()).body == b'"u-1"'
    assert judged == ["once"]


def test_scopes_of_outer_dependencies_add_up(guarded: Guarded, material: Material) -> None:
    """`Security` around a dependency of your own hands its scopes down to the guard, as FastAPI means it."""
    app = FastAPI()

    async def person(claims: Annotated[AccessTokenClaims, Security(guarded, scopes=["read"])]) -> str:
        return claims.sub

    @app.get("/")
    async def behind(name: Annotated[str, Security(person, scopes=["write"])]) -> str:
        return name

    assert call(app, "/", material.token(scope="read write")).body == b'"u-1"'
    answer = call(app, "/", material.token(scope="read", jti="t-2"))
    assert (answer.status, answer.headers["www-authenticate"].partition("scope=")[2]) == (403, '"write read"')


def test_rights_add_up_where_requiring_is_called_twice(guarded: Guarded, material: Material) -> None:
    """Scopes are added to those demanded before; roles replace them."""
    app = FastAPI()
    twice = guarded.requiring(scopes=["read"], roles=["editor"]).requiring(scopes=["write"])
    other = guarded.requiring(roles=["editor"]).requiring(roles=["admin"])

    @app.get("/twice", dependencies=[Depends(twice)])
    async def first() -> None: ...

    @app.get("/other", dependencies=[Depends(other)])
    async def second() -> None: ...

    assert call(app, "/twice", material.token(scope="read write", roles=["editor"])).status == 200
    assert call(app, "/twice", material.token(scope="write", roles=["editor"])).status == 403
    assert call(app, "/twice", material.token(scope="read write", roles=["admin"])).status == 403
    assert [call(app, "/other", material.token(roles=[role])).status for role in ("admin", "editor")] == [200, 403]


def test_the_guard_can_be_overridden_in_the_users_own_tests(guarded: Guarded, material: Material) -> None:
    """`app.dependency_overrides[guarded]` stands in for it, as for any dependency."""
    app = FastAPI()
    claims = material.guard.check(material.token(sub="u-test"), now_ms=material.clock())

    @app.get("/")
    async def behind(claims: Annotated[AccessTokenClaims, Depends(guarded)]) -> str:
        return claims.sub

    app.dependency_overrides[guarded] = lambda: claims
    assert call(app, "/").body == b'"u-test"'


def test_a_mounted_application_answers_by_itself(guarded: Guarded) -> None:
    """A refusal in a mounted application is a problem as well, whatever the outer one handles."""
    outer, inner = FastAPI(exception_handlers={HTTPException: _own, 401: _own}), FastAPI()

    @inner.get("/", dependencies=[Depends(guarded)])
    async def behind() -> None: ...

    outer.mount("/inner", inner)
    assert call(outer, "/inner/").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("in_front", [False, True])
def test_a_body_that_is_no_json_is_fastapis_unless_the_middleware_stands_in_front(
    guarded: Guarded, material: Material, in_front: bool
) -> None:
    """FastAPI parses bodies before dependencies: 422 without a token, and no route run; with the middleware, 401."""
    app = FastAPI()
    if in_front:
        app.add_middleware(GuardMiddleware, guard=material.guard, clock=material.clock)

    @app.post("/", dependencies=[Depends(guarded)])
    async def behind(member: Annotated[int, Body(embed=True)]) -> int:
        return member

    def posted(body: bytes, token: str | None = None) -> int:
        return call(app, "/", token, method="POST", body=body, content_type=b"application/json").status

    assert posted(b"{") == (401 if in_front else 422)
    assert posted(b'{"member": "x"}') == 401
    assert posted(b'{"member": "x"}', material.token()) == 422
    assert posted(b'{"member": 1}', material.token()) == 200


async def _own(request: Any, error: Exception) -> Any:
    raise AssertionError("a refusal is none of these")


async def test_where_handlers_are_kept_elsewhere_a_refusal_is_fastapis_own(guarded: Guarded) -> None:
    """Should Starlette keep exception handlers elsewhere one day, status and challenge are right all the same."""
    with pytest.raises(HTTPException) as raised:
        await guarded(HTTPConnection({"type": "http", "headers": []}), SecurityScopes())
    assert raised.value.status_code == 401
    assert raised.value.headers == {"Cache-Control": "no-store", "WWW-Authenticate": 'Bearer realm="evertoken"'}


# ---- the whole server in the application ----


@contextlib.contextmanager
def embedded(folder: Path, *, guards_all: bool = False) -> Iterator[tuple[httpx2.Client, Server, list[str]]]:
    """An application with a lifespan, a route and a guard of its own, and the whole server in it."""
    port, told = free_port(), []
    server = build(Settings(port=port, store=str(folder / "evertoken.db")), hashing_parameters=WEAK)
    guarded = Guarded(server.guard)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        hashed = server.hashing.hash_now(Secret(PASSWORD))
        await server.store.add_user(User("u_ada", "ada", hashed, 0, False, ("editor",), 0))
        told.append("own begins")
        yield {"greeting": "hello"}
        told.append("own ends")

    app = FastAPI(lifespan=lifespan, dependencies=[Depends(guarded)] if guards_all else [])

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"whose": "the application's"}

    @app.get("/reports")
    async def reports(claims: Annotated[AccessTokenClaims, Depends(guarded)]) -> dict[str, Any]:
        return {"for": claims.extra["preferred_username"]}

    app.include_router(evertoken_router(server))

    @app.get("/late")
    async def late() -> str:
        return "after the server"

    with serving_asgi(app, port=port) as url, client_at(url) as http:
        yield http, server, told


def test_the_whole_server_is_included_with_one_line(tmp_path: Path) -> None:
    """Sign-in, refresh, a guarded route and sign-out work in one application, and an ended session is out at once."""
    with embedded(tmp_path) as (http, _, told):
        assert told == ["own begins"]
        tokens = http.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get("/reports", headers=bearer).json() == {"for": "ada"}
        renewed = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert renewed.status_code == 200
        fresh = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
        assert http.get("/reports", headers=fresh).status_code == 200
        assert http.post("/auth/logout", headers=fresh).status_code == 204
        assert http.get("/reports", headers=fresh).status_code == 401
        assert http.get("/reports", headers=bearer).status_code == 401
    assert told == ["own begins", "own ends"]


def test_the_server_takes_its_own_places_and_no_other(tmp_path: Path) -> None:
    """Below its places evertoken answers, preflights and unknown paths included; elsewhere the application does."""
    with embedded(tmp_path) as (http, _, _):
        assert http.get("/healthz").json() == {"whose": "the application's"}
        assert http.get("/readyz").json() == {"status": "ready"}
        assert http.get("/late").json() == "after the server"
        assert http.get("/.well-known/jwks.json").json()["keys"]
        assert http.get("/oauth/nothing").headers["x-content-type-options"] == "nosniff"
        for path in ("/auth", "/auth/", "/auth/nothing", "/admin/nothing"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert http.put("/auth/login").json()["code"] == "method_not_allowed"
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        assert http.request("OPTIONS", "/auth/login", headers=preflight).status_code == 403
        for path in ("/nothing", "/authority", "/administrator"):
            assert http.get(path).json() == {"detail": "Not Found"}
        described = http.get("/openapi.json").json()
        assert described["paths"].keys() == {"/healthz", "/reports", "/late"}


def test_a_guard_in_front_of_the_whole_application_does_not_shut_the_server(tmp_path: Path) -> None:
    """`FastAPI(dependencies=[Depends(guarded)])` guards your routes; people can still sign in."""
    with embedded(tmp_path, guards_all=True) as (http, _, _):
        assert http.get("/late").status_code == 401
        tokens = http.post("/auth/login", json={"username": "ada", "password": PASSWORD}).json()
        assert http.get("/late", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code == 200


def test_the_servers_pages_are_there(tmp_path: Path) -> None:
    """The page "my sessions" and its files are served inside the application, under its own content security policy."""
    with embedded(tmp_path) as (http, _, _):
        page = http.get("/sessions")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert http.get("/pages/style.css").status_code == 200
        assert http.get("/auth/client.js").status_code == 200


def test_closing_the_application_closes_the_server(tmp_path: Path) -> None:
    """The server's lifespan is left with the application's: its store is closed, nothing of it stays open."""
    log = tmp_path / "evertoken.db-wal"
    with embedded(tmp_path) as (http, _, _):
        assert http.get("/readyz").status_code == 200
        assert log.exists()
    assert not log.exists()
