"""
Rotation in SQLite: the table of docs/rotation.md as one conditional UPDATE.

The statement below and `sessions.rotation.decide` say the same thing; the compliance suite compares them on
generated rows. What the UPDATE does not match (GONE, STALE, REPLAY) is decided by `decide` on the row as it is.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import Caller, Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import (
    MAX_DECISIONS,
    Decision,
    Outcome,
    Reason,
    RotationPolicy,
    Row,
    decide,
)
from evertoken.stores.lines import event_of, replay_of
from evertoken.stores.rows import ACCEPTED, parse_roles, row_of
from evertoken.stores.sqlite import events
from evertoken.stores.sqlite.revoking import revoke

# ?1 session  ?2 tag  ?3 parent  ?4 generation  ?5 issued at  ?6 now  ?7 maturity  ?8 idle time
# ?9 client or NULL  ?10 epoch or NULL (then the users table says)  ?11 address  ?12 device  ?13 secret
_YOUNG = "(?7 > 0 AND ?6 - ?5 < ?7)"
_ROTATED = f"(tag = ?2 OR NOT {_YOUNG})"
_UPDATE = f"""
UPDATE sessions SET
  outcome = CASE WHEN tag = ?2 THEN 1
                 ELSE (CASE WHEN {_YOUNG} THEN 2 ELSE 3 END) + (CASE WHEN tag = ?3 THEN 0 ELSE 2 END) END,
  previous = CASE WHEN tag = ?2 THEN previous
                  WHEN tag = ?3 THEN (CASE WHEN {_YOUNG} THEN previous ELSE tag END)
                  ELSE NULL END,
  tag = CASE WHEN tag = ?2 THEN tag WHEN {_YOUNG} THEN ?3 ELSE ?2 END,
  generation = CASE WHEN tag = ?2 THEN generation
                    WHEN NOT {_YOUNG} THEN ?4
                    WHEN tag = ?3 THEN generation
                    ELSE ?4 - 1 END,
  advanced_at_ms = CASE WHEN tag = ?2 OR (tag = ?3 AND {_YOUNG}) THEN advanced_at_ms ELSE ?6 END,
  idle_expires_at_ms = %(idle)s,
  refreshed_at_ms = ?6, refreshed_address = ?11, refreshed_device = ?12, secret_id = ?13,
  rotations = rotations + {_ROTATED},
  recent_rotations = CASE WHEN {_ROTATED} THEN substr(?6 || ',' || recent_rotations, 1, 280) ELSE recent_rotations END,
  unusual = unusual + (tag <> ?2 AND ({_YOUNG} OR tag <> ?3))
WHERE id = ?1 AND revoked_at_ms IS NULL
  AND (tag = ?2 OR tag = ?3 OR ?4 >= generation + 2)
  AND %(alive)s > ?6
  AND (max_expires_at_ms IS NULL OR max_expires_at_ms > ?6)
  AND (?9 IS NULL OR client_id = ?9)
  AND user_epoch = coalesce(?10, (SELECT epoch FROM users WHERE users.id = sessions.user_id AND disabled = 0))
RETURNING outcome, user_id, client_id,
  min(idle_expires_at_ms, coalesce(max_expires_at_ms, idle_expires_at_ms)), unusual,
  (SELECT username FROM users WHERE users.id = sessions.user_id),
  (SELECT roles FROM users WHERE users.id = sessions.user_id)
"""
_EXTENDING = _UPDATE % {"idle": "?6 + ?8", "alive": "max(idle_expires_at_ms, ?5 + ?8)"}
_STRICT_IDLE = _UPDATE % {"idle": "idle_expires_at_ms + 0 * ?8", "alive": "idle_expires_at_ms"}

_SELECT = """
SELECT s.tag, s.previous, s.generation, s.advanced_at_ms, s.idle_expires_at_ms, s.max_expires_at_ms,
       s.revoked_at_ms, s.revoked_reason, s.user_id, s.client_id, s.user_epoch, s.username,
       s.refreshed_address, s.refreshed_device, u.epoch, u.disabled
FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.id = ?
"""


def rotate(
    connection: sqlite3.Connection, now_ms: int, requests: Sequence[RotationRequest], policy: RotationPolicy
) -> list[RotationResult]:
    """Decide every request of a batch, in order, inside the open transaction."""
    statement = _EXTENDING if policy.extends_idle else _STRICT_IDLE
    return [_rotate_one(connection, now_ms, request, policy, statement) for request in requests]


def judge(connection: sqlite3.Connection, now_ms: int, request: RotationRequest, policy: RotationPolicy) -> Outcome:
    """What `rotate` would decide, without any effect."""
    found = connection.execute(_SELECT, (request.token.session_id,)).fetchone()
    row, _, client_id, _ = (None, "", "", "") if found is None else read_row(found, request)
    if request.client_id not in (None, client_id):
        return Outcome.GONE
    return decide(row, request.token, now_ms=now_ms, policy=policy).outcome


def _rotate_one(
    connection: sqlite3.Connection, now_ms: int, request: RotationRequest, policy: RotationPolicy, statement: str
) -> RotationResult:
    for _ in range(MAX_DECISIONS):
        accepted = connection.execute(statement, _parameters(request, now_ms, policy)).fetchone()
        if accepted is not None:
            return _accepted(connection, now_ms, request, accepted)
        refused = _refused(connection, now_ms, request, policy)
        if refused is not None:
            return refused
    raise StoreUnavailable("a session changed faster than it could be decided")


def _parameters(request: RotationRequest, now_ms: int, policy: RotationPolicy) -> tuple[Any, ...]:
    token, account, caller = request.token, request.account, request.caller
    epoch = None if account is None else (-1 if account.disabled else account.epoch)
    return (
        token.session_id,
        token.tag,
        token.parent,
        token.generation,
        token.issued_at_ms,
        now_ms,
        policy.maturity_ms,
        policy.idle_ms,
        request.client_id,
        epoch,
        caller.address,
        caller.device,
        token.key_id,
    )


def _accepted(
    connection: sqlite3.Connection, now_ms: int, request: RotationRequest, row: tuple[Any, ...]
) -> RotationResult:
    code, user_id, client_id, expires_at_ms, unusual, username, roles = row
    outcome, healed = ACCEPTED[code]
    if request.account is not None:
        username, role_names = request.account.username, request.account.roles
    else:
        role_names = parse_roles(roles)
    event = None
    if healed or outcome is Outcome.EARLY:
        event = event_of(EventKind.HEAL if healed else EventKind.EARLY, now_ms, request, user_id, username)
        events.insert_or_fold(connection, event, already=unusual)
    return RotationResult(
        outcome=outcome,
        now_ms=now_ms,
        healed=healed,
        user_id=user_id,
        username=username,
        roles=role_names,
        client_id=client_id,
        expires_at_ms=expires_at_ms,
        event=event,
    )


def _refused(
    connection: sqlite3.Connection, now_ms: int, request: RotationRequest, policy: RotationPolicy
) -> RotationResult | None:
    """Decide on the row as it is now; None when it turns out to be acceptable after all."""
    found = connection.execute(_SELECT, (request.token.session_id,)).fetchone()
    if found is None:
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN)
    row, user_id, client_id, username = read_row(found, request)
    if request.client_id is not None and request.client_id != client_id:
        # Another client's token tells nothing and changes nothing, or a stolen token were a kill switch.
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN)
    decision = decide(row, request.token, now_ms=now_ms, policy=policy)
    result = RotationResult(
        decision.outcome, now_ms, reason=decision.reason, user_id=user_id, username=username, client_id=client_id
    )
    if decision.outcome is Outcome.GONE:
        return result
    if decision.outcome is Outcome.STALE:
        result.retry_after_ms = decision.retry_after_ms
        result.event = _record_stale(connection, now_ms, request, result)
        return result
    if decision.outcome is Outcome.REPLAY:
        result.event = _record_replay(connection, now_ms, request, result, decision, found)
        return result if result.event is not None else None
    return None


def read_row(found: tuple[Any, ...], request: RotationRequest) -> tuple[Row, str, str, str]:
    """The row as `decide` reads it, and the user id, client id and user name beside it."""
    revoked_at_ms, revoked_reason, user_id, client_id, user_epoch, username, _, _, epoch, disabled = found[6:]
    revoked = None if revoked_at_ms is None else Reason(revoked_reason)
    row = row_of(request, state=found[:6], revoked=revoked, user_epoch=user_epoch, account=(epoch, disabled))
    return row, user_id, client_id, username


def _record_stale(
    connection: sqlite3.Connection, now_ms: int, request: RotationRequest, result: RotationResult
) -> Event:
    event = event_of(EventKind.STALE, now_ms, request, result.user_id, result.username)
    counted = connection.execute(
        "UPDATE sessions SET unusual = unusual + 1 WHERE id = ? RETURNING unusual", (request.token.session_id,)
    ).fetchone()
    events.insert_or_fold(connection, event, already=counted[0])
    return event


def _record_replay(
    connection: sqlite3.Connection,
    now_ms: int,
    request: RotationRequest,
    result: RotationResult,
    decision: Decision,
    found: tuple[Any, ...],
) -> Event | None:
    """End the session if the row is still as it was read; None when it is not."""
    assert decision.row is not None
    is_revoked = revoke(connection, request.token.session_id, Reason.REPLAYED, now_ms, only_if_tag=decision.row.current)
    if not is_revoked:
        return None
    event = replay_of(now_ms, request, result.user_id, result.username, decision, Caller(found[12], found[13]))
    events.insert(connection, event)
    return event
