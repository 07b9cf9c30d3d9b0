"""The embedded store: everything evertoken keeps, in one SQLite file, through one writing and one reading thread."""

from collections.abc import Sequence
from pathlib import Path

from evertoken.accounts.clients import Client
from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Limits, Verdict
from evertoken.accounts.users import User, UserPage
from evertoken.clock import Clock
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import (
    AccountChange,
    Adopted,
    Adoption,
    Caller,
    Ended,
    Event,
    NewSession,
    Revocations,
    RotationRequest,
    RotationResult,
    SessionRecord,
)
from evertoken.sessions.operating import Happened, SessionPage, SessionSearch, UserTally
from evertoken.sessions.rotation import Outcome, Reason, RotationPolicy
from evertoken.stores.sqlite import adopting, events, operating, rotation, sessions, tables
from evertoken.stores.sqlite.connection import prepare, rewrite_version
from evertoken.stores.sqlite.sweeping import Sweeper
from evertoken.stores.sqlite.worker import Worker


class SqliteStore:
    """
    Implements SessionStore, OperatorStore, UserStore, UserAdministration, KeyStore, ClientStore and AttemptStore.

    Args:
        path: The database file; its folder is made if it is missing.
        clock: The store's clock.
        policy: The durations rotation goes by.
        access_lifetime_ms: How long revocations must be remembered at least.
        sessions_per_user: Above this many live sessions the least recently used one ends at a sign-in.
        table_prefix: What the names of our tables begin with, in a file that is the host application's; empty for a
            file of our own.
        users_elsewhere: Users live in the host application's own table; epochs come with each request.
        may_create: Make the file if there is none. An empty database in place of a lost one signs everybody out.

    Raises:
        ConfigurationError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        policy: RotationPolicy,
        access_lifetime_ms: int,
        sessions_per_user: int = 100,
        table_prefix: str = "",
        users_elsewhere: bool = False,
        may_create: bool = True,
    ) -> None:
        prepare(path, prefix=table_prefix, may_create=may_create)
        self.path = path
        self._prefix = table_prefix
        self._policy = policy
        self._cap = sessions_per_user
        self._users_elsewhere = users_elsewhere
        self._sweeper = Sweeper(access_lifetime_ms=access_lifetime_ms)
        self._writer = Worker(path, prefix=table_prefix, clock=clock, writes=True)
        self._reader = Worker(path, prefix=table_prefix, clock=clock, writes=False)

    async def start(self) -> None:
        """Nothing is left to do: the file was looked at when this was made."""

    async def stop(self) -> None:
        """Finish what is queued and close the file."""
        self.close()

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._writer.close()
        self._reader.close()

    async def ping(self) -> None:
        """Commit a write that changes nothing: raises StoreUnavailable when a sign-in could not be stored now."""
        await self._writer.run(lambda connection, _: rewrite_version(connection, self._prefix))

    async def now_ms(self) -> int:
        return await self._reader.run(lambda _, now_ms: now_ms)

    # Sessions

    async def create(self, new: NewSession) -> Ended | None:
        return await self._writer.run(
            lambda connection, now_ms: sessions.create(
                connection, now_ms, new, self._policy, cap=self._cap, users_elsewhere=self._users_elsewhere
            )
        )

    async def adopt(self, adoption: Adoption) -> Adopted | None:
        return await self._writer.run(
            lambda connection, now_ms: adopting.adopt(
                connection, now_ms, adoption, self._policy, cap=self._cap, users_elsewhere=self._users_elsewhere
            )
        )

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        return await self._writer.run(
            lambda connection, now_ms: rotation.rotate(connection, now_ms, requests, self._policy)
        )

    async def judge(self, request: RotationRequest) -> Outcome:
        return await self._reader.run(
            lambda connection, now_ms: rotation.judge(connection, now_ms, request, self._policy)
        )

    async def end(
        self,
        session_id: bytes,
        reason: Reason,
        caller: Caller,
        *,
        user_id: str | None = None,
        tokens_until_ms: int = 0,
    ) -> Ended:
        return await self._writer.run(
            lambda connection, now_ms: sessions.end(
                *(connection, now_ms, session_id, reason, caller),
                user_id=user_id,
                tokens_until_ms=tokens_until_ms,
            )
        )

    async def change_account(self, change: AccountChange) -> Ended | None:
        return await self._writer.run(
            lambda connection, now_ms: sessions.change_account(
                connection, now_ms, change, users_elsewhere=self._users_elsewhere
            )
        )

    async def find(self, session_id: bytes) -> SessionRecord | None:
        return await self._reader.run(lambda connection, _: sessions.find(connection, session_id))

    async def list_sessions(
        self, *, user_id: str | None = None, live_only: bool = True, after: bytes | None = None, limit: int = 100
    ) -> list[SessionRecord]:
        return await self._reader.run(
            lambda connection, now_ms: sessions.list_sessions(
                connection, now_ms, user_id=user_id, live_only=live_only, after=after, limit=limit
            )
        )

    async def revocations_after(self, cursor: int) -> Revocations:
        return await self._reader.run(lambda connection, _: sessions.revocations_after(connection, cursor))

    async def newest_revocation(self) -> int:
        return await self._reader.run(lambda connection, _: sessions.newest_revocation(connection))

    async def record(self, event: Event) -> None:
        await self._writer.run(lambda connection, _: events.insert(connection, event))

    async def timeline(self, session_id: bytes) -> list[Event]:
        return await self._reader.run(lambda connection, _: events.timeline(connection, session_id))

    async def newest_events(self, limit: int) -> list[Event]:
        return await self._reader.run(lambda connection, _: events.newest(connection, limit=limit))

    async def sweep(self) -> int | None:
        return await self._writer.run(self._sweeper.step)

    async def sessions_per_secret(self) -> dict[bytes, int]:
        return await self._reader.run(sessions.sessions_per_secret)

    # What an operator asks

    async def search_sessions(self, search: SessionSearch) -> SessionPage:
        return await operating.search_sessions(self._reader, search)

    async def tally_users(self, *, fresh_after_ms: int, after: str | None, limit: int) -> list[UserTally]:
        return await self._reader.run(
            lambda connection, now_ms: operating.tally_users(
                connection, now_ms, fresh_after_ms=fresh_after_ms, after=after, limit=limit
            )
        )

    async def live_sessions_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        return await self._reader.run(
            lambda connection, now_ms: operating.live_sessions_of(connection, now_ms, user_ids)
        )

    async def happened(self, *, from_ms: int, until_ms: int) -> Happened:
        return await self._reader.run(
            lambda connection, _: operating.happened(connection, from_ms=from_ms, until_ms=until_ms)
        )

    async def ended_sessions(self) -> dict[Reason, int]:
        return await self._reader.run(lambda connection, _: operating.ended_sessions(connection))

    async def search_users(self, part: str, *, after: str | None, limit: int) -> UserPage:
        return await self._reader.run(
            lambda connection, _: operating.search_users(connection, part, after=after, limit=limit)
        )

    async def count_users(self) -> tuple[int, int]:
        return await self._reader.run(lambda connection, _: operating.count_users(connection))

    # Users

    async def add_user(self, user: User) -> None:
        await self._writer.run(lambda connection, _: tables.add_user(connection, user))

    async def find_by_key(self, username_key: str) -> User | None:
        return await self._reader.run(lambda connection, _: tables.find_user(connection, "username_key", username_key))

    async def find_by_id(self, user_id: str) -> User | None:
        return await self._reader.run(lambda connection, _: tables.find_user(connection, "id", user_id))

    async def list_users(self, after: str | None, limit: int) -> list[User]:
        return await self._reader.run(lambda connection, _: tables.list_users(connection, after, limit))

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return await self._writer.run(
            lambda connection, _: tables.replace_hash(connection, user_id, old_hash, new_hash)
        )

    async def enable(self, user_id: str, caller: Caller) -> bool:
        return await self._writer.run(lambda connection, now_ms: tables.enable(connection, now_ms, user_id, caller))

    async def set_roles(self, user_id: str, roles: tuple[str, ...]) -> bool:
        return await self._writer.run(lambda connection, _: tables.set_roles(connection, user_id, roles))

    # Keys, clients, sign-in attempts

    async def list_keys(self) -> list[StoredKey]:
        return await self._reader.run(lambda connection, _: tables.list_keys(connection))

    async def add_first_key(self, key: StoredKey) -> bool:
        return await self._writer.run(lambda connection, _: tables.add_first_key(connection, key))

    async def save_keys(self, keys: list[StoredKey]) -> None:
        await self._writer.run(lambda connection, _: tables.save_keys(connection, keys))

    async def add_client(self, client: Client) -> bool:
        return await self._writer.run(lambda connection, _: tables.add_client(connection, client))

    async def find_client(self, client_id: str) -> Client | None:
        return await self._reader.run(lambda connection, _: tables.find_client(connection, client_id))

    async def list_clients(self) -> list[Client]:
        return await self._reader.run(lambda connection, _: tables.list_clients(connection))

    async def remove_client(self, client_id: str) -> bool:
        return await self._writer.run(lambda connection, _: tables.remove_client(connection, client_id))

    async def reserve_attempt(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        return await self._writer.run(
            lambda connection, now_ms: tables.reserve_attempt(connection, now_ms, keys, limits)
        )

    async def attempt_succeeded(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._writer.run(lambda connection, now_ms: tables.attempt_succeeded(connection, now_ms, keys, limits))

    async def attempt_withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._writer.run(lambda connection, _: tables.attempt_withdrawn(connection, keys, limits))
