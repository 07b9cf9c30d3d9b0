"""
Rotation by confirmed succession: the one decision on which everything else rests.

A refresh token stays good until its *successor* is presented. Then, and only then, it is dead; and a
successor counts only once it is *ripe*: old enough (4 overlaps) for every answer of its time to have arrived.
So a lost answer, a duplicate, a reload in mid-refresh or two tabs that race sign nobody out, and a thief who
copied a token cannot walk along behind its owner.

Pure: no clock, no store. Instants and durations are whole milliseconds here, because an overlap may be a
fraction of a second. `stores/` hold a conditional UPDATE that must agree with `decide` on every input; the
compliance suite compares the two.
"""

import enum
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

MATURITY_IN_OVERLAPS: Final = 4
"""
How many overlaps a token must be old to be ripe.

The explorer in tests/rotation proves 4: where a request and its answer may *each* live just under an overlap, an honest
session ends at 3. (Where the two together live shorter than an overlap, 3 would do.)
"""

MAX_DECISIONS: Final = 3
"""How often a store decides anew when a row changed between reading and writing it, before it answers 503."""


class Outcome(enum.Enum):
    """What becomes of a presented refresh token; the rows of the table in docs/rotation.md."""

    GONE = "gone"
    REISSUE = "reissue"
    EARLY = "early"
    ADVANCE = "advance"
    STALE = "stale"
    REPLAY = "replay"


class Reason(enum.StrEnum):
    """Why a session is over, told to whoever holds a genuine token of it, never to a forger."""

    EXPIRED_IDLE = "expired_idle"
    EXPIRED_MAX_AGE = "expired_max_age"
    SIGNED_OUT = "signed_out"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a password
    REVOKED = "revoked"
    REPLAYED = "replayed"
    ACCOUNT_DISABLED = "account_disabled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """
    The durations that rotation goes by, in milliseconds.

    Args:
        overlap_ms: The longest that a request and its answer may live; 0 is the strict setting, in which a
            successor counts at once and nothing is STALE.
        idle_ms: How long a session lives without use.
        extends_idle: Whether a refresh counts as use. False ends a session `idle_ms` after its sign-in.
    """

    overlap_ms: int
    idle_ms: int
    extends_idle: bool = True

    @property
    def maturity_ms(self) -> int:
        """The age from which a token is ripe."""
        return MATURITY_IN_OVERLAPS * self.overlap_ms


class Presented(Protocol):
    """What a genuine refresh token says of itself. The MAC has been checked before one of these exists."""

    @property
    def generation(self) -> int:
        """How many successions lie between the first token of the session and this one."""

    @property
    def tag(self) -> bytes:
        """This token's own random tag."""

    @property
    def parent(self) -> bytes:
        """The tag of the token that was presented when this one was made."""

    @property
    def issued_at_ms(self) -> int:
        """When it was made, by the clock of the store that made it."""


class Any_(enum.Enum):  # noqa: N801 - the table's word is ANY; the trailing line keeps typing.Any apart
    """The `previous` of a session whose store lost commits: any older tag may have been the newest."""

    ANY = "any"


ANY: Final = Any_.ANY


@dataclass(frozen=True, slots=True)
class Row:
    """
    The part of a session row that rotation reads and writes.

    Args:
        current: The newest tag that counts; at sign-in that of the first token.
        previous: The tag before it; None at sign-in; ANY after a HEAL.
        generation: How many successors have been confirmed.
        advanced_at_ms: When `current` last changed; at sign-in, then.
        idle_expires_at_ms: When the session ends if nobody uses it.
        max_expires_at_ms: When it ends in any case; None where no maximum age is set.
        over: The reason for which it has ended already: revoked, or its account is gone, disabled or of
            another epoch.
    """

    current: bytes
    previous: bytes | Literal[Any_.ANY] | None
    generation: int
    advanced_at_ms: int
    idle_expires_at_ms: int
    max_expires_at_ms: int | None = None
    over: Reason | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The outcome, and the row as it must be afterwards.

    Args:
        row: Unchanged for GONE, STALE and REPLAY (whose effect, the revocation, is the store's to write).
        healed: The store had lost commits and the presented token put it right (row 4 of the table).
        reason: For GONE and REPLAY: why the session is over.
        retry_after_ms: For STALE: what is left of the overlap.
    """

    outcome: Outcome
    row: Row | None
    healed: bool = False
    reason: Reason | None = None
    retry_after_ms: int = 0


def decide(row: Row | None, token: Presented, *, now_ms: int, policy: RotationPolicy) -> Decision:
    """
    Decide what a presented refresh token means. The first row of the table that matches decides.

    Args:
        row: The session as the store has it, or None if it has none.
        token: What the token says; its MAC has been checked.
        now_ms: The store's clock. It may lie before `token.issued_at_ms` or `row.advanced_at_ms`, where
            machines differ; a negative difference counts as within the overlap.

    Source: docs/rotation.md; RFC 9700 §4.14.2 for what a replay must lead to.
    """
    if row is None:
        return Decision(Outcome.GONE, None, reason=Reason.UNKNOWN)
    over = why_over(row, token, now_ms=now_ms, policy=policy)
    if over is not None:
        return Decision(Outcome.GONE, row, reason=over)

    used = replace(row, idle_expires_at_ms=now_ms + policy.idle_ms) if policy.extends_idle else row
    if token.tag == row.current:
        return Decision(Outcome.REISSUE, used)
    if token.parent == row.current:
        if is_young(token, now_ms=now_ms, policy=policy):
            return Decision(Outcome.EARLY, used)
        return Decision(Outcome.ADVANCE, _advanced(used, token, previous=row.current, now_ms=now_ms))
    if token.generation >= row.generation + 2:
        return _heal(used, token, now_ms=now_ms, policy=policy)
    if _was_newest_before(row, token) and _is_within_overlap(row, now_ms=now_ms, policy=policy):
        return Decision(Outcome.STALE, row, retry_after_ms=max(row.advanced_at_ms + policy.overlap_ms - now_ms, 0))
    return Decision(Outcome.REPLAY, row, reason=Reason.REPLAYED)


def why_over(row: Row, token: Presented, *, now_ms: int, policy: RotationPolicy) -> Reason | None:
    """
    Why this session can no longer be refreshed, or None while it can.

    The idle limit is the later of the row's date and the token's own: a store that was rolled back knows an
    older date than the token's holder was promised.
    """
    if row.over is not None:
        return row.over
    if row.max_expires_at_ms is not None and now_ms >= row.max_expires_at_ms:
        return Reason.EXPIRED_MAX_AGE
    promised_ms = token.issued_at_ms + policy.idle_ms if policy.extends_idle else 0
    if now_ms >= max(row.idle_expires_at_ms, promised_ms):
        return Reason.EXPIRED_IDLE
    return None


def is_young(token: Presented, *, now_ms: int, policy: RotationPolicy) -> bool:
    """Whether answers of this token's time may still be on their way. Nothing is young at an overlap of 0."""
    return policy.overlap_ms > 0 and now_ms - token.issued_at_ms < policy.maturity_ms


def _advanced(row: Row, token: Presented, *, previous: bytes | Literal[Any_.ANY], now_ms: int) -> Row:
    return replace(row, current=token.tag, previous=previous, generation=token.generation, advanced_at_ms=now_ms)


def _heal(row: Row, token: Presented, *, now_ms: int, policy: RotationPolicy) -> Decision:
    """
    A token two generations ahead proves that the store lost commits: failover, or a restored backup.

    Its parent was confirmed once, so the row is set to the parent and the token is judged anew as its child.
    """
    if is_young(token, now_ms=now_ms, policy=policy):
        healed = replace(
            row,
            current=token.parent,
            previous=ANY,
            generation=token.generation - 1,
            advanced_at_ms=now_ms,
        )
        return Decision(Outcome.EARLY, healed, healed=True)
    return Decision(Outcome.ADVANCE, _advanced(row, token, previous=ANY, now_ms=now_ms), healed=True)


def _was_newest_before(row: Row, token: Presented) -> bool:
    return row.previous is ANY or (row.previous is not None and row.previous in (token.tag, token.parent))


def _is_within_overlap(row: Row, *, now_ms: int, policy: RotationPolicy) -> bool:
    return policy.overlap_ms > 0 and now_ms - row.advanced_at_ms <= policy.overlap_ms
