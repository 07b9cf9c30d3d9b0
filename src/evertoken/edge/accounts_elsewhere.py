"""Users in the host application's own table: asked with a time limit, and remembered for at most two seconds."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, TypeVar

from evertoken.accounts.users import User, UserDirectory
from evertoken.clock import Clock
from evertoken.errors import HookFailed, TemporarilyUnavailable
from evertoken.secret import Secret
from evertoken.sessions.model import AccountState
from evertoken.sessions.store import SessionStore

K = TypeVar("K")
V = TypeVar("V")

REMEMBER_MS: Final = 2_000
MAX_REMEMBERED: Final = 10_000
ANSWER_WITHIN_SECONDS = 5.0
"""How long the application's table may take: behind one that hangs, requests would pile up without end."""

_log = logging.getLogger(__name__)

_GONE: Final = AccountState(epoch=-1, disabled=True, username="", roles=())


class DirectoryElsewhere:
    """
    The application's `UserDirectory`, whose faults are never anybody's sign-out.

    It has the three methods of the protocol and no more: passwords kept elsewhere are changed elsewhere.

    Raises:
        HookFailed: the directory raised, or did not answer in time; on every method.
    """

    def __init__(self, directory: UserDirectory) -> None:
        self._directory = directory

    async def find_by_username(self, username: str) -> User | None:
        """As the application answers."""
        return await _answered(self._directory.find_by_username(username))

    async def find_by_id(self, user_id: str) -> User | None:
        """As the application answers."""
        return await _answered(self._directory.find_by_id(user_id))

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        """As the application answers."""
        return await _answered(self._directory.verify_password(user, password))


async def _answered(question: Awaitable[V]) -> V:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await question
    except TemporarilyUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the application's own, whatever it is
        # The class alone: a database driver's message quotes what it was asked, and the password with it.
        _log.error("the user directory failed: %s", type(error).__name__)
        raise HookFailed("the user directory failed") from None


class RememberedAccounts:
    """
    Answers `SessionService`'s question about a session's user from the application's table.

    Whose a session is never changes, so that is remembered for longer; what the user is, for two seconds.
    """

    def __init__(self, store: SessionStore, directory: UserDirectory, *, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._owner: dict[bytes, str] = {}
        self._state: dict[str, tuple[AccountState, int]] = {}

    async def state_of(self, session_id: bytes, *, anew: bool = False) -> AccountState:
        """
        The state of a session's user; disabled where there is no such user or session.

        Raises:
            HookFailed: the application's directory failed.
            StoreUnavailable: the session's owner could not be looked up.
        """
        user_id = self._owner.get(session_id)
        if user_id is None:
            record = await self._store.find(session_id)
            if record is None:
                return _GONE
            user_id = record.user_id
            _remember(self._owner, session_id, user_id)
        now_ms = self._clock()
        known = self._state.get(user_id)
        if not anew and known is not None and 0 <= now_ms - known[1] < REMEMBER_MS:
            return known[0]
        state = await self._ask(user_id)
        _remember(self._state, user_id, (state, now_ms))
        return state

    async def _ask(self, user_id: str) -> AccountState:
        user = await self._directory.find_by_id(user_id)
        if user is None:
            return _GONE
        return AccountState(user.epoch, user.disabled, user.username, user.roles)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
