"""May the holder of this access token pass? No database, no network, no wait."""

from collections.abc import Sequence
from typing import Protocol

from evertoken.dialects import Spoken
from evertoken.errors import InsufficientRights, TokenRevoked
from evertoken.guards.revoked import RevokedSessions
from evertoken.guards.speech import Speech
from evertoken.tokens import access_token
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.jws import KeySource
from evertoken.wire.dialects.known import EVERTOKEN


class ChecksAccess(Protocol):
    """
    What a framework's guard stands on: `AccessCheck` beside the server, `Guard` in another service.

    One that speaks a dialect other than evertoken's own says so by an attribute `speech` (`evertoken.guards.speech`).

    Every method may raise TokenError (answer 401). A guard elsewhere may raise TemporarilyUnavailable too (503 with
    Retry-After: it has no keys yet, or has lost the feed).
    """

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        """The claims of a good access token. It may block, within a bound: not for an event loop."""

    async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        """As `check`, without blocking the event loop."""

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        """The claims of a token that would pass, or None, which says nothing about it. Never blocks, never raises."""


class AccessCheck:
    """
    Checks access tokens and remembers those it has seen until they expire. Safe to use from several threads.

    Args:
        keys: Where verification keys come from.
        rules: What a token must say: issuer, audience, leeway.
        revoked: Sessions that have been ended; whoever learns of one adds it there.
        remember: How many verified tokens to remember; the oldest goes first. About 2 KB each.
        dialect: How requests bring the token and how they are refused: a `Dialect`, a built-in one's name, a document
            or its path.

    Raises:
        DialectError: The dialect cannot be used.
    """

    def __init__(
        self,
        keys: KeySource,
        rules: AccessTokenRules,
        revoked: RevokedSessions,
        *,
        remember: int = 10_000,
        dialect: Spoken = EVERTOKEN,
    ) -> None:
        self.speech = Speech(dialect)
        self._prefix = self.speech.prefix
        self._keys = keys
        self._rules = rules
        self._sessions = revoked
        self._revoked = revoked.ids
        self._speaking_otherwise: list[AccessCheck] = []
        self._remember = remember
        self._leeway_ms = rules.leeway_seconds * 1000
        self._seen: dict[bytes, tuple[AccessTokenClaims, float]] = {}  # by `_header`

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        """
        The claims of a good access token.

        Args:
            encoded: The token from the Authorization header.
            now_ms: Current time.

        Raises:
            TokenError: it is refused; the class says why, for the log only.

        Source: RFC 9068 §4.
        """
        # Tokens are remembered by the whole header, which a middleware has in hand at every request, ready-made.
        header = self._prefix + encoded.encode("utf-8", "surrogatepass")
        # Taken before the keys are asked: what was verified by keys that change meanwhile is not remembered.
        memory = self._seen
        seen = memory.get(header)
        if seen is None or now_ms >= seen[1]:
            # An expired one is verified anew, and refused there with the same care as any other.
            claims = access_token.verify(encoded, keys=self._keys, rules=self._rules, now_ms=now_ms)
            self._learn(memory, header, claims)
        else:
            claims = seen[0]
        if claims.sid in self._revoked:
            raise TokenRevoked("the session of this token has ended")
        return claims

    async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        """As `check`, which never blocks here."""
        return self.check(encoded, now_ms=now_ms)

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        """
        The claims of a token that `check` has passed before and would pass now; None says nothing about it.

        Args:
            authorization: The header as it came. Only the dialect's scheme, a space and the token, exactly, is ever
                found.
        """
        seen = self._seen.get(authorization)
        if seen is None or now_ms >= seen[1] or (self._revoked and seen[0].sid in self._revoked):
            return None
        return seen[0]

    def forget(self) -> None:
        """Verify every token anew: to be called when the keys have changed."""
        self._seen = {}
        for other in self._speaking_otherwise:
            other.forget()

    def speaking(self, dialect: Spoken) -> "AccessCheck":
        """
        The same check in another dialect, for an application's own routes beside the mounted server.

        It knows of keys and ended sessions what this one knows, at the same moment. Make it once, at start.

        Raises:
            DialectError: The dialect cannot be used.
        """
        other = AccessCheck(self._keys, self._rules, self._sessions, remember=self._remember, dialect=dialect)
        self._speaking_otherwise.append(other)
        return other

    def _learn(
        self, memory: dict[bytes, tuple[AccessTokenClaims, float]], header: bytes, claims: AccessTokenClaims
    ) -> None:
        while len(memory) >= self._remember:
            try:
                memory.pop(next(iter(memory)), None)
            except (RuntimeError, StopIteration):  # another thread has just done it
                continue
        memory[header] = (claims, claims.exp * 1000 + self._leeway_ms)


def demand(claims: AccessTokenClaims, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> None:
    """
    Demand rights of a verified token: every one of the scopes, and at least one of the roles.

    Raises:
        InsufficientRights: answer 403 with the challenge of RFC 6750 §3.1.
    """
    if not set(scopes) <= set(claims.scope) or (roles and not set(roles) & set(claims.roles)):
        raise InsufficientRights(scopes=tuple(scopes), roles=tuple(roles))
