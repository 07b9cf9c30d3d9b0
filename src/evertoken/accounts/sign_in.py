"""
Checking a user name and a password, without telling strangers anything and without locking the owner out.

The attempt is counted as a failure before the password is verified, so that a hundred at once cannot slip
through; a success takes the count back. A wrong user, a wrong password and a disabled account are one answer,
after the same work.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from evertoken.accounts.throttle import Kind, Limits, Verdict, network_of
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User, UserDirectory
from evertoken.errors import HookFailed, TemporarilyUnavailable
from evertoken.secret import Secret
from evertoken.tokens.server_secrets import SecretRing

_log = logging.getLogger(__name__)

AttemptKeys = Mapping[Kind, bytes]


class AttemptStore(Protocol):
    """Where sign-in attempts are counted, for all workers together."""

    async def reserve_attempt(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        """Decide whether an attempt may go on and, if so, count it as a failure; in one transaction."""

    async def attempt_succeeded(self, keys: AttemptKeys, limits: Limits) -> None:
        """Clear the pair and the account, forgive the address this attempt, remember the pair as known."""

    async def attempt_withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        """Take the counted failure back: the attempt could not be judged."""


@dataclass(frozen=True, slots=True)
class SignInResult:
    """
    What became of an attempt.

    Args:
        user: Who it is; None when the attempt failed or was not let through.
        retry_after_ms: More than 0 when the attempt was not let through: when the next one may come.
    """

    user: User | None
    retry_after_ms: int = 0
    slowed_by: Kind | None = None


class SignIn:
    """The sign-in check over any user directory."""

    def __init__(self, directory: UserDirectory, attempts: AttemptStore, secrets: SecretRing, limits: Limits) -> None:
        self._directory = directory
        self._attempts = attempts
        self._secrets = secrets
        self._limits = limits

    async def check(self, username: str, password: Secret, *, address: str) -> SignInResult:
        """
        Check one attempt.

        Args:
            address: The caller's network address, as the server trusts it.

        Raises:
            TemporarilyUnavailable: the store or the hashing pool cannot take it; nothing was decided.
        """
        keys = self._keys(username, address)
        verdict = await self._attempts.reserve_attempt(keys, self._limits)
        if not verdict.allowed:
            return SignInResult(None, verdict.retry_after_ms, verdict.slowed_by)
        try:
            user = await self._directory.find_by_username(username)
            matches = await self._directory.verify_password(user, password)
        except Exception as error:
            # Ours or the application's fault, not a wrong password: it must not count as one.
            await self._attempts.attempt_withdrawn(keys, self._limits)
            if isinstance(error, TemporarilyUnavailable):
                raise
            _log.exception("the user directory failed")
            raise HookFailed("the user directory failed") from error
        if user is None or not matches or user.disabled:
            return SignInResult(None)
        await self._attempts.attempt_succeeded(keys, self._limits)
        return SignInResult(user)

    def _keys(self, username: str, address: str) -> AttemptKeys:
        account, network = username_key(username), network_of(address)
        return {
            Kind.PAIR: self._secrets.fingerprint(f"pair\0{account}\0{network}"),
            Kind.ACCOUNT: self._secrets.fingerprint(f"account\0{account}"),
            Kind.ADDRESS: self._secrets.fingerprint(f"address\0{network}"),
        }
