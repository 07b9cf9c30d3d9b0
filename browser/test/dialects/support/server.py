"""
evertoken's server, once for each dialect, beside an application of three routes that the guard keeps in that dialect.

One JSON command per line, each is answered. Each server has a clock of its own that can be moved.
"""
# ruff: noqa: INP001

import asyncio
import io
import json
import socket
import sqlite3
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from serving import MovedClock, Serving
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from evertoken.accounts.passwords import HashingParameters
from evertoken.accounts.users import User
from evertoken.assembly import build
from evertoken.edge import logs
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.guards.asgi import GuardMiddleware
from evertoken.secret import Secret

_PASSWORD = "correct-horse-battery"  # noqa: S105 - of a test
_WEAK = HashingParameters(1, 64, 1, weak_for_tests=True)
_APPLICATION = ("/aaa", "/bbb")


class _Log(io.StringIO):
    """Keeps what the servers log; what went wrong is shown as well."""

    def write(self, text: str) -> int:
        if '"level": "error"' in text and sys.__stderr__ is not None:
            sys.__stderr__.write(text)
        return super().write(text)


async def _resource(request: Request) -> Response:
    """Say what was asked for, and how long its body was."""
    return JSONResponse({"path": request.url.path, "length": len(await request.body())})


def _application(guard: Any, clock: MovedClock, page: str) -> Any:
    """`/aaa` is everybody's, `/bbb` and what is below it are kept; pages of one other origin may call."""
    methods = ["GET", "POST", "PUT"]
    routes = [Route("/aaa", _resource), Route("/bbb{rest:path}", _resource, methods=methods)]
    cors = Middleware(
        CORSMiddleware, allow_origins=[page], allow_methods=methods, allow_headers=["*"], allow_credentials=True
    )
    guarding = Middleware(GuardMiddleware, guard=guard, public=["/aaa"], clock=clock)
    return Starlette(routes=routes, middleware=[cors, guarding])


class _Running:
    """One server and its application on one port."""

    def __init__(self, folder: Path, *, dialect: str, issuer: str, page: str, overlap: int) -> None:
        self._clock = MovedClock()
        self._file = folder / "evertoken.db"
        settings = Settings(
            port=_free_port(),
            issuer=issuer,
            store=str(self._file),
            overlap=timedelta(seconds=overlap),
            access_lifetime=timedelta(minutes=30),
            idle_lifetime=timedelta(days=7),
            allowed_origins=() if page == issuer else (page,),
            secret=(Secret("the first secret of these tests, 32 long"),),
            password_min_length=15,
            dialects=(dialect,),
            allow_token_in_url=True,
        )
        self.port = settings.port
        self._server = build(settings, clock=self._clock, hashing_parameters=_WEAK)
        self._application = _application(self._server.guard.speaking(dialect), self._clock, page)
        self._serving = Serving(uvicorn_config(self, settings))
        hashed = self._server.hashing.hash_now(Secret(_PASSWORD))
        self._run(self._server.store.add_user(User("u_ada", "ada", hashed, 0, False, (), self._clock())))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_ours = scope["type"] == "http" and scope["path"].startswith(_APPLICATION)
        await (self._application if is_ours else self._server.app)(scope, receive, send)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._serving.loop).result(30)

    def stop(self) -> None:
        self._serving.stop()

    def move(self, seconds: float) -> None:
        self._clock.ahead_ms += round(seconds * 1000)

    def records(self) -> dict[str, Any]:
        """How the password is kept, read past the server."""
        with sqlite3.connect(f"file:{self._file}?mode=ro", uri=True) as database:
            (hashed,) = database.execute("SELECT password_hash FROM users WHERE username = 'ada'").fetchone()
        kept = b"".join(file.read_bytes() for file in self._file.parent.iterdir())
        kind = "an Argon2id hash" if hashed.startswith("$argon2id$") else "something else"
        return {"hash": kind, "holdsPassword": _PASSWORD.encode() in kept}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    log = _Log()
    sys.stderr = log
    logs.configure(level="info", as_json=True)
    sys.stderr = sys.__stderr__
    running: dict[str, _Running] = {}
    with tempfile.TemporaryDirectory(prefix="evertoken-dialects-") as folder:
        try:
            for line in sys.stdin:
                command = json.loads(line)
                told: dict[str, Any] = {}
                what, name = command.pop("do"), command.pop("name")
                if what == "open":
                    place = Path(folder) / name.replace(" ", "-")
                    place.mkdir()
                    running[name] = _Running(place, **command)
                    told = {"port": running[name].port}
                elif what == "move":
                    running[name].move(**command)
                elif what == "records":
                    told = {**running[name].records(), "log": log.getvalue()}
                else:
                    raise ValueError(f"no command: {what}")
                sys.stdout.write(f"{json.dumps(told)}\n")
                sys.stdout.flush()
        finally:
            for each in running.values():
                each.stop()


if __name__ == "__main__":
    main()
