"""
The servers under measurement, each a process of its own: `python -m bench.serve '{"kind": ...}'`.

When it is ready, a server writes one line of JSON to standard output; when its standard input ends, it stops. So
none outlives the bench, however that ends.
"""

import asyncio
import dataclasses
import json
import os
import socket
import sqlite3
import sys
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.effort import pin
from evertoken.accounts.users import User
from evertoken.assembly import Server, build
from evertoken.edge import logs
from evertoken.edge.answers import json_answer
from evertoken.edge.requests import read_json
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.sessions.model import Caller
from evertoken.sessions.service import SignedInUser
from evertoken.store_address import is_server
from evertoken.stores.sqlite import connection as sqlite_connection
from evertoken.tokens.refresh_token import Delivery
from evertoken.tokens.signing_keys import Algorithm

PASSWORD = "correct-horse-battery"
NOTHING = "/auth/nothing"
DURABLE = 2
"""What `Ready.synchronous` is where a commit is on the disk when it returns; for SQLite that is FULL."""

_SECRET = "of-the-bench-and-of-nothing-else-at-all"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to start.

    Args:
        folder: Where its database and its log go.
        kind: `tokens` is evertoken itself; for `bench.guards_server` it is the framework.
        core: The core to stay on; None for any.
        sessions: How many sessions to begin beforehand.
        users: How many users have a password that costs what the settings' defaults cost.
        access_tokens: How many access tokens to make of sessions of their own.
        store: The address of a database server, in place of a SQLite file in the folder.
    """

    folder: str
    kind: str = "tokens"
    core: int | None = None
    algorithm: str = "ES256"
    sessions: int = 0
    users: int = 0
    access_tokens: int = 0
    store: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What the bench is told of a server that runs."""

    port: int
    synchronous: int = 0
    refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: dict[str, list[str]] = field(default_factory=dict)


class NothingBody(msgspec.Struct):
    """What a POST that does nothing takes: as large as a refresh."""

    refresh_token: str


_NOTHING = msgspec.json.Decoder(NothingBody)


def settings_of(plan: Plan, port: int) -> Settings:
    """As for everybody, but: every successor counts at once, so that every refresh after the first is an ADVANCE."""
    return Settings(
        port=port,
        store=plan.store or str(Path(plan.folder) / f"{plan.algorithm}.db"),
        secret=(Secret(_SECRET),) if plan.store else (),
        algorithm=Algorithm(plan.algorithm),
        overlap=timedelta(0),
        free_failures_per_address=250,  # the flood of sign-ins comes from one address
    )


async def _tokens(plan: Plan, listener: socket.socket) -> tuple[Any, Settings, Ready]:
    settings = settings_of(plan, listener.getsockname()[1])
    server = build(settings)
    _add_nothing(server)
    await server.start()
    await _add_users(server, plan.users)
    texts = [refresh for refresh, _ in await begin_all(server, plan.sessions)]
    return server.app, settings, Ready(settings.port, await _synchronous(settings), texts)


def _add_nothing(server: Server) -> None:
    """
    A POST that reads its JSON and answers a little, beside the routes of the server and inside the same envelope.

    It comes first, so that no other route is tried before it.
    """
    limit = server.services.settings.max_body_bytes

    async def nothing(request: Request) -> Response:
        await read_json(request, _NOTHING, limit=limit)
        return json_answer({"done": True})

    server.app._router.routes.insert(0, Route(NOTHING, nothing, methods=["POST"]))


async def _add_users(server: Server, count: int) -> None:
    if not count:
        return
    hashed = server.hashing.hash_now(Secret(PASSWORD))  # one for all: what checking it costs is the same
    for number in range(count):
        name = f"user{number}"
        await server.store.add_user(User(f"u_{name}", name, hashed, 0, False, ("member",), server.services.clock()))


async def begin_all(server: Server, count: int) -> list[tuple[str, str]]:
    """Sessions of users of their own, each as its refresh token and its access token."""
    return await asyncio.gather(*(_begin(server, number) for number in range(count)))


async def _begin(server: Server, number: int) -> tuple[str, str]:
    name = f"member{number}"
    await server.store.add_user(User(f"u_{name}", name, "", 0, False, ("member",), server.services.clock()))
    granted = await server.services.sessions.begin(
        SignedInUser(f"u_{name}", name, 0, ("member",)),
        Caller("127.0.0.1", "evertoken-bench/1"),
        client_id="bench",
        delivery=Delivery.BODY,
    )
    assert granted is not None
    assert granted.refresh_token is not None
    return granted.refresh_token, granted.access_token


async def _synchronous(settings: Settings) -> int:
    """What the database says of a connection opened as the writer's is."""
    if is_server(settings.store):
        from evertoken.stores.postgresql.connection import connect  # noqa: PLC0415 - with the driver

        server = await connect(settings.store, schema="evertoken")
        try:
            return DURABLE if await server.fetchval("SHOW synchronous_commit") in ("on", "remote_apply") else 0
        finally:
            await server.close()
    connection = sqlite_connection.open_for_writing(Path(settings.store))
    try:
        found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
    except sqlite3.Error:
        return -1
    else:
        return found
    finally:
        connection.close()


async def main(plan: Plan) -> None:
    """Start, tell, serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    app, settings, ready = await _tokens(plan, listener)
    await serve(uvicorn_config(app, settings), ready, listener)


async def serve(config: uvicorn.Config, ready: Any, listener: socket.socket) -> None:
    """Serve, say so when it is ready, and stop when standard input ends."""
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_with_our_parent, args=(server,), daemon=True).start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        print(json.dumps(dataclasses.asdict(ready)), flush=True)
    await serving


def _stop_with_our_parent(server: uvicorn.Server) -> None:
    os.read(0, 1)
    server.should_exit = True


if __name__ == "__main__":
    asked = Plan(**json.loads(sys.argv[1]))
    pin(asked.core)
    logs.configure(level="info", as_json=True)
    uvloop.run(main(asked))
