"""The store for sessions alone: Redis or Valkey, one server, with Sentinel, or a Cluster."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from evertoken.accounts.clients import Client
from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Limits, Verdict
from evertoken.clock import Clock
from evertoken.secret import Secret
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
from evertoken.stores.redis import ending, listing, rotation, server_data, sessions, start, trail
from evertoken.stores.redis.attempts import Attempts
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.connection import Address
from evertoken.stores.redis.keys import Keys
from evertoken.stores.redis.scripts import BEAT
from evertoken.stores.redis.sweeping import Sweeper

DEFAULT_PREFIX = "evertoken"


class Manner(TypedDict):
    """What a `RedisStore` is told besides its location; see there."""

    clock: NotRequired[Clock | None]
    policy: RotationPolicy
    access_lifetime_ms: int
    sessions_per_user: NotRequired[int]
    key_prefix: NotRequired[str]
    may_create: NotRequired[bool]


class RedisStore:
    """
    Implements SessionStore, KeyStore, ClientStore and AttemptStore, and of OperatorStore all that is not about users.

    Users live elsewhere: each request to rotate or judge brings the state of its user, `create` and `adopt` do not ask
    for it, and `change_account` is told the new epoch. `RedisWithUsers` puts a store of users beside it.

    It belongs to the event loop on which it is first used, and opens no connection before.

    Args:
        location: See `Address`. Its password is in no message and no repr.
        clock: For tests. None reads Redis's clock in each script, so that machines whose clocks differ agree.
        policy: The durations rotation goes by.
        access_lifetime_ms: How long revocations must be remembered at least.
        sessions_per_user: Above this many live sessions the least recently used one ends at a sign-in.
        key_prefix: What the names of our keys begin with; without braces.
        may_create: Begin anew in a Redis that holds nothing of ours. An empty one in place of a lost one signs
            everybody out.

    Raises:
        ConfigurationError: the location cannot be read.
    """

    def __init__(
        self,
        location: str,
        *,
        clock: Clock | None = None,
        policy: RotationPolicy,
        access_lifetime_ms: int,
        sessions_per_user: int = 100,
        key_prefix: str = DEFAULT_PREFIX,
        may_create: bool = True,
    ) -> None:
        self._address = Address(Secret(location))
        self._policy = policy
        self._cap = sessions_per_user
        self._may_create = may_create
        self.keys = Keys(key_prefix)
        self._calls = Calls(self._address, clock=clock)
        self._attempts = Attempts(self._calls, self.keys)
        self._sweeper = Sweeper(self._calls, self.keys, access_lifetime_ms=access_lifetime_ms)

    def __repr__(self) -> str:
        return f"RedisStore({self._address})"

    async def start(self) -> None:
        """
        See that this Redis can be used; the log says what it may lose.

        Raises:
            ConfigurationError: the address, the password, its settings or what it holds will not do.
        """
        await start.prepare(self._calls, self._address, self.keys, may_create=self._may_create)

    async def stop(self) -> None:
        """Finish what is under way and close the connections."""
        await self._calls.stop()

    def close(self) -> None:
        """Take nothing new. Better: `stop`."""
        self._calls.abort()

    async def ping(self) -> None:
        """Write something that changes nothing: raises StoreUnavailable when a sign-in could not be stored now."""
        await self._calls.one(BEAT.on([self.keys.version], start.LAYOUT))

    # Sessions

    async def create(self, new: NewSession) -> Ended | None:
        return await self._calls.whole(
            sessions.create(self._calls, self.keys, new, self._policy, cap=self._cap, stands=lambda: self._stands(new))
        )

    async def adopt(self, adoption: Adoption) -> Adopted | None:
        return await self._calls.whole(
            sessions.adopt(
                *(self._calls, self.keys, adoption, self._policy),
                cap=self._cap,
                stands=lambda: self._stands(adoption.session),
            )
        )

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        return await self._calls.whole(rotation.rotate(self._calls, self.keys, requests, self._policy))

    async def judge(self, request: RotationRequest) -> Outcome:
        now_ms = await self._calls.now_ms()
        raw = await self._calls.one(("GET", self.keys.session(request.token.session_id)))
        return rotation.judged(raw, request, now_ms, self._policy)

    async def end(
        self,
        session_id: bytes,
        reason: Reason,
        caller: Caller,
        *,
        user_id: str | None = None,
        tokens_until_ms: int = 0,
    ) -> Ended:
        return await self._calls.whole(
            sessions.end(
                *(self._calls, self.keys, session_id, reason, caller),
                user_id=user_id,
                tokens_until_ms=tokens_until_ms,
            )
        )

    async def _stands(self, new: NewSession) -> bool:
        """Whether this user may still begin a session. Nobody here knows better than who verified the password."""
        return bool(new.user_id)

    async def change_account(self, change: AccountChange) -> Ended | None:
        return await self._calls.whole(self._end_sessions_of(change, change.elsewhere_epoch, None))

    async def _end_sessions_of(self, change: AccountChange, epoch: int | None, username: str | None) -> Ended:
        return await sessions.change_account(self._calls, self.keys, change, epoch=epoch, username=username)

    async def find(self, session_id: bytes) -> SessionRecord | None:
        return await sessions.find(self._calls, self.keys, session_id)

    async def owners(self, session_ids: list[bytes]) -> dict[bytes, str]:
        """Whose these sessions are; those that are not there are left out."""
        return await sessions.owners(self._calls, self.keys, session_ids)

    async def now_ms(self) -> int:
        """The store's clock."""
        return await self._calls.now_ms()

    async def list_sessions(
        self, *, user_id: str | None = None, live_only: bool = True, after: bytes | None = None, limit: int = 100
    ) -> list[SessionRecord]:
        return await listing.list_sessions(
            self._calls, self.keys, user_id=user_id, live_only=live_only, after=after, limit=limit
        )

    async def revocations_after(self, cursor: int) -> Revocations:
        return await ending.revocations_after(self._calls, self.keys, cursor)

    async def newest_revocation(self) -> int:
        return await ending.newest_revocation(self._calls, self.keys)

    async def record(self, event: Event) -> None:
        await trail.record(self._calls, self.keys, event)

    async def timeline(self, session_id: bytes) -> list[Event]:
        return await trail.timeline(self._calls, self.keys, session_id)

    async def newest_events(self, limit: int) -> list[Event]:
        """The newest lines of the whole audit trail, newest first."""
        return await trail.newest(self._calls, self.keys, limit)

    async def sweep(self) -> int | None:
        return await self._calls.whole(self._sweeper.step())

    async def sessions_per_secret(self) -> dict[bytes, int]:
        return await listing.sessions_per_secret(self._calls, self.keys)

    # What an operator asks

    async def search_sessions(self, search: SessionSearch) -> SessionPage:
        return await listing.search_sessions(self._calls, self.keys, search)

    async def tally_users(self, *, fresh_after_ms: int, after: str | None, limit: int) -> list[UserTally]:
        return await listing.tally_users(
            self._calls, self.keys, fresh_after_ms=fresh_after_ms, after=after, limit=limit
        )

    async def live_sessions_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        return await listing.live_sessions_of(self._calls, self.keys, user_ids)

    async def happened(self, *, from_ms: int, until_ms: int) -> Happened:
        return await trail.happened(self._calls, self.keys, from_ms=from_ms, until_ms=until_ms)

    async def ended_sessions(self) -> dict[Reason, int]:
        return await trail.ended_sessions(self._calls, self.keys)

    # Keys, clients, sign-in attempts

    async def list_keys(self) -> list[StoredKey]:
        return await server_data.list_keys(self._calls, self.keys)

    async def add_first_key(self, key: StoredKey) -> bool:
        return await server_data.add_first_key(self._calls, self.keys, key)

    async def save_keys(self, keys: list[StoredKey]) -> None:
        await server_data.save_keys(self._calls, self.keys, keys)

    async def add_client(self, client: Client) -> bool:
        return await server_data.add_client(self._calls, self.keys, client)

    async def find_client(self, client_id: str) -> Client | None:
        return await server_data.find_client(self._calls, self.keys, client_id)

    async def list_clients(self) -> list[Client]:
        return await server_data.list_clients(self._calls, self.keys)

    async def remove_client(self, client_id: str) -> bool:
        return await server_data.remove_client(self._calls, self.keys, client_id)

    async def reserve_attempt(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        return await self._calls.whole(self._attempts.reserve(keys, limits))

    async def attempt_succeeded(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._calls.whole(self._attempts.succeeded(keys, limits))

    async def attempt_withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        await self._calls.whole(self._attempts.withdrawn(keys, limits))
