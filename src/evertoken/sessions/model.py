"""What a session is, who calls, and what is told about both. Plain values; no behaviour beyond reading them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from evertoken.sessions.rotation import Outcome, Reason
from evertoken.tokens.refresh_token import Delivery, RefreshToken

MAX_DEVICE_CHARACTERS = 200
"""What is kept of a User-Agent: enough to tell devices apart, too little to fill a disk with."""


_ID_CHARACTERS = 22


def session_id_text(session_id: bytes) -> str:
    """The session id as it stands in `sid`, in answers and on the command line: 22 characters of base64url."""
    return base64.urlsafe_b64encode(session_id).rstrip(b"=").decode("ascii")


def session_id_bytes(text: str) -> bytes | None:
    """The other way round; None when the text is not the one spelling of a session id."""
    if len(text) != _ID_CHARACTERS or not text.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "==")
    except ValueError:
        return None
    return raw if session_id_text(raw) == text else None


@dataclass(slots=True)
class Caller:
    """
    Where a request came from: the network address and what its User-Agent said. Both are for people to read.

    Args:
        operator: The id of the user who acted here as an operator, over somebody else's session or account; empty
            where people act for themselves. It comes from a verified access token, so no User-Agent can feign it.
    """

    address: str = ""
    device: str = ""
    operator: str = ""


class EventKind(StrEnum):
    """What the audit trail records."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    RATE_LIMITED = "rate_limited"
    EARLY = "early"
    STALE = "stale"
    HEAL = "heal"
    REPLAY = "replay"
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    SIGNED_OUT_EVERYWHERE = "signed_out_everywhere"
    KEY_ROTATED = "key_rotated"
    REVOCATIONS_REAPPLIED = "revocations_reapplied"


@dataclass(frozen=True, slots=True)
class Event:
    """
    One line of the audit trail; never holds a token or a password.

    Args:
        count: More than 1 where a busy session's events of one kind were folded into one line.
        last_at_ms: When the last of them happened.
        detail: The evidence: for a replay the generations and ages that prove it.
    """

    kind: EventKind
    at_ms: int
    session_id: bytes | None = None
    user_id: str | None = None
    username: str | None = None
    caller: Caller = field(default_factory=Caller)
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1
    last_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewSession:
    """
    A sign-in that is about to be stored.

    Args:
        user_epoch: The user's epoch when the password was verified; the store demands that it still holds.
        token: The first refresh token; its `issued_at_ms` becomes the session's beginning.
        max_age_ms: The session ends this long after its beginning in any case; None for no maximum.
        replaces: A session whose cookie came along with the sign-in; it ends in the same transaction.
        adopted_from: The library whose refresh token was swapped for this session; empty for a sign-in by password.
    """

    user_id: str
    username: str
    user_epoch: int
    client_id: str
    token: RefreshToken
    caller: Caller
    max_age_ms: int | None = None
    replaces: bytes | None = None
    adopted_from: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """
    A refresh token of another library on its way to become a session.

    Args:
        fingerprint: What the token is known by, 32 bytes.
        forget_at_ms: When the token expires, and with it the memory of it.
        session: The session to begin unless the token was swapped before.
    """

    fingerprint: bytes
    forget_at_ms: int
    session: NewSession


@dataclass(frozen=True, slots=True)
class Adopted:
    """
    The session that a refresh token of another library stands for.

    Args:
        tag: Of the session's first refresh token, as `issued_at_ms`; the foreign one is judged as that one.
        ended: What ended when it began; nothing where it had begun before.
    """

    session_id: bytes
    tag: bytes
    issued_at_ms: int
    ended: "Ended"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as its owner and the operator see it."""

    id: bytes
    user_id: str
    username: str
    client_id: str
    delivery: Delivery
    created_at_ms: int
    created_from: Caller
    refreshed_at_ms: int
    refreshed_from: Caller
    idle_expires_at_ms: int
    max_expires_at_ms: int | None
    rotations: int
    recent_rotations_ms: tuple[int, ...]
    revoked_at_ms: int | None = None
    revoked_reason: Reason | None = None

    def expires_at_ms(self) -> int:
        """When the session ends if nobody uses it any more."""
        return min(self.idle_expires_at_ms, self.max_expires_at_ms or self.idle_expires_at_ms)

    def ended(self, *, now_ms: int) -> Reason | None:
        """Why the session is over, or None while it lives."""
        if self.revoked_at_ms is not None:
            return self.revoked_reason or Reason.UNKNOWN
        if self.max_expires_at_ms is not None and now_ms >= self.max_expires_at_ms:
            return Reason.EXPIRED_MAX_AGE
        return Reason.EXPIRED_IDLE if now_ms >= self.idle_expires_at_ms else None


@dataclass(slots=True)
class AccountState:
    """What a refresh must know of a user who lives in the host application's own table."""

    epoch: int
    disabled: bool
    username: str
    roles: tuple[str, ...]


@dataclass(slots=True)
class RotationRequest:
    """
    One presented refresh token on its way to the store.

    Args:
        client_id: Whom the token must belong to (RFC 6749 §6); None where the caller did not say.
        account: The user's state where users do not live in the store; None where they do.
    """

    token: RefreshToken
    caller: Caller
    client_id: str | None = None
    account: AccountState | None = None


@dataclass(slots=True)
class RotationResult:
    """
    What the store decided and committed.

    Args:
        now_ms: The store's clock at the decision.
        retry_after_ms: For STALE, what is left of the overlap.
        expires_at_ms: When the session ends if it is not used again.
        event: The line of the audit trail that was committed with the decision, if there was one.
    """

    outcome: Outcome
    now_ms: int
    healed: bool = False
    reason: Reason | None = None
    retry_after_ms: int = 0
    user_id: str = ""
    username: str = ""
    roles: tuple[str, ...] = ()
    client_id: str = ""
    expires_at_ms: int = 0
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """
    A change of an account that ends its sessions: it raises the user's epoch in one statement.

    Args:
        reason: Told to every session that ends by it.
        keep: The session that goes on (the one that changed the password); None ends all.
        expected_epoch: Do nothing unless the user still has this epoch; None for any.
        password_hash: The new hash, where the password changes.
        disabled: The new state, where it changes.
        elsewhere_epoch: The user's new epoch where users do not live in the store.
    """

    user_id: str
    reason: Reason
    event: EventKind
    caller: Caller = field(default_factory=Caller)
    keep: bytes | None = None
    expected_epoch: int | None = None
    password_hash: str | None = None
    disabled: bool | None = None
    elsewhere_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Sessions that a committed transaction ended, and the audit lines that went with them."""

    session_ids: tuple[bytes, ...]
    at_ms: int
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Revocations:
    """Sessions revoked since a cursor, and the cursor to go on from."""

    session_ids: tuple[tuple[bytes, int], ...]
    cursor: int
