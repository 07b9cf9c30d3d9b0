"""Making access tokens: our claims, the application's own, and the key that signs now."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evertoken.errors import HookFailed
from evertoken.sessions.keys import KeyKeeper
from evertoken.tokens import access_token
from evertoken.tokens.claims import check_extra

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom an access token is made; what a claims hook is given. Roles are the user's present ones."""

    user_id: str
    username: str
    roles: tuple[str, ...]
    session_id: str
    client_id: str


ClaimsHook = Callable[[Subject], Mapping[str, Any]]
"""Returns the application's own claims: user name, tenant, permissions. Called at sign-in and at every refresh, so it
must be quick and must not block; it may not set a claim of `claims.RESERVED`."""


def username_claim(subject: Subject) -> Mapping[str, Any]:
    """The default hook: the user name, under the name that OpenID Connect Core §5.1 gives it."""
    return {"preferred_username": subject.username}


class AccessTokenIssuer:
    """
    Makes access tokens (RFC 9068).

    Args:
        lifetime_ms: How long a token lives; fractions of a second are kept in `exp`.
    """

    def __init__(
        self, keys: KeyKeeper, *, issuer: str, audience: str, lifetime_ms: int, claims_hook: ClaimsHook = username_claim
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime_ms = lifetime_ms
        self._hook = claims_hook
        self.expires_in = _seconds(lifetime_ms)

    def extra_claims(self, subject: Subject) -> Mapping[str, Any]:
        """
        Ask the hook.

        Raises:
            HookFailed: it raised, or returned what `claims.check_extra` refuses.
        """
        try:
            extra = self._hook(subject)
            if self._hook is not username_claim:
                check_extra(extra)
        except HookFailed as error:
            _log.error("the claims hook: %s", error)
            raise
        except Exception as error:
            _log.exception("the claims hook failed")
            raise HookFailed("the claims hook failed") from error
        return extra

    def issue(self, subject: Subject, *, now_ms: int, extra: Mapping[str, Any] | None = None) -> str:
        """
        An access token that lives at least as long as `expires_in` says.

        `exp` is rounded up to the next second where the lifetime is whole seconds, so that no holder is promised
        more than the guard grants.

        Raises:
            HookFailed: see `extra_claims`, which is called unless its result is handed in.
        """
        added = self.extra_claims(subject) if extra is None else extra
        expires_at_ms = now_ms + self._lifetime_ms
        payload = {
            "iss": self._issuer,
            "sub": subject.user_id,
            "aud": self._audience,
            "client_id": subject.client_id,
            "exp": -(-expires_at_ms // 1000) if self._lifetime_ms % 1000 == 0 else expires_at_ms / 1000,
            "iat": now_ms // 1000,
            "jti": secrets.token_urlsafe(12),
            "sid": subject.session_id,
            "roles": subject.roles,
            **added,
        }
        return access_token.sign(payload, self._keys.signing_key(now_ms=now_ms))


def _seconds(milliseconds: int) -> int | float:
    """Whole seconds as an int, as every client expects; a fraction only where one was configured."""
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
