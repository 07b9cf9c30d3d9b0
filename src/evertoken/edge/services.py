"""What the routes stand on, made elsewhere (`assembly`) and handed in."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from evertoken.accounts.clients import ClientStore
from evertoken.accounts.sign_in import SignIn
from evertoken.accounts.users import UserAdministration, UserDirectory
from evertoken.clock import Clock
from evertoken.edge.adoption import Adoptions
from evertoken.edge.draining import Draining
from evertoken.edge.feed import RevocationFeed
from evertoken.edge.metrics import Metrics
from evertoken.edge.origin_check import OriginCheck
from evertoken.edge.requests import CallerReader
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.sessions.events import EventHub
from evertoken.sessions.keys import KeyKeeper
from evertoken.sessions.operating import OperatorStore
from evertoken.sessions.service import SessionService
from evertoken.sessions.store import SessionStore
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.server_secrets import SecretRing
from evertoken.wire.cookies import RefreshCookie


class TokenCheck(Protocol):
    """The guard, as the routes see it."""

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        """The claims of a good access token; raises TokenError."""


@runtime_checkable
class PasswordWriter(Protocol):
    """A user directory whose passwords may be changed here; a host application's need not be."""

    async def hash_new_password(self, password: Secret) -> str:
        """The hash to keep."""


class Store(SessionStore, OperatorStore, UserAdministration, ClientStore, Protocol):
    """The store, as the routes see it."""

    async def ping(self) -> None:
        """Raises StoreUnavailable when nothing could be stored now."""

    async def now_ms(self) -> int:
        """The time by which the store decides."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may need."""

    settings: Settings
    clock: Clock
    store: Store
    sessions: SessionService
    sign_in: SignIn
    directory: UserDirectory
    keys: KeyKeeper
    secrets: SecretRing
    guard: TokenCheck
    feed: RevocationFeed
    hub: EventHub
    metrics: Metrics
    callers: CallerReader
    origins: OriginCheck
    cookie: RefreshCookie
    draining: Draining
    adoptions: Adoptions | None = None
