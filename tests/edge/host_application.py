"""The host application's part, for tests: its user directories and hooks, and what may go wrong with them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from evertoken.accounts.users import User
from evertoken.secret import Secret
from evertoken.sessions.issuer import Subject
from evertoken.sessions.model import Event
from tests.support.server import PASSWORD

ADA = User("u_ada", "ada", None, 0, False, ("editor",), 0)


class Directory:
    """Knows Ada. `mood` says what its methods do: answer, raise, hang, or disable Ada while a password is checked."""

    def __init__(self) -> None:
        self.mood = "answers"
        self.user = ADA

    async def _behave(self) -> None:
        if self.mood == "raises":
            raise RuntimeError(f"the table is gone; the password was {PASSWORD}")
        if self.mood == "hangs":
            await asyncio.Event().wait()

    async def find_by_username(self, username: str) -> User | None:
        await self._behave()
        return self.user if username == self.user.username else None

    async def find_by_id(self, user_id: str) -> User | None:
        await self._behave()
        return self.user if user_id == self.user.id else None

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        await self._behave()
        return user is not None and password == Secret(PASSWORD)


class WritingDirectory(Directory):
    """One that could hash passwords, though nobody could store the hash."""

    async def hash_new_password(self, password: Secret) -> str:
        raise AssertionError("nobody keeps this")


directory = Directory()
writing_directory = WritingDirectory()


class Hooks:
    """A claims hook and an event hook; `result` is what the first returns or raises."""

    def __init__(self) -> None:
        self.result: Any = {"tenant": "acme"}

    def claims(self, subject: Subject) -> Mapping[str, Any]:
        if isinstance(self.result, Exception):
            raise self.result
        claims: Mapping[str, Any] = self.result
        return claims

    def event(self, event: Event) -> None:
        raise RuntimeError("the event hook is broken")

    async def slow_event(self, event: Event) -> None:
        raise RuntimeError("the event hook is broken")


hooks = Hooks()
