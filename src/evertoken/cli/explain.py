"""The story of one session, for whoever has to answer "why was I signed out". Pure."""

from collections.abc import Iterator

from evertoken.cli.show import how_long, when
from evertoken.sessions.model import Caller, Event, EventKind, SessionRecord, session_id_text

_STORIES = {
    EventKind.SIGN_IN: "signed in",
    EventKind.EARLY: "early: refreshed again before the last answer was sure to have arrived; kept its token",
    EventKind.STALE: "stale: a late duplicate of an older token; told to wait, nothing changed",
    EventKind.HEAL: "heal: the token was ahead of the store, which had lost commits; the store was put right",
    EventKind.REPLAY: "replay: an old token was presented after its successor had been used; two parties held it",
    EventKind.SESSION_ENDED: "ended",
}

_REASONS = {
    "expired_idle": "nobody used it for the whole idle lifetime",
    "expired_max_age": "it reached the maximum age",
    "signed_out": "signed out",
    "password_changed": "the password was changed",
    "revoked": "ended by the user elsewhere, by an operator, or above the cap of sessions",
    "replayed": "an old refresh token was replayed",
    "account_disabled": "the account was disabled",
    "unknown": "unknown",
}


def explanation(record: SessionRecord, events: list[Event], *, now_ms: int) -> Iterator[str]:
    """The lines of the story, oldest first; times are UTC."""
    yield f"session {session_id_text(record.id)} of {record.username} ({record.user_id}), client {record.client_id}"
    yield ""
    for at_ms, text in sorted([*_rotations(record), *map(_line, events)], key=lambda line: line[0]):
        yield f"{when(at_ms)}  {text}"
    yield ""
    yield f"rotations: {record.rotations}" + (", the last 20 above" if record.rotations > 20 else "")  # noqa: PLR2004
    ended = record.ended(now_ms=now_ms)
    if ended is None:
        yield f"live: ends in {how_long(record.expires_at_ms() - now_ms)} if nobody uses it"
    else:
        ended_at = record.revoked_at_ms or record.expires_at_ms()
        yield f"ended {when(ended_at)}: {ended} ({_REASONS[ended.value]})"


def _rotations(record: SessionRecord) -> Iterator[tuple[int, str]]:
    for at_ms in record.recent_rotations_ms:
        yield at_ms, "refreshed"


def _line(event: Event) -> tuple[int, str]:
    text = _STORIES.get(event.kind, event.kind.value)
    if event.kind is EventKind.SESSION_ENDED and event.reason is not None:
        text = f"ended: {event.reason} ({_REASONS.get(event.reason, event.reason)})"
    text += _from(event.caller)
    if event.kind is EventKind.REPLAY:
        text += _evidence(event)
    if event.count > 1:
        text += f"; {event.count} times, the last {when(event.last_at_ms)}"
    return event.at_ms, text


def _evidence(event: Event) -> str:
    detail = event.detail
    return (
        f"; the token was of generation {detail['presented_generation']}, {how_long(detail['presented_age_ms'])} old,"
        f" the session was at {detail['session_generation']} since {how_long(detail['since_succession_ms'])};"
        f" the other party was last seen at{_from(Caller(detail['owner_address'], detail['owner_device']))}"
    )


def _from(caller: Caller) -> str:
    parts = [part for part in (caller.address, caller.device) if part]
    return f" [{' | '.join(parts)}]" if parts else ""
