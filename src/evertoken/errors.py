"""
The errors, by who must act.

EvertokenError
├── TokenError              401 invalid_token (RFC 6750 §3.1): the guard refuses the access token
│   ├── MalformedToken
│   ├── BadSignature
│   ├── TokenExpired
│   ├── TokenNotYetValid
│   ├── TokenRevoked        the token is genuine, its session has ended
│   └── ClaimMismatch       .claim
├── InsufficientRights      403 insufficient_scope: the token is good, the rights are not there
├── SessionOver             401 session_over, or 400 invalid_grant on the OAuth routes; .reason
├── TemporarilyUnavailable  503 + Retry-After: our fault, nobody is signed out; .retry_after_seconds
│   ├── StoreUnavailable    the store is locked, full, read-only, gone or too slow
│   ├── Overloaded          more work of one kind is waiting than its bound allows
│   └── HookFailed          a hook of the host application raised, or returned what it must not
├── PasswordRefused, UsernameRefused   (accounts) what a person may choose anew; .rule
├── UsernameTaken, ClientRefused       (accounts) what an operator may choose anew
└── ConfigurationError      raised at start-up, never per request; .setting
"""


class EvertokenError(Exception):
    """Base of every error that evertoken raises on purpose."""


class TokenError(EvertokenError):
    """The guard refuses this access token. The wire says no more than `invalid_token`; the log says which."""


class MalformedToken(TokenError):
    """The text is not one of our tokens: size, parts, encoding, JSON, header or a claim of a wrong type."""


class BadSignature(TokenError):
    """No key that we trust made this signature."""


class TokenExpired(TokenError):
    """`now` is at or past `exp` (RFC 7519 §4.1.4)."""


class TokenNotYetValid(TokenError):
    """`nbf` or `iat` lies in the future by more than the leeway."""


class TokenRevoked(TokenError):
    """The session that this access token belongs to has been ended."""


class ClaimMismatch(TokenError):
    """A claim or header is not what this guard demands; `.claim` names it."""

    def __init__(self, claim: str) -> None:
        super().__init__(f"{claim} is not what this guard demands")
        self.claim = claim


class InsufficientRights(EvertokenError):
    """The access token is good, but lacks a scope or a role that the resource demands."""

    def __init__(self, *, scopes: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> None:
        super().__init__("the access token lacks a scope or role")
        self.scopes = scopes
        self.roles = roles


class SessionOver(EvertokenError):
    """The session has ended, for `.reason`; the person has to sign in again. Made from a committed outcome."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the session is over: {reason}")
        self.reason = reason


class TemporarilyUnavailable(EvertokenError):
    """A fault of ours: no session has ended; try again after `.retry_after_seconds`."""

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class StoreUnavailable(TemporarilyUnavailable):
    """The store is locked, full, read-only, gone or too slow."""


class Overloaded(TemporarilyUnavailable):
    """More work of one kind is waiting than its bound allows, so that other work stays quick."""


class HookFailed(TemporarilyUnavailable):
    """A hook that the host application supplied raised, or returned what it must not; named in the log."""


class ConfigurationError(EvertokenError):
    """A setting is wrong or missing; `.setting` names it, the message says what to do."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting
