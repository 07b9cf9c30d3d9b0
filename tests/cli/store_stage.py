"""What the tests of `evertoken store` share: commands as an operator types them, and a server's secret."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evertoken.accounts.users import User
from evertoken.assembly import open_store
from evertoken.cli import group
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.errors import EvertokenError
from evertoken.secret import Secret
from evertoken.sessions.model import Caller, NewSession
from evertoken.stores.store import Store
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from evertoken.tokens.server_secrets import SecretRing

SECRET = "0123456789abcdef0123456789abcdef"
Run = Callable[..., Result]


def typing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `evertoken ARGS` in a folder, with the server's secret; `typed` is what comes from standard input."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("EVERTOKEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EVERTOKEN_SECRET", SECRET)

    def runner(*arguments: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(group, list(arguments), input=typed)
        if isinstance(result.exception, EvertokenError):
            return result
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return runner


def said(result: Result) -> str:
    """All that a command said, the error that ended it included."""
    return result.output + (str(result.exception) if isinstance(result.exception, EvertokenError) else "")


class Filled:
    """A store at a location with a user and sessions of theirs, made as a server does."""

    def __init__(self, location: str, *, users: str = "") -> None:
        self.settings = Settings(store=location, users_store=users, secret=(Secret(SECRET),))
        self.tokens: list[RefreshToken] = []

    def make(self, sessions: int = 3, *, name: str = "ada") -> "Filled":
        """Add a user, and sign them in so often."""
        ring = SecretRing(self.settings.secret)

        async def work(store: Store) -> None:
            user = User(f"u_{name}", name, "hash", 0, False, (), system_clock())
            await store.add_user(user)
            for _ in range(sessions):
                first = refresh_token.first(session_id=os.urandom(16), delivery=Delivery.BODY, now_ms=system_clock())
                token = refresh_token.parse(refresh_token.mint(first, ring), ring)
                new = NewSession(user.id, name, 0, "web", token, Caller("192.0.2.1", "Laptop"))
                assert await store.create(new) is not None
                self.tokens.append(token)

        self.run(work)
        return self

    def run(self, work: Callable[[Store], object]) -> None:
        """Run `work(store)` on the store."""

        async def opened() -> None:
            store = open_store(self.settings)
            try:
                await store.start()
                await work(store)  # type: ignore[misc]
            finally:
                await store.stop()

        asyncio.run(opened())


def sql(path: Path | str, statement: str) -> None:
    """A statement by hand."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
