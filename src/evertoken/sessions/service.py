"""
What the server does with sessions: begin, refresh, end. Decisions are made in the store and committed there;
here they are turned into tokens, and told to those who subscribed.
"""

import secrets as random_source
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from evertoken.clock import Clock
from evertoken.sessions.events import EventHub
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.issuer import AccessTokenIssuer, Subject
from evertoken.sessions.model import (
    AccountChange,
    AccountState,
    Adoption,
    Caller,
    Ended,
    NewSession,
    RotationRequest,
    RotationResult,
    session_id_bytes,
    session_id_text,
)
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.sessions.store import SessionStore
from evertoken.tokens import refresh_token
from evertoken.tokens.access_token import MAX_LEEWAY_SECONDS
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from evertoken.tokens.server_secrets import SecretRing


@dataclass(slots=True)
class Granted:
    """
    New tokens.

    Args:
        expires_in: Seconds the access token lives, counted from now.
        refresh_token: None for EARLY: the caller keeps the one it has.
        refresh_expires_in: Whole seconds until the session ends if it is not used.
    """

    access_token: str
    expires_in: int | float
    session_id: bytes
    refresh_token: str | None
    refresh_expires_in: int
    delivery: Delivery


@dataclass(slots=True)
class Stale:
    """A late duplicate: try again with what the store of tokens holds then."""

    retry_after_ms: int


@dataclass(slots=True)
class Over:
    """The session is over, for this reason; the person has to sign in again."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Who has just proved who they are."""

    id: str
    username: str
    epoch: int
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignSignIn:
    """
    A refresh token of another library that was verified.

    Args:
        library: Whose it is; for the audit trail.
        fingerprint: What it is known by.
        expires_at_ms: Until when it is remembered.
        default_client_id: For a caller that names none.
    """

    library: str
    fingerprint: bytes
    expires_at_ms: int
    default_client_id: str


class AccountsElsewhere(Protocol):
    """Users in the host application's own table, as a refresh needs them; what it says may be 2 s old."""

    async def state_of(self, session_id: bytes, *, anew: bool = False) -> AccountState:
        """
        The user's state, disabled where there is no such user.

        Args:
            anew: Ask the application, whatever is remembered.

        Raises:
            TemporarilyUnavailable: it cannot be told.
        """


def session_of(token: RefreshToken | AccessTokenClaims) -> bytes | None:
    """The session of a genuine token of either kind; None for an access token of none of ours."""
    return token.session_id if isinstance(token, RefreshToken) else session_id_bytes(token.sid)


class SessionService:
    """
    Begins, refreshes and ends sessions.

    Args:
        idle_ms: How long a session lives without use.
        max_age_ms: Every session ends this long after its sign-in; None lets it live as long as it is used.
        accounts: Where users live, if not in the store.
        before_refresh: Raises TemporarilyUnavailable while no refresh may be decided here.
        on_outcome: Told the name of every refresh outcome, for counting.
    """

    def __init__(
        self,
        store: SessionStore,
        issuer: AccessTokenIssuer,
        secrets: SecretRing,
        hub: EventHub,
        *,
        clock: Clock,
        idle_ms: int,
        max_age_ms: int | None = None,
        accounts: AccountsElsewhere | None = None,
        before_refresh: Callable[[], None] = lambda: None,
        on_outcome: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._secrets = secrets
        self._hub = hub
        self._clock = clock
        self._idle_ms = idle_ms
        self._max_age_ms = max_age_ms
        self._accounts = accounts
        self._before_refresh = before_refresh
        self._on_outcome = on_outcome
        self._commits = GroupCommit(store.rotate)

    async def begin(
        self,
        user: SignedInUser,
        caller: Caller,
        *,
        client_id: str,
        delivery: Delivery,
        replaces: bytes | None = None,
    ) -> Granted | None:
        """
        Begin a session for a user whose password has just been verified.

        Returns:
            None when the password was changed, or the account disabled, since it was verified.
        """
        token = refresh_token.first(session_id=random_source.token_bytes(16), delivery=delivery, now_ms=self._clock())
        text = refresh_token.mint(token, self._secrets)
        token = refresh_token.parse(text, self._secrets)
        subject = Subject(user.id, user.username, user.roles, session_id_text(token.session_id), client_id)
        extra = self._issuer.extra_claims(subject)  # before anything is stored: a hook that fails leaves no session
        ended = await self._store.create(
            NewSession(user.id, user.username, user.epoch, client_id, token, caller, self._max_age_ms, replaces)
        )
        if ended is None:
            return None
        self._hub.publish(ended.events)
        return Granted(
            access_token=self._issuer.issue(subject, now_ms=ended.at_ms, extra=extra),
            expires_in=self._issuer.expires_in,
            session_id=token.session_id,
            refresh_token=text,
            refresh_expires_in=min(self._idle_ms, self._max_age_ms or self._idle_ms) // 1000,
            delivery=delivery,
        )

    async def adopt(
        self, user: SignedInUser, foreign: ForeignSignIn, caller: Caller, *, client_id: str | None
    ) -> Granted | Stale | Over | None:
        """
        Swap a verified refresh token of another library for a session.

        It is judged as the first refresh token of that session (docs/rotation.md): it may be presented again while its
        successor has not been, and is a replay thereafter. Its successors are what is handed out.

        Args:
            client_id: Whom the session is for, or must be for where it has begun; None for the default.

        Returns:
            As `refresh`, and None when the password was changed, or the account disabled, since the user was looked up.

        Raises:
            TemporarilyUnavailable: as `refresh`.
        """
        now_ms, key_id = self._clock(), self._secrets.minting.key_id
        first = refresh_token.first(session_id=random_source.token_bytes(16), delivery=Delivery.BODY, now_ms=now_ms)
        session = NewSession(
            user.id,
            user.username,
            user.epoch,
            client_id or foreign.default_client_id,
            replace(first, key_id=key_id),
            caller,
            self._max_age_ms,
            adopted_from=foreign.library,
        )
        adopted = await self._store.adopt(Adoption(foreign.fingerprint, foreign.expires_at_ms, session))
        if adopted is None:
            return None
        self._hub.publish(adopted.ended.events)
        token = RefreshToken(
            adopted.session_id,
            first.generation,
            adopted.tag,
            first.parent,
            adopted.issued_at_ms,
            first.delivery,
            key_id,
        )
        return await self.refresh(token, caller, client_id=client_id)

    async def refresh(
        self, token: RefreshToken, caller: Caller, *, client_id: str | None = None
    ) -> Granted | Stale | Over:
        """
        Decide about a genuine refresh token, durably, and answer with what it earned.

        Raises:
            TemporarilyUnavailable: the store, or a hook, could not; nobody is signed out, try again.
        """
        self._before_refresh()
        result = await self._decided(token, caller, client_id)
        self._on_outcome("heal" if result.healed else result.outcome.value)
        if result.event is not None:
            self._hub.publish((result.event,))
        if result.outcome is Outcome.STALE:
            return Stale(result.retry_after_ms)
        if result.outcome in (Outcome.GONE, Outcome.REPLAY):
            return Over(result.reason or Reason.UNKNOWN)
        return self._granted(token, result)

    async def _decided(self, token: RefreshToken, caller: Caller, client_id: str | None) -> RotationResult:
        """
        The store's decision, with the state of the user where users live elsewhere.

        What is remembered of a user may be older than the sign-in that this session began with; nobody is signed out
        by it. GONE has no effect, so it can be decided anew.
        """
        if self._accounts is None:
            return await self._commits.submit(RotationRequest(token, caller, client_id))
        known = await self._accounts.state_of(token.session_id)
        result = await self._commits.submit(RotationRequest(token, caller, client_id, known))
        if result.reason not in (Reason.PASSWORD_CHANGED, Reason.ACCOUNT_DISABLED):
            return result
        account = await self._accounts.state_of(token.session_id, anew=True)
        if account == known:
            return result
        return await self._commits.submit(RotationRequest(token, caller, client_id, account))

    async def judge(self, token: RefreshToken) -> Outcome:
        """What `refresh` would decide now, without any effect."""
        account = None if self._accounts is None else await self._accounts.state_of(token.session_id)
        return await self._store.judge(RotationRequest(token, Caller(), account=account))

    def _granted(self, token: RefreshToken, result: RotationResult) -> Granted:
        subject = Subject(
            result.user_id, result.username, result.roles, session_id_text(token.session_id), result.client_id
        )
        child: str | None = None
        if result.outcome is not Outcome.EARLY:
            child = refresh_token.mint(refresh_token.child_of(token, now_ms=result.now_ms), self._secrets)
        return Granted(
            access_token=self._issuer.issue(subject, now_ms=result.now_ms),
            expires_in=self._issuer.expires_in,
            session_id=token.session_id,
            refresh_token=child,
            refresh_expires_in=(result.expires_at_ms - result.now_ms) // 1000,
            delivery=token.delivery,
        )

    async def end(
        self, session_id: bytes, caller: Caller, *, reason: Reason = Reason.SIGNED_OUT, user_id: str | None = None
    ) -> bool:
        """End one session; False when it was over already, or is not this user's."""
        return self._told(await self._store.end(session_id, reason, caller, user_id=user_id))

    async def sign_out(self, token: RefreshToken | AccessTokenClaims, caller: Caller) -> None:
        """
        End the session of a genuine token; ending one twice is no error.

        Where a restore has lost the session, its access tokens would outlive the sign-out: the guards are told.
        """
        session_id = session_of(token)
        if session_id is None:
            return
        if isinstance(token, RefreshToken):
            # Two lifetimes: EARLY answers bring a newer access token without a newer refresh token.
            until_ms = token.issued_at_ms + int(2 * self._issuer.expires_in * 1000)
        else:
            until_ms = int((token.exp + MAX_LEEWAY_SECONDS) * 1000)
        self._told(await self._store.end(session_id, Reason.SIGNED_OUT, caller, tokens_until_ms=until_ms))

    async def change_account(self, change: AccountChange) -> bool:
        """Change an account and end its sessions; False when it is not there or its epoch has moved."""
        ended = await self._store.change_account(change)
        if ended is None:
            return False
        self._told(ended)
        return True

    def _told(self, ended: Ended) -> bool:
        self._hub.publish(ended.events)
        return bool(ended.session_ids)
