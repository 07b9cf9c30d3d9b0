"""
The servers whose revocations are measured: `python -m bench.revocation_servers PLAN`.

A worker is evertoken with a route beside it that its own guard guards; workers share a store. The guard elsewhere is an
application that knows the issuer's address and a client credential.
"""

import asyncio
import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.effort import pin
from bench.processes import program
from bench.serve import begin_all, serve
from evertoken.accounts.clients import new_client
from evertoken.assembly import build
from evertoken.edge import logs
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.guards import Guard
from evertoken.guards.asgi import GuardMiddleware

GUARDED: Final = "/guarded"
CLIENT: Final = "bench-guard"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to start.

    Args:
        issuer: The address that the guard elsewhere knows: that of the pipe before the first worker.
        sessions: How many to begin; 0 for every worker but the first.
        secret: The client's, for the guard elsewhere; a worker has none.
    """

    folder: str
    issuer: str
    core: int
    sessions: int = 0
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a server says when it is ready."""

    port: int
    pid: int = field(default_factory=os.getpid)
    pairs: list[list[str]] = field(default_factory=list)
    secret: str = ""


async def _hello(_request: Request) -> Response:
    return JSONResponse({"hello": "world"})


def _behind(guard: Any) -> Any:
    return GuardMiddleware(Starlette(routes=[Route(GUARDED, _hello)]), guard)


async def _worker(plan: Plan, settings: Settings) -> tuple[Any, Ready]:
    """evertoken, and beside it a route that its own guard guards."""
    server = build(settings)
    await server.start()
    guarded = _behind(server.guard)
    ready = Ready(settings.port)
    if plan.sessions:
        pairs = [list(pair) for pair in await begin_all(server, plan.sessions)]
        client, secret = new_client(CLIENT, now_ms=server.services.clock())
        await server.store.add_client(client)
        ready = Ready(settings.port, pairs=pairs, secret=secret.reveal())

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await (guarded if scope.get("path") == GUARDED else server.app)(scope, receive, send)

    return dispatch, ready


async def _elsewhere(plan: Plan, settings: Settings) -> tuple[Any, Ready]:
    guard = Guard(plan.issuer, plan.issuer, client_id=CLIENT, client_secret=plan.secret)
    await asyncio.to_thread(guard.start)
    return _behind(guard), Ready(settings.port)


async def main(plan: Plan) -> None:
    """Start, tell, serve until standard input ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    settings = Settings(
        port=listener.getsockname()[1],
        issuer=plan.issuer,
        store=str(Path(plan.folder) / "revocation.db"),
        overlap=timedelta(0),
    )
    app, ready = await (_elsewhere if plan.secret else _worker)(plan, settings)
    await serve(uvicorn_config(app, settings), ready, listener)


@contextlib.contextmanager
def running(plan: Plan, name: str) -> Iterator[Ready]:
    with program("bench.revocation_servers", plan, Path(plan.folder) / f"{name}.log") as (_, told):
        yield Ready(**told)


if __name__ == "__main__":
    the_plan = Plan(**json.loads(sys.argv[1]))
    pin(the_plan.core)
    logs.configure(level="warning", as_json=False)
    uvloop.run(main(the_plan))
