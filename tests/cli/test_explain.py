"""The story of a session, as `evertoken sessions explain` tells it."""

from evertoken.cli.explain import explanation
from evertoken.sessions.model import Caller, Event, EventKind, SessionRecord
from evertoken.sessions.rotation import Reason
from evertoken.tokens.refresh_token import Delivery

T0 = 1_800_000_000_000
HOME, THIEF = Caller("192.0.2.1", "Firefox"), Caller("198.51.100.7", "curl/8")


def _record(**changes: object) -> SessionRecord:
    values: dict[str, object] = {
        "id": bytes(16),
        "user_id": "usr_1",
        "username": "ada",
        "client_id": "evertoken",
        "delivery": Delivery.BODY,
        "created_at_ms": T0,
        "created_from": HOME,
        "refreshed_at_ms": T0,
        "refreshed_from": HOME,
        "idle_expires_at_ms": T0 + 604_800_000,
        "max_expires_at_ms": None,
        "rotations": 0,
        "recent_rotations_ms": (),
    }
    return SessionRecord(**{**values, **changes})  # type: ignore[arg-type]


def _story(record: SessionRecord, *events: Event, now_ms: int = T0) -> str:
    signed_in = Event(EventKind.SIGN_IN, T0, session_id=record.id, caller=HOME)
    return "\n".join(explanation(record, [signed_in, *events], now_ms=now_ms))


def test_a_theft_is_told_with_both_parties_and_their_addresses() -> None:
    """For a replay the story names where the old token came from and where the session was last seen."""
    detail = {
        "presented_generation": 2,
        "session_generation": 3,
        "presented_age_ms": 3_600_000,
        "since_succession_ms": 1_800_000,
        "owner_address": HOME.address,
        "owner_device": HOME.device,
    }
    replay = Event(EventKind.REPLAY, T0 + 1, caller=THIEF, reason="replayed", detail=detail)
    told = _story(_record(revoked_at_ms=T0 + 1, revoked_reason=Reason.REPLAYED), replay)
    assert "[198.51.100.7 | curl/8]" in told
    assert "last seen at [192.0.2.1 | Firefox]" in told
    assert "generation 2, 1.0 h old, the session was at 3 since 30.0 min" in told
    assert told.endswith("replayed (an old refresh token was replayed)")


def test_rotations_are_counted_and_the_last_twenty_listed() -> None:
    """Of 50 rotations the story lists the last 20 times and says how many there were."""
    times = tuple(T0 + 1000 * n for n in range(50, 30, -1))
    told = _story(_record(rotations=50, recent_rotations_ms=times))
    assert told.count("refreshed") == 20
    assert "rotations: 50, the last 20 above" in told


def test_folded_events_say_how_often_and_when_last() -> None:
    """A client in a loop is one line with a count, not a thousand lines."""
    stale = Event(EventKind.STALE, T0 + 1000, caller=HOME, count=900, last_at_ms=T0 + 60_000)
    assert "900 times, the last 2027-01-15 08:01:00" in _story(_record(), stale)


def test_a_session_that_nobody_used_is_said_to_have_expired() -> None:
    """A session without a revocation ends at its idle date."""
    told = _story(_record(), now_ms=T0 + 604_800_000)
    assert "ended 2027-01-22 08:00:00: expired_idle (nobody used it for the whole idle lifetime)" in told


def test_a_live_session_is_said_to_live() -> None:
    """A session that can be refreshed says until when."""
    assert _story(_record()).endswith("live: ends in 7.0 d if nobody uses it")
