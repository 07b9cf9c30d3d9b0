"""The store for more than one machine: everything evertoken keeps, in tables of a MariaDB or MySQL database."""

from collections.abc import Sequence

from evertoken.accounts.clients import Client
from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Limits, Verdict
from evertoken.accounts.users import User, UsernameTaken, UserPage
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
from evertoken.stores.mysql import (
    adopting,
    attempts,
    events,
    operating,
    rotation,
    schema,
    sessions,
    tables,
)
from evertoken.stores.mysql.connection import Connection, connect
from evertoken.stores.mysql.pool import Pool
from evertoken.stores.mysql.sweeping import Sweeper


class MysqlStore:
    """
    Implements SessionStore, OperatorStore, UserStore, UserAdministration, KeyStore, ClientStore and AttemptStore.

    It belongs to the event loop on which it is first used, and opens no connection before.

    Args:
        location: mysql://user:password@host:port/database, or mariadb://..., with the parameters of
            `address.PARAMETERS`. Its password is in no message and no repr.
        clock: For tests. None reads the database's clock in each statement, so that machines whose clocks differ agree.
        policy: The durations rotation goes by.
        access_lifetime_ms: How long revocations must be remembered at least.
        sessions_per_user: Above this many live sessions the least recently used one ends at a sign-in.
        table_prefix: What the names of our tables begin with.
        users_elsewhere: Users live in the host application's own table; epochs come with each request.
        may_create: Make the tables if there are none. Empty ones in place of lost ones sign everybody out.
    """

    def __init__(
        self,
        location: str,
        *,
        clock: Clock | None = None,
        policy: RotationPolicy,
        access_lifetime_ms: int,
        sessions_per_user: int = 100,
        table_prefix: str = "",
        users_elsewhere: bool = False,
        may_create: bool = True,
    ) -> None:
        self._location = location
        self._prefix = table_prefix
        self._policy = policy
        self._cap = sessions_per_user
        self._users_elsewhere = users_elsewhere
        self._may_create = may_create
        self._sweeper = Sweeper(access_lifetime_ms=access_lifetime_ms)
        self._pool = Pool(self._connect, clock=clock)

    async def start(self) -> None:
        """
        See that the database can be used, and bring its tables to this version.

        Raises:
            ConfigurationError: the address, the password, the database or its tables will not do.
        """
        await schema.prepare(self._location, prefix=self._prefix, may_create=self._may_create)

    async def stop(self) -> None:
        """Finish what is under way and close the connections."""
        await self._pool.close()

    def close(self) -> None:
        """Let go of the connections at once; what is under way is undone by the server. Better: `stop`."""
        self._pool.abort()

    async def ping(self) -> None:
        """Commit a write that changes nothing: raises StoreUnavailable when a sign-in could not be stored now."""
        await self._pool.write(tables.beat)

    async def now_ms(self) -> int:
        told_ms = self._pool.told_ms()
        return await self._pool.read(lambda connection: sessions.now_ms(connection, told_ms))

    async def _connect(self, lock_within_seconds: int) -> Connection:
        return await connect(self._location, prefix=self._prefix, lock_within_seconds=lock_within_seconds)

    # Sessions

    async def create(self, new: NewSession) -> Ended | None:
        return await self._pool.write(
            lambda transaction: sessions.create(
                transaction, new, self._policy, cap=self._cap, users_elsewhere=self._users_elsewhere
            )
        )

    async def adopt(self, adoption: Adoption) -> Adopted | None:
        return await self._pool.write(
            lambda transaction: adopting.adopt(
                transaction, adoption, self._policy, cap=self._cap, users_elsewhere=self._users_elsewhere
            )
        )

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        return await rotation.rotate(self._pool, requests, self._policy)

    async def judge(self, request: RotationRequest) -> Outcome:
        return await rotation.judge(self._pool, request, self._policy)

    async def end(
        self,
        session_id: bytes,
        reason: Reason,
        caller: Caller,
        *,
        user_id: str | None = None,
        tokens_until_ms: int = 0,
    ) -> Ended:
        return await self._pool.write(
            lambda transaction: sessions.end(
                *(transaction, session_id, reason, caller),
                user_id=user_id,
                tokens_until_ms=tokens_until_ms,
            )
        )

    async def change_account(self, change: AccountChange) -> Ended | None:
        return await self._pool.write(
            lambda transaction: sessions.change_account(transaction, change, users_elsewhere=self._users_elsewhere)
        )

    async def find(self, session_id: bytes) -> SessionRecord | None:
        return await self._pool.read(lambda connection: sessions.find(connection, session_id))

    async def list_sessions(
        self, *, user_id: str | None = None, live_only: bool = True, after: bytes | None = None, limit: int = 100
    ) -> list[SessionRecord]:
        told_ms = self._pool.told_ms()
        return await self._pool.read(
            lambda connection: sessions.list_sessions(
                connection, told_ms, user_id=user_id, live_only=live_only, after=after, limit=limit
            )
        )

    async def revocations_after(self, cursor: int) -> Revocations:
        return await self._pool.read(lambda connection: sessions.revocations_after(connection, cursor))

    async def newest_revocation(self) -> int:
        return await self._pool.read(sessions.newest_revocation)

    async def record(self, event: Event) -> None:
        await self._pool.write(lambda transaction: events.insert(transaction.connection, [event]))

    async def timeline(self, session_id: bytes) -> list[Event]:
        return await self._pool.read(lambda connection: events.timeline(connection, session_id))

    async def newest_events(self, limit: int) -> list[Event]:
        return await self._pool.read(lambda connection: events.newest(connection, limit))

    async def sweep(self) -> int | None:
        return await self._pool.write(self._sweeper.step)

    async def sessions_per_secret(self) -> dict[bytes, int]:
        told_ms = self._pool.told_ms()
        return await self._pool.read(
            lambda connection: sessions.sessions_per_secret(connection, told_ms),
            within_seconds=sessions.COUNTING_WITHIN_SECONDS,
        )

    # What an operator asks

    async def search_sessions(self, search: SessionSearch) -> SessionPage:
        told_ms = self._pool.told_ms()
        return await self._pool.read(lambda connection: operating.search_sessions(connection, told_ms, search))

    async def tally_users(self, *, fresh_after_ms: int, after: str | None, limit: int) -> list[UserTally]:
        told_ms = self._pool.told_ms()
        return await self._pool.read(
            lambda connection: operating.tally_users(
                connection, told_ms, fresh_after_ms=fresh_after_ms, after=after, limit=limit
            )
        )

    async def live_sessions_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        told_ms = self._pool.told_ms()
        return await self._pool.read(lambda connection: operating.live_sessions_of(connection, told_ms, user_ids))

    async def happened(self, *, from_ms: int, until_ms: int) -> Happened:
        return await self._pool.read(
            lambda connection: operating.happened(connection, from_ms=from_ms, until_ms=until_ms)
        )

    async def ended_sessions(self) -> dict[Reason, int]:
        return await self._pool.read(operating.ended_sessions)

    async def search_users(self, part: str, *, after: str | None, limit: int) -> UserPage:
        return await self._pool.read(
            lambda connection: operating.search_users(connection, part, after=after, limit=limit)
        )

    async def count_users(self) -> tuple[int, int]:
        return await self._pool.read(operating.count_users)

    # Users

    async def add_user(self, user: User) -> None:
        if not await self._pool.write(lambda transaction: tables.add_user(transaction, user)):
            raise UsernameTaken(user.username)

    async def find_by_key(self, username_key: str) -> User | None:
        return await self._pool.read(lambda connection: tables.find_user(connection, "username_key", username_key))

    async def find_by_id(self, user_id: str) -> User | None:
        return await self._pool.read(lambda connection: tables.find_user(connection, "id", user_id))

    async def list_users(self, after: str | None, limit: int) -> list[User]:
        return await self._pool.read(lambda connection: tables.list_users(connection, after, limit))

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return await self._pool.write(lambda transaction: tables.replace_hash(transaction, user_id, old_hash, new_hash))

    async def enable(self, user_id: str, caller: Caller) -> bool:
        return await self._pool.write(lambda transaction: tables.enable(transaction, user_id, caller))

    async def set_roles(self, user_id: str, roles: tuple[str, ...]) -> bool:
        return await self._pool.write(lambda transaction: tables.set_roles(transaction, user_id, roles))

    # Keys, clients, sign-in attempts

    async def list_keys(self) -> list[StoredKey]:
        return await self._pool.read(tables.list_keys)

    async def add_first_key(self, key: StoredKey) -> bool:
        return await self._pool.write(lambda transaction: tables.add_first_key(transaction, key))

    async def save_keys(self, keys: list[StoredKey]) -> None:
        await self._pool.write(lambda transaction: tables.save_keys(transaction, keys))

    async def add_client(self, client: Client) -> bool:
        return await self._pool.write(lambda transaction: tables.add_client(transaction, client))

    async def find_client(self, client_id: str) -> Client | None:
        return await self._pool.read(lambda connection: tables.find_client(connection, client_id))

    async def list_clients(self) -> list[Client]:
        return await self._pool.read(tables.list_clients)

    async def remove_client(self, client_id: str) -> bool:
        return await self._pool.write(lambda transaction: tables.remove_client(transaction, client_id))

    async def reserve_attempt(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        return await self._pool.write(lambda transaction: attempts.reserve_attempt(transaction, keys, limits))

    async def attempt_succeeded(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._pool.write(lambda transaction: attempts.attempt_succeeded(transaction, keys, limits))

    async def attempt_withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._pool.write(lambda transaction: attempts.attempt_withdrawn(transaction, keys, limits))
