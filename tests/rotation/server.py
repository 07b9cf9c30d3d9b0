"""The real decision code as the model's server: canonical numbers in, `decide`, canonical numbers out, remembered."""

from types import ModuleType
from typing import Any, Final, NamedTuple

from evertoken.sessions import rotation
from evertoken.tokens.refresh_token import Delivery, RefreshToken, child_of

NOBODY: Final = -1
"""In place of a tag: `previous` is None, or nobody holds a token that knows the tag."""

ANY: Final = -2
"""In place of a tag: `previous` is ANY."""

FRESH: Final = 99
"""The tag of a token that was made in this step; the canonical form gives it its place among the others."""

Token = tuple[int, int, int, int]
"""Generation (relative to the row's), own tag, parent's tag, age in ticks."""

Row = tuple[int, int, int, int, int, int]
"""Current tag, previous tag, generation, ticks since the last advance, ticks until idle expiry, 1 when over."""

_NOW = 1_000_000
_LONG_MS = 10_000_000


class Verdict(NamedTuple):
    """What became of one presentation: the outcome, the row that the store keeps, and the token in the answer."""

    outcome: str
    row: Row
    child: Token | None
    retry_after: int
    reason: str
    healed: bool


class Server:
    """
    What the table says around `decide`: who gets a child, and what is kept. Mutants override one method.

    Args:
        overlap: The overlap in ticks; a tick is a millisecond to `decide`.
        idle: The idle time in ticks; 0 leaves it out of the model.
        code: The module that decides: evertoken's own, or a mutated copy of it.
        horizon: For how many ticks after an advance its age can matter; 0 means for an overlap.
    """

    def __init__(self, overlap: int, idle: int = 0, code: ModuleType = rotation, horizon: int = 0) -> None:
        self.code: Any = code
        self.policy: Any = self.code.RotationPolicy(overlap_ms=overlap, idle_ms=idle or _LONG_MS)
        self.overlap = overlap
        self.idle = idle
        self.horizon = horizon or overlap
        self._remembered: dict[tuple[Row, Token], Verdict] = {}

    def present(self, row: Row, token: Token) -> Verdict:
        """Give the verdict on a token. Everything is relative, so equal questions are asked of `decide` only once."""
        verdict = self._remembered.get((row, token))
        if verdict is None:
            verdict = self._remembered[row, token] = self._ask(row, token)
        return verdict

    def answered(self, outcome: str, token: Token) -> Token | None:
        """Give the token in the answer: REISSUE and ADVANCE hand out a fresh child, nothing else does."""
        if outcome in {"reissue", "advance"}:
            child = child_of(_genuine(token), now_ms=_NOW)
            return (child.generation, FRESH, _tag(child.parent), _NOW - child.issued_at_ms)
        return None

    def kept(self, row: Row, outcome: str, decided: Row) -> Row:
        """Give the row as the store holds it afterwards: a replay revokes the session, once and for all."""
        return (*row[:5], 1) if outcome == "replay" else decided

    def _ask(self, row: Row, token: Token) -> Verdict:
        decision = self.code.decide(self._stored(row), _genuine(token), now_ms=_NOW, policy=self.policy)
        outcome: str = decision.outcome.value
        kept = self.kept(row, outcome, self._canonical(decision.row))
        reason = decision.reason.value if decision.reason else ""
        return Verdict(outcome, kept, self.answered(outcome, token), decision.retry_after_ms, reason, decision.healed)

    def _stored(self, row: Row) -> Any:
        current, previous, generation, advanced, idle_left, over = row
        names = {NOBODY: None, ANY: self.code.ANY}
        return self.code.Row(
            current=_name(current),
            previous=names[previous] if previous < 0 else _name(previous),
            generation=generation,
            advanced_at_ms=_NOW - advanced,
            idle_expires_at_ms=_NOW + (idle_left if self.idle else _LONG_MS),
            over=self.code.Reason.REPLAYED if over else None,
        )

    def _canonical(self, row: Any) -> Row:
        known = {None: NOBODY, self.code.ANY: ANY}
        previous = known[row.previous] if row.previous in known else _tag(row.previous)
        idle_left = row.idle_expires_at_ms - _NOW if self.idle else 0
        advanced = _NOW - row.advanced_at_ms
        return (_tag(row.current), previous, row.generation, advanced, idle_left, int(row.over is not None))


def _genuine(token: Token) -> RefreshToken:
    generation, tag, parent, age = token
    return RefreshToken(b"session", generation, _name(tag), _name(parent), _NOW - age, Delivery.COOKIE)


def _name(tag: int) -> bytes:
    return b"tag %d" % tag


def _tag(name: bytes) -> int:
    return int(name[4:])
