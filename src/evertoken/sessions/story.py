"""The story of one session, for whoever has to answer "why was I signed out". Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from evertoken.sessions.model import Caller, Event, EventKind, SessionRecord
from evertoken.spoken import how_long, when

REFRESHED: Final = "refreshed"
"""The kind of an ordinary refresh; it is no event, for a session is refreshed for as long as it lives."""

MAX_REFRESHES_TOLD: Final = 20
"""How many times of refreshes a session remembers."""

REASONS: Final = {
    "expired_idle": "nobody used it for the whole idle lifetime",
    "expired_max_age": "it reached the maximum age",
    "signed_out": "signed out",
    "password_changed": "the password was changed",
    "revoked": "ended by the user elsewhere, by an operator, or above the cap of sessions",
    "replayed": "an old refresh token was replayed",
    "account_disabled": "the account was disabled",
    "unknown": "unknown",
}
"""Why a session is over, for people."""

_STORIES: Final = {
    EventKind.SIGN_IN: "signed in",
    EventKind.EARLY: "early: refreshed again before the last answer was sure to have arrived; kept its token",
    EventKind.STALE: "stale: a late duplicate of an older token; told to wait, nothing changed",
    EventKind.HEAL: "heal: the token was ahead of the store, which had lost commits; the store was put right",
    EventKind.REPLAY: "replay: an old token was presented after its successor had been used; two parties held it",
    EventKind.SESSION_ENDED: "ended",
}


@dataclass(frozen=True, slots=True)
class Told:
    """
    One thing that happened to a session.

    Args:
        kind: An `EventKind`, or `REFRESHED`.
        text: What happened, without who and when.
        caller: Where it came from; empty for a refresh, whose address only the newest of them has left in the row.
        count: More than 1 where a busy session's events of one kind were folded into one.
        last_at_ms: When the last of them happened.
        event: What it was made from; None for a refresh.
    """

    kind: str
    at_ms: int
    text: str
    caller: Caller
    count: int = 1
    last_at_ms: int | None = None
    event: Event | None = None


def story(record: SessionRecord, events: list[Event]) -> list[Told]:
    """Everything that is known of a session, oldest first."""
    told = [*(_refresh(at_ms) for at_ms in record.recent_rotations_ms), *map(_told, events)]
    # A first refresh may follow in the same millisecond; still, everything begins with the sign-in.
    return sorted(told, key=lambda one: (one.at_ms, one.kind != EventKind.SIGN_IN))


def outcome(record: SessionRecord, *, now_ms: int) -> str:
    """How it stands with a session now, in one line."""
    ended = record.ended(now_ms=now_ms)
    if ended is None:
        return f"live: ends in {how_long(record.expires_at_ms() - now_ms)} if nobody uses it"
    return f"ended {when(ended_at_ms(record))}: {ended} ({REASONS[ended.value]})"


def ended_at_ms(record: SessionRecord) -> int:
    """When a session that is over came to its end."""
    return record.revoked_at_ms or record.expires_at_ms()


def told_from(caller: Caller) -> Iterator[str]:
    """Where somebody called from, in parts; nothing of what is not known."""
    yield from (part for part in (caller.address, caller.device) if part)
    if caller.operator:
        yield f"operator {caller.operator}"


def _refresh(at_ms: int) -> Told:
    return Told(REFRESHED, at_ms, "refreshed", Caller())


def _told(event: Event) -> Told:
    text = _STORIES.get(event.kind, event.kind.value)
    if event.kind is EventKind.SESSION_ENDED and event.reason is not None:
        text = f"ended: {event.reason} ({REASONS.get(event.reason, event.reason)})"
    if event.kind is EventKind.REPLAY:
        text += _evidence(event)
    return Told(event.kind.value, event.at_ms, text, event.caller, event.count, event.last_at_ms, event)


def _evidence(event: Event) -> str:
    detail = event.detail
    owner = Caller(detail["owner_address"], detail["owner_device"])
    return (
        f"; the token was of generation {detail['presented_generation']}, {how_long(detail['presented_age_ms'])} old,"
        f" the session was at {detail['session_generation']} since {how_long(detail['since_succession_ms'])};"
        f" the other party was last seen at [{' | '.join(told_from(owner))}]"
    )
