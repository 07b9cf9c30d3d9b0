"""
The errors, by who must act.

EvertokenError
├── TokenError              401 invalid_token (RFC 6750 §3.1): the guard refuses the access token
│   ├── MalformedToken
│   ├── BadSignature
│   │   └── UnknownKey      no key of its kid; a guard elsewhere may fetch the keys once more
│   ├── TokenExpired
│   ├── TokenNotYetValid
│   ├── TokenRevoked        the token is genuine, its session has ended
│   └── ClaimMismatch       .claim
├── InsufficientRights      403 insufficient_scope: the token is good, the rights are not there
├── SessionOver             401 session_over, or 400 invalid_grant on the OAuth routes; .reason
├── TemporarilyUnavailable  nobody is signed out; try again after .retry_after_seconds (as an answer: 503 + Retry-After)
│   ├── StoreUnavailable    the store is locked, full, read-only, gone or too slow
│   ├── Overloaded          more work of one kind is waiting than its bound allows
│   ├── GuardNotReady       (guard) no keys have been fetched yet
│   ├── FeedLost            (guard) the revocation feed has been out of reach for longer than `close_after`
│   ├── HookFailed          a hook of the host application raised, or returned what it must not
│   ├── RefreshUnavailable  (client) no new access token now; the session and its tokens are kept
│   ├── SignInUnavailable   (client) the server could not be asked, or is too busy
│   ├── SignOutUnavailable  (client) the server has not confirmed the end; the tokens are kept
│   └── TokenStoreUnavailable (client) the token store is full, held by another process or unreachable
├── SignedOut               (client) the session is over, sign in again; .reason
├── SignInRefused           (client) the server said no; .code
├── NotReplayable           (client) the token was renewed, the body could not be sent twice; .response
├── TokenStoreRefused       (client) a damaged, foreign or unsafe token store; nothing was written
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


class UnknownKey(BadSignature):
    """The token names a key that is not among those we trust."""


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


class GuardNotReady(TemporarilyUnavailable):
    """A guard in another service has not fetched the issuer's keys yet, so it can judge no token."""


class FeedLost(TemporarilyUnavailable):
    """A guard that must follow revocations has not heard of them for longer than it may go without (`close_after`)."""


class HookFailed(TemporarilyUnavailable):
    """A hook that the host application supplied raised, or returned what it must not; named in the log."""


class RefreshUnavailable(TemporarilyUnavailable):
    """
    There is no valid access token and none can be had now: network, timeout, 429, 5xx, or a strange answer.

    The tokens are kept and nobody is signed out. `.retry_after_seconds` says when it is worth trying again.
    """


class SignInUnavailable(TemporarilyUnavailable):
    """The server could not be asked whether the password is right, or is too busy to say."""


class SignOutUnavailable(TemporarilyUnavailable):
    """The server has not confirmed that the session is over (RFC 7009 §2.2.1), so its tokens are kept: try again."""


class TokenStoreUnavailable(TemporarilyUnavailable):
    """The place where tokens are kept is full, unreachable, or held by another process for too long."""


class TokenStoreRefused(EvertokenError):
    """The place where tokens are kept is damaged, foreign or unsafe; a person has to look. Nothing was written."""


class SignedOut(EvertokenError):
    """
    Nobody is signed in; the person has to sign in again.

    `.reason` is the server's (`expired_idle`, `expired_max_age`, `signed_out`, `password_changed`, `revoked`,
    `replayed`, `account_disabled`, `unknown`, or `invalid_grant` where an OAuth server says no more), or the client's
    own: `not_signed_in` (nobody ever was, here), `signed_in_anew` (somebody else signed in over it), `expired` (the
    access token has ended and there is no refresh token).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"signed out ({reason}): sign in again")
        self.reason = reason


class SignInRefused(EvertokenError):
    """The server refused the sign-in; `.code` is its code (`bad_credentials`), or its HTTP status as text."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"sign-in refused ({code}): {detail}")
        self.code = code


class NotReplayable(EvertokenError):
    """
    The access token had expired and was renewed, but the body of this request cannot be sent a second time.

    The server has refused the request. Make it again with a fresh body. `.response` is the refusal, as the HTTP
    library gave it; its body may have been read.
    """

    def __init__(self, response: object) -> None:
        super().__init__(
            "the access token had expired; it has been renewed, but this request's body was a stream and is used up: "
            "make the request again with a fresh body"
        )
        self.response = response


class ConfigurationError(EvertokenError):
    """A setting is wrong or missing; `.setting` names it, the message says what to do."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting
