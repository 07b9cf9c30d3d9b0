"""One server that speaks every built-in dialect, an application behind a guard of each, and sessions before them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.client import Session
from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.wire.dialects.known import NAMES
from tests.frameworks.asgi_serving import serving_asgi
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

EVERY = tuple(f"/{name}={name}" for name in NAMES)
ACCESS_SECONDS = 1800


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for the whole file; time only goes on."""
    folder = tmp_path_factory.mktemp("server")
    with live_server(folder, clock=MovingClock(), dialects=EVERY, allow_token_in_url=True) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def guarded(live: LiveServer) -> Iterator[Mapping[str, str]]:
    """By dialect, the URL of an application of one's own, guarded in that dialect."""

    async def whoever(request: Request) -> JSONResponse:
        body = (await request.body()).decode()
        return JSONResponse({"sub": request.scope[CLAIMS_KEY].sub, "jti": request.scope[CLAIMS_KEY].jti, "body": body})

    app = Starlette(routes=[Route("/whoever", whoever, methods=["GET", "POST"])])
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serving_asgi(GuardMiddleware(app, live.server.guard.speaking(name), clock=live.clock))
            )
            for name in NAMES
        }


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each built-in dialect."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def session_of(live: LiveServer, guarded: Mapping[str, str]) -> Callable[..., Session]:
    """Makes a session in a dialect, signed in as ada unless told otherwise."""

    def make(name: str, *, signed_in: bool = True, **options: Any) -> Session:
        session = Session(f"{live.url}/{name}", **{"dialect": name, "origins": [guarded[name]]} | options)
        if signed_in:
            session.login("ada", PASSWORD)
        return session

    return make
