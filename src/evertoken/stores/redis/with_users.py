"""
Sessions in Redis, users in a store beside it.

Session and user cannot be looked at in one step, so a user's state is asked for before a batch is decided, and
remembered for at most two seconds. In this process a change is known at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar, Unpack

from evertoken.accounts.users import User, UserPage
from evertoken.clock import monotonic_seconds
from evertoken.errors import ConfigurationError
from evertoken.sessions.model import (
    AccountChange,
    AccountState,
    Caller,
    Ended,
    Event,
    EventKind,
    NewSession,
    RotationRequest,
    RotationResult,
)
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.redis.store import Manner, RedisStore
from evertoken.stores.store import Store

REMEMBER_SECONDS: Final = 2.0
MAX_REMEMBERED: Final = 100_000

K = TypeVar("K")
V = TypeVar("V")

_GONE: Final = AccountState(epoch=-1, disabled=True, username="", roles=())


class RedisWithUsers(RedisStore):
    """
    Implements all of `Store`.

    Args:
        users: Who keeps the users; its own tables of sessions stay empty. None where the host application does: then
            every request brings the state of its user, and nobody is added here.
        remember_seconds: How long a user's state may be remembered.
    """

    def __init__(
        self,
        location: str,
        *,
        users: Store | None,
        remember_seconds: float = REMEMBER_SECONDS,
        **manner: Unpack[Manner],
    ) -> None:
        super().__init__(location, **manner)
        self._users = users
        self._remember_seconds = remember_seconds
        self._owners: dict[bytes, str] = {}
        self._states: dict[str, tuple[AccountState, float]] = {}

    async def start(self) -> None:
        if self._users is not None:
            await self._users.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        if self._users is not None:
            await self._users.stop()

    def close(self) -> None:
        super().close()
        if self._users is not None:
            self._users.close()

    async def ping(self) -> None:
        await super().ping()
        if self._users is not None:
            await self._users.ping()

    async def sweep(self) -> int | None:
        gone = await super().sweep()
        of_users = None if self._users is None else await self._users.sweep()
        return None if gone is None and of_users is None else (gone or 0) + (of_users or 0)

    # Sessions

    async def create(self, new: NewSession) -> Ended | None:
        # Asked before as well: what will be refused is not stored in passing.
        return await super().create(new) if await self._stands(new) else None

    async def _stands(self, new: NewSession) -> bool:
        if self._users is None:
            return True
        user = await self._users.find_by_id(new.user_id)
        return user is not None and not user.disabled and user.epoch == new.user_epoch

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        """
        As the contract says, with the state of users as it is remembered.

        Where that is older than the sign-in that a session began with, GONE is decided anew: it has had no effect.
        """
        asked, remembered = await self._with_states(requests)
        results = await super().rotate(asked)
        doubtful = [
            number
            for number, result in enumerate(results)
            if result.reason in (Reason.PASSWORD_CHANGED, Reason.ACCOUNT_DISABLED)
            and asked[number].token.session_id in remembered
        ]
        if doubtful:
            self._forget(self._owners.get(asked[number].token.session_id) for number in doubtful)
            again, _ = await self._with_states([requests[number] for number in doubtful])
            for number, result in zip(doubtful, await super().rotate(again), strict=True):
                results[number] = result
        return results

    async def judge(self, request: RotationRequest) -> Outcome:
        (asked,), _ = await self._with_states([request])
        return await super().judge(asked)

    async def _with_states(self, requests: Sequence[RotationRequest]) -> tuple[list[RotationRequest], set[bytes]]:
        """The requests with the state of their users, and the sessions whose user's was only remembered."""
        users = self._users
        if users is None:
            return list(requests), set()
        ids = [request.token.session_id for request in requests if request.account is None]
        unknown = [session_id for session_id in ids if session_id not in self._owners]
        for session_id, user_id in (await self.owners(unknown)).items():
            _remember(self._owners, session_id, user_id)
        now = monotonic_seconds()
        owners = {session_id: self._owners[session_id] for session_id in ids if session_id in self._owners}
        states: dict[str, AccountState] = {}
        for user_id in owners.values():
            known = self._states.get(user_id)
            if known is not None and now - known[1] < self._remember_seconds:
                states[user_id] = known[0]
        missing = [user_id for user_id in dict.fromkeys(owners.values()) if user_id not in states]
        remembered = {session_id for session_id, user_id in owners.items() if user_id in states}
        found = await asyncio.gather(*(users.find_by_id(user_id) for user_id in missing))
        for user_id, user in zip(missing, found, strict=True):
            states[user_id] = _GONE if user is None else _state(user)
            _remember(self._states, user_id, (states[user_id], now))
        asked = [
            request
            if request.account is not None
            else replace(request, account=states.get(owners.get(request.token.session_id, ""), _GONE))
            for request in requests
        ]
        return asked, remembered

    async def change_account(self, change: AccountChange) -> Ended | None:
        """
        Raise the epoch where the users are, then end the sessions: none that begins later stands.

        If we die in between, the sessions are over all the same, for their epoch is not the user's any more; guards
        elsewhere hear of it with the next change, or when their access tokens have expired.
        """
        if self._users is None:
            return await super().change_account(change)
        return await self._calls.whole(self._change(self._users, change))

    async def _change(self, users: Store, change: AccountChange) -> Ended | None:
        user = await users.find_by_id(change.user_id)
        if user is None or await users.change_account(replace(change, keep=None)) is None:
            return None
        changed = await users.find_by_id(change.user_id)
        self._forget([change.user_id])
        epoch = None if changed is None else changed.epoch
        if change.expected_epoch is not None and epoch != change.expected_epoch + 1:
            epoch = None  # somebody was quicker still: their change ends the session that this one would keep
        return await self._end_sessions_of(change, epoch, user.username)

    # Users

    async def enable(self, user_id: str, caller: Caller) -> bool:
        """As `OperatorStore.enable`."""
        users = self._keeper()
        if not await users.enable(user_id, caller):
            return False
        self._forget([user_id])
        user = await users.find_by_id(user_id)
        username = None if user is None else user.username
        now_ms = await self.now_ms()
        await self.record(Event(EventKind.ACCOUNT_ENABLED, now_ms, user_id=user_id, username=username, caller=caller))
        return True

    async def set_roles(self, user_id: str, roles: tuple[str, ...]) -> bool:
        """As `Store.set_roles`; other machines know of it within two seconds."""
        self._forget([user_id])
        return await self._keeper().set_roles(user_id, roles)

    async def add_user(self, user: User) -> None:
        """As `UserStore.add_user`."""
        await self._keeper().add_user(user)

    async def find_by_key(self, username_key: str) -> User | None:
        """As `UserStore.find_by_key`."""
        return None if self._users is None else await self._users.find_by_key(username_key)

    async def find_by_id(self, user_id: str) -> User | None:
        """As `UserStore.find_by_id`."""
        return None if self._users is None else await self._users.find_by_id(user_id)

    async def list_users(self, after: str | None, limit: int) -> list[User]:
        """As `UserStore.list_users`."""
        return [] if self._users is None else await self._users.list_users(after, limit)

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """As `UserStore.replace_hash`."""
        return await self._keeper().replace_hash(user_id, old_hash, new_hash)

    async def search_users(self, part: str, *, after: str | None, limit: int) -> UserPage:
        """As `UserAdministration.search_users`."""
        return (
            UserPage((), None)
            if self._users is None
            else await self._users.search_users(part, after=after, limit=limit)
        )

    async def count_users(self) -> tuple[int, int]:
        """As `UserAdministration.count_users`."""
        return (0, 0) if self._users is None else await self._users.count_users()

    def _keeper(self) -> Store:
        if self._users is None:
            raise ConfigurationError("users_store", "there are no users of ours: they live in the host application")
        return self._users

    def _forget(self, user_ids: Iterable[str | None]) -> None:
        for user_id in user_ids:
            if user_id is not None:
                self._states.pop(user_id, None)


def _state(user: User) -> AccountState:
    return AccountState(user.epoch, user.disabled, user.username, user.roles)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
