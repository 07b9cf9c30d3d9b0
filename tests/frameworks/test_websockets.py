"""WebSockets behind the guards of Starlette, FastAPI and Litestar: refused before they are accepted."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import litestar
import pytest
from fastapi import Depends, FastAPI, Security
from litestar.datastructures import State
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from evertoken.clock import Clock
from evertoken.guards import AccessTokenClaims, ChecksAccess
from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.guards.fastapi import Guarded
from evertoken.guards.litestar import TokenAuth
from evertoken.guards.litestar import requires as litestar_requires
from evertoken.guards.starlette import TokenAuthentication, TokenBackend, on_error, requires
from tests.frameworks.calling import Material, Shut, connect
from tests.support.clock import MovingClock

Make = Callable[[ChecksAccess, Clock], Any]

_Socket = litestar.WebSocket[AccessTokenClaims, AccessTokenClaims, State]


async def _greet(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    await websocket.send_text(name)
    await websocket.close()


def starlette_middleware(guard: ChecksAccess, clock: Clock) -> Any:
    async def echo(websocket: WebSocket) -> None:
        await _greet(websocket, websocket.scope[CLAIMS_KEY].sub)

    def behind(**rights: Any) -> list[Middleware]:
        return [Middleware(lambda app: GuardMiddleware(app, guard, clock=clock, **rights))]

    return Starlette(
        routes=[
            WebSocketRoute("/guarded", echo, middleware=behind()),
            WebSocketRoute("/admin", echo, middleware=behind(roles=["admin"])),
            WebSocketRoute("/scoped", echo, middleware=behind(scopes=["read"])),
        ]
    )


def starlette_authentication(guard: ChecksAccess, clock: Clock) -> Any:
    return _starlette_requires(Middleware(TokenAuthentication, guard=guard, clock=clock))


def _starlette_requires(middleware: Middleware) -> Any:
    async def echo(websocket: WebSocket) -> None:
        await _greet(websocket, websocket.user.identity)

    return Starlette(
        routes=[
            WebSocketRoute("/guarded", requires()(echo)),
            WebSocketRoute("/admin", requires(roles=["admin"])(echo)),
            WebSocketRoute("/scoped", requires("read")(echo)),
        ],
        middleware=[middleware],
    )


def fastapi(guard: ChecksAccess, clock: Clock) -> Any:
    guarded = Guarded(guard, clock=clock)
    app = FastAPI()

    @app.websocket("/guarded")
    async def plain(websocket: WebSocket, claims: Annotated[AccessTokenClaims, Depends(guarded)]) -> None:
        await _greet(websocket, claims.sub)

    @app.websocket("/admin")
    async def admin(
        websocket: WebSocket, claims: Annotated[AccessTokenClaims, Depends(guarded.requiring(roles=["admin"]))]
    ) -> None:
        await _greet(websocket, claims.sub)

    @app.websocket("/scoped")
    async def scoped(
        websocket: WebSocket, claims: Annotated[AccessTokenClaims, Security(guarded, scopes=["read"])]
    ) -> None:
        await _greet(websocket, claims.sub)

    return app


def with_litestar(guard: ChecksAccess, clock: Clock) -> Any:
    async def greet(socket: _Socket) -> None:
        await socket.accept()
        await socket.send_text(socket.auth.sub)
        await socket.close()

    @litestar.websocket("/guarded")
    async def plain(socket: _Socket) -> None:
        await greet(socket)

    @litestar.websocket("/admin", guards=[litestar_requires(roles=["admin"])])
    async def admin(socket: _Socket) -> None:
        await greet(socket)

    @litestar.websocket("/scoped", guards=[litestar_requires("read")])
    async def scoped(socket: _Socket) -> None:
        await greet(socket)

    return litestar.Litestar([plain, admin, scoped], plugins=[TokenAuth(guard, clock=clock)], logging_config=None)


EVERY: Final[dict[str, Make]] = {
    "GuardMiddleware": starlette_middleware,
    "TokenAuthentication": starlette_authentication,
    "FastAPI": fastapi,
    "Litestar": with_litestar,
}


@pytest.fixture(params=EVERY.values(), ids=list(EVERY))
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def test_a_good_token_is_greeted(make: Make, clock: MovingClock) -> None:
    """A WebSocket with a good token is accepted, and its route knows whose it is."""
    material = Material(clock)
    app = make(material.guard, clock)
    for path, claims in (("/guarded", {}), ("/admin", {"roles": ["admin"]}), ("/scoped", {"scope": "read"})):
        spoken = connect(app, path, material.token(**claims))
        assert spoken.kinds[0] == "websocket.accept"
        assert spoken.text == "u-1"


def test_a_bad_token_and_none_are_closed_before_they_are_accepted(make: Make, clock: MovingClock) -> None:
    """Without a good token the handshake fails: 1008, and the reason is the problem's code."""
    material = Material(clock)
    app = make(material.guard, clock)
    expired = material.token(exp=clock() // 1000)
    for path in ("/guarded", "/admin", "/scoped"):
        assert connect(app, path).closed == (1008, "token_invalid")
        assert connect(app, path, "x").closed == (1008, "token_invalid")
        assert connect(app, path, "x y").closed == (1008, "invalid_request")
        assert connect(app, path, expired).closed == (1008, "token_expired")


def test_a_token_without_the_right_is_closed_before_it_is_accepted(make: Make, clock: MovingClock) -> None:
    """A missing role or scope fails the handshake as well."""
    material = Material(clock)
    app = make(material.guard, clock)
    token = material.token(roles=["editor"], scope="write")
    for path in ("/admin", "/scoped"):
        assert connect(app, path, token).closed == (1008, "insufficient_rights")


def test_an_ended_session_opens_no_socket(make: Make, clock: MovingClock) -> None:
    """A revoked session's token, seen before, opens nothing any more."""
    material = Material(clock)
    app, token = make(material.guard, clock), material.token(sid="s-9")
    assert connect(app, "/guarded", token).text == "u-1"
    material.revoked.add("s-9", revoked_at_ms=clock())
    assert connect(app, "/guarded", token).closed == (1008, "token_invalid")


def test_a_guard_that_cannot_judge_says_try_again_later(make: Make, clock: MovingClock) -> None:
    """Where the answer to a request were 503, a WebSocket is closed with 1013."""
    token = Material(clock).token()
    assert connect(make(Shut(), clock), "/guarded", token).closed == (1013, "unavailable")


def test_starlettes_own_middleware_closes_a_bad_token_its_own_way(clock: MovingClock) -> None:
    """With `TokenBackend` the middleware is Starlette's: it closes a bad token with 1000, and nobody gets in."""
    material = Material(clock)
    middleware = Middleware(
        AuthenticationMiddleware, backend=TokenBackend(material.guard, clock=clock), on_error=on_error
    )
    app = _starlette_requires(middleware)
    assert connect(app, "/guarded", material.token()).text == "u-1"
    assert connect(app, "/guarded", "x").closed == (1000, "")
    assert connect(app, "/guarded").closed == (1008, "token_invalid")
