"""Users in the host application's own table, as a refresh needs them: remembered for at most two seconds."""

from typing import Final, TypeVar

from evertoken.accounts.users import UserDirectory
from evertoken.clock import Clock
from evertoken.errors import HookFailed, TemporarilyUnavailable
from evertoken.sessions.model import AccountState
from evertoken.sessions.store import SessionStore

K = TypeVar("K")
V = TypeVar("V")

REMEMBER_MS: Final = 2_000
MAX_REMEMBERED: Final = 10_000

_GONE: Final = AccountState(epoch=-1, disabled=True, username="", roles=())


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

    async def state_of(self, session_id: bytes) -> AccountState:
        """
        The state of a session's user; disabled where there is no such user or session.

        Raises:
            HookFailed: the application's directory raised.
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
        if known is not None and 0 <= now_ms - known[1] < REMEMBER_MS:
            return known[0]
        state = await self._ask(user_id)
        _remember(self._state, user_id, (state, now_ms))
        return state

    async def _ask(self, user_id: str) -> AccountState:
        try:
            user = await self._directory.find_by_id(user_id)
        except TemporarilyUnavailable:
            raise
        except Exception as error:
            raise HookFailed("the user directory failed") from error
        if user is None:
            return _GONE
        return AccountState(user.epoch, user.disabled, user.username, user.roles)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
