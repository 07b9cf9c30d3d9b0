"""
Coming over from another library without a sign-in wave: its refresh tokens are swapped for sessions, for a time.

A foreign token counts as the first refresh token of the session that it is swapped for. So a lost answer does no harm,
whoever presents it beside its successor ends the session, and it never makes a second one.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from evertoken.accounts.users import User, UserDirectory
from evertoken.clock import Clock
from evertoken.edge.settings import Settings
from evertoken.errors import ConfigurationError, HookFailed, TemporarilyUnavailable, TokenError
from evertoken.sessions.model import Caller
from evertoken.sessions.rotation import Reason
from evertoken.sessions.service import ForeignSignIn, Granted, Over, SessionService, SignedInUser, Stale
from evertoken.tokens import foreign
from evertoken.tokens.foreign import USER_CLAIM, ForeignRules, ForeignToken, Library
from evertoken.tokens.jws import Verifies

AdoptionHook = Callable[[Mapping[str, Any], User], bool | Awaitable[bool]]
"""The application's last word: the claims of a genuine token, and whose it is. False refuses it."""

LONGEST: Final = timedelta(days=366)
"""How far ahead `adopt_until` may lie. It must end: whoever has the other library's key can sign in as anybody."""

HOOK_ANSWERS_WITHIN_SECONDS: Final = 5.0
"""As for the application's user table: behind a hook that hangs, requests would pile up without end."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AdoptionRules:
    """
    What is adopted, and until when.

    Args:
        until_ms: From then on nothing is; milliseconds since the epoch.
        user_by: What of a user the token names.
        default_client_id: For callers that name no client.
        users_are_ours: Whether epochs begin at 0 and rise by one with every new password and sign-out everywhere.
    """

    key: Verifies
    claims: ForeignRules
    until_ms: int
    user_by: Literal["id", "username"]
    default_client_id: str
    users_are_ours: bool
    hook: AdoptionHook | None = None


class Adoptions:
    """Swaps refresh tokens of another library for sessions."""

    def __init__(
        self, rules: AdoptionRules, directory: UserDirectory, sessions: SessionService, *, clock: Clock
    ) -> None:
        self._rules = rules
        self._directory = directory
        self._sessions = sessions
        self._clock = clock

    async def swap(self, text: str, caller: Caller, *, client_id: str | None = None) -> Granted | Stale | Over | None:
        """
        Swap a refresh token of the other library, or repeat the answer that was lost.

        Args:
            text: As presented.
            client_id: Who presents it, where the caller says so.

        Returns:
            None where it is not the other library's, or adoption has ended: then it may be one of ours.

        Raises:
            TokenError: it looks like one of theirs and is not good; the log says why. Nothing has changed.
            TemporarilyUnavailable: a fault of ours or of the application's; it may be presented again.
        """
        now_ms = self._clock()
        if now_ms >= self._rules.until_ms or not foreign.is_candidate(text):
            return None
        try:
            token = foreign.verify(text, key=self._rules.key, rules=self._rules.claims, now_ms=now_ms)
        except TokenError as error:
            # Which rule, never the token; a ClaimMismatch names the claim.
            _log.info("a refresh token of %s refused: %s", self._rules.claims.library, _why(error))
            raise
        # The account may be changed while it is looked at; then it is looked at again.
        for _ in range(2):
            user = await self._find(token.user)
            refused = await self._refused(token, user)
            if refused is not None or user is None:
                reason = refused or Reason.UNKNOWN
                _log.info("a refresh token of %s not adopted: %s", self._rules.claims.library, reason.value)
                return Over(reason)
            result = await self._sessions.adopt(
                SignedInUser(user.id, user.username, user.epoch, user.roles),
                self._sign_in_by(token),
                caller,
                client_id=client_id,
            )
            if result is not None:
                return result
        raise TemporarilyUnavailable("the account is being changed")

    def _sign_in_by(self, token: ForeignToken) -> ForeignSignIn:
        library = self._rules.claims.library.value
        return ForeignSignIn(library, token.fingerprint, token.expires_at_ms, self._rules.default_client_id)

    async def _find(self, named: str) -> User | None:
        if self._rules.user_by == "id":
            return await self._directory.find_by_id(named)
        return await self._directory.find_by_username(named)

    async def _refused(self, token: ForeignToken, user: User | None) -> Reason | None:
        if user is None:
            return Reason.UNKNOWN
        if user.disabled:
            return Reason.ACCOUNT_DISABLED
        # A new password or a sign-out everywhere ends what was there before, and these tokens were. They do not say
        # when they were made in a way that could be compared, but no epoch has been raised while all of them were.
        if self._rules.users_are_ours and user.epoch > 0:
            return Reason.PASSWORD_CHANGED
        return None if await self._hook_agrees(token, user) else Reason.REVOKED

    async def _hook_agrees(self, token: ForeignToken, user: User) -> bool:
        if self._rules.hook is None:
            return True
        try:
            async with asyncio.timeout(HOOK_ANSWERS_WITHIN_SECONDS):
                answer = self._rules.hook(token.claims, user)
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except TemporarilyUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the application's own, whatever it is
            # The class alone: what it was given is a token's claims.
            _log.error("the adopt hook failed: %s", type(error).__name__)
            raise HookFailed("the adopt hook failed") from None


def read_rules(settings: Settings, *, hook: AdoptionHook | None, now_ms: int) -> AdoptionRules | None:
    """
    The rules that the settings give; None where nothing is to be adopted, or not any more.

    Raises:
        ConfigurationError: the key cannot be used, or the date lies more than a year ahead.
    """
    if not settings.adopt or settings.adopt_key is None or settings.adopt_until is None:
        return None
    key = foreign.read_key(settings.adopt_algorithm, settings.adopt_key)
    until_ms = int(settings.adopt_until.timestamp() * 1000)
    if until_ms - now_ms > LONGEST // timedelta(milliseconds=1):
        raise ConfigurationError("adopt_until", "must lie within a year: adoption has to end")
    library = Library(settings.adopt)
    if until_ms <= now_ms:
        _log.warning("adoption of %s's refresh tokens has ended: take the adopt settings away", library)
        return None
    _log.warning("refresh tokens of %s are adopted until %s", library, _shown(settings.adopt_until))
    return AdoptionRules(
        key=key,
        claims=ForeignRules(
            library,
            settings.adopt_user_claim or USER_CLAIM[library],
            settings.adopt_issuer,
            settings.adopt_audience,
        ),
        until_ms=until_ms,
        user_by="id" if settings.adopt_user_by == "id" else "username",
        default_client_id=settings.default_client_id,
        users_are_ours=not settings.user_directory,
        hook=hook,
    )


def _why(error: TokenError) -> str:
    claim = getattr(error, "claim", "")
    return f"{type(error).__name__} {claim}".rstrip()


def _shown(instant: datetime) -> str:
    return instant.isoformat(timespec="minutes")
