"""What a store brings along to be held to the contract, and the few moves that every test makes."""

import abc
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from evertoken.accounts.users import User
from evertoken.sessions.model import AccountState, Caller, NewSession, RotationRequest, RotationResult
from evertoken.sessions.rotation import RotationPolicy, Row
from evertoken.stores.store import Store
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from tests.support.clock import MovingClock

OVERLAP = 60
RIPE = 4 * OVERLAP
IDLE = 7 * 24 * 3600
DAY = 24 * 3600
ACCESS_LIFETIME_MS = 1_800_000
POLICY = RotationPolicy(overlap_ms=OVERLAP * 1000, idle_ms=IDLE * 1000)

LAPTOP = Caller("192.0.2.1", "Laptop")
PHONE = Caller("198.51.100.7", "Phone")


class Bench(abc.ABC):
    """
    One empty database of some kind, and ways into it around the store.

    Args:
        clock: The store's clock; it stands still until a test moves it.
    """

    def __init__(self, clock: MovingClock) -> None:
        self.clock = clock

    @abc.abstractmethod
    def open(
        self, *, policy: RotationPolicy = POLICY, sessions_per_user: int = 100, users_elsewhere: bool = False
    ) -> Store:
        """A store over the database, as one more worker opens it. The bench closes it."""

    @abc.abstractmethod
    async def put_rows(self, rows: Mapping[bytes, Row]) -> None:
        """Write sessions of an enabled user, by id, with exactly these values; what is there is replaced."""

    @abc.abstractmethod
    async def read_rows(self, session_ids: Iterable[bytes]) -> dict[bytes, Row]:
        """Read them back; `over` is the reason for which a row is revoked."""

    @abc.abstractmethod
    async def count_rows(self) -> int:
        """How many rows all tables hold together."""


class ServerBench(Bench):
    """A bench over a database server, which can be reached in more than one way."""

    @abc.abstractmethod
    def open(
        self,
        *,
        policy: RotationPolicy = POLICY,
        sessions_per_user: int = 100,
        users_elsewhere: bool = False,
        by_its_own_clock: bool = False,
        url: str = "",
    ) -> Store:
        """As `Bench.open`; by the server's clock where that is asked for, and at another address where one is given."""


async def add_user(store: Store, name: str = "ada", **fields: Any) -> User:
    """A user who may sign in."""
    user = replace(User(f"u_{name}", name, f"hash of {name}", 0, False, (), 0), **fields)
    await store.add_user(user)
    return user


def new_session(clock: MovingClock, user: User, **fields: Any) -> NewSession:
    """A sign-in of this user, from the laptop unless said otherwise."""
    token = refresh_token.first(session_id=secrets.token_bytes(16), delivery=Delivery.BODY, now_ms=clock())
    return replace(NewSession(user.id, user.username, user.epoch, "web", token, LAPTOP), **fields)


async def sign_in(store: Store, clock: MovingClock, user: User, **fields: Any) -> RefreshToken:
    """Store a sign-in; returns its first token."""
    new = new_session(clock, user, **fields)
    assert await store.create(new) is not None
    return new.token


async def signed_in(store: Store, clock: MovingClock, name: str = "ada") -> RefreshToken:
    """A new user's first session."""
    return await sign_in(store, clock, await add_user(store, name))


async def refresh(
    store: Store,
    token: RefreshToken,
    caller: Caller = LAPTOP,
    *,
    client_id: str | None = None,
    account: AccountState | None = None,
) -> RotationResult:
    """Present one token."""
    (result,) = await store.rotate([RotationRequest(token, caller, client_id, account)])
    return result


def child(token: RefreshToken, result: RotationResult) -> RefreshToken:
    """The token that the answer to this refresh carries."""
    return refresh_token.child_of(token, now_ms=result.now_ms)


async def succeed(store: Store, clock: MovingClock, token: RefreshToken) -> RefreshToken:
    """Refresh, wait until the new token is ripe, and present it: the old one is dead. Returns the new one."""
    successor = child(token, await refresh(store, token))
    clock.advance(RIPE)
    await refresh(store, successor)
    return successor
