"""
One framework under measurement, a process of its own: `python -m bench.guards_server '{"kind": "flask", ...}'`.

Its routes all say the same. Some are open, some behind evertoken's guard, some behind another library's. The server is
uvicorn as the examples start it, without what `evertoken serve` puts before its own routes.
"""

import dataclasses
import importlib
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
import uvloop

from bench.effort import pin
from bench.serve import Plan, Ready, begin_all, serve, settings_of
from evertoken.assembly import build
from evertoken.edge import logs
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.revoked import RevokedSessions
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.jws import KeySource, Verifies
from evertoken.tokens.signing_keys import Algorithm

ALGORITHMS = (Algorithm.ES256, Algorithm.HS256)
PEER = "peer"
ACCESS_LIFETIME_MS = 3_600_000
KEEP_ALIVE_SECONDS = 600
"""Each side's connections are idle while the others have their turns, for long on a busy machine."""


@dataclass(frozen=True, slots=True)
class Routes:
    """
    What a framework's module makes.

    Args:
        apps: The ASGI application for each path.
        peer_tokens: Access tokens of the other library, if there is one.
    """

    apps: dict[str, Any]
    peer_tokens: list[str] = field(default_factory=list)


class AnyOf:
    """The keys of several issuers of one name, as after a change of the algorithm."""

    def __init__(self, sources: Sequence[KeySource]) -> None:
        self._sources = sources

    def find(self, kid: str, *, now_ms: int) -> Verifies | None:
        """The key, wherever it is."""
        found = (source.find(kid, now_ms=now_ms) for source in self._sources)
        return next((key for key in found if key is not None), None)


async def routes(plan: Plan, listener: socket.socket) -> tuple[Any, Ready]:
    """
    The framework's applications as one, and tokens for them.

    `/forget` empties the guard's memory, so that the next sight of a token is its first.
    """
    port = listener.getsockname()[1]
    settings = settings_of(plan, port)
    keys: list[KeySource] = []
    tokens: dict[str, list[str]] = {}
    for algorithm in ALGORITHMS:
        server = build(settings_of(dataclasses.replace(plan, algorithm=algorithm.value), port))
        await server.start()
        keys.append(server.services.keys)
        tokens[algorithm.value] = [access for _, access in await begin_all(server, plan.access_tokens)]
    rules = AccessTokenRules(settings.issuer_url, settings.audience_name)
    guard = AccessCheck(AnyOf(keys), rules, RevokedSessions(access_lifetime_ms=ACCESS_LIFETIME_MS))
    made: Routes = await importlib.import_module(f"bench.guards_{plan.kind}").routes(guard)
    tokens[PEER] = made.peer_tokens
    apps = made.apps | {"/forget": _Forget(guard)}

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await apps[scope["path"]](scope, receive, send)

    return dispatch, Ready(port, access_tokens=tokens)


class _Forget:
    def __init__(self, guard: AccessCheck) -> None:
        self._guard = guard

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self._guard.forget()
        await send({"type": "http.response.start", "status": 204, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Any, send: Any) -> None:
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})


async def main(plan: Plan) -> None:
    """Start, tell, serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    app, ready = await routes(plan, listener)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    await serve(config, ready, listener)


if __name__ == "__main__":
    asked = Plan(**json.loads(sys.argv[1]))
    pin(asked.core)
    logs.configure(level="warning", as_json=True)
    uvloop.run(main(asked))
