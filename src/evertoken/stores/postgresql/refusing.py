"""
What the UPDATE of a rotation did not accept: decided on the row as it is, by the pure function.

A revocation is conditional on what was read; where the row has changed meanwhile, the decision is made again.
"""

import functools
import json
from collections.abc import Sequence
from typing import Any

from evertoken.sessions.model import Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import ANY, Decision, Outcome, Reason, RotationPolicy, Row, decide
from evertoken.stores.postgresql import events
from evertoken.stores.postgresql.pool import Pool
from evertoken.stores.postgresql.revoking import AsRead, revoke_as_read
from evertoken.stores.postgresql.transaction import NOW, Transaction

SELECT = f"""
SELECT clock.now_ms, wanted.id, s.tag, s.previous, s.generation, s.advanced_at_ms, s.idle_expires_at_ms,
       s.max_expires_at_ms, s.revoked_reason, s.user_id, s.client_id, s.user_epoch, s.username,
       coalesce(s.refreshed_address, s.created_address), coalesce(s.refreshed_device, s.created_device),
       u.epoch, u.disabled
FROM (SELECT {NOW} AS now_ms) AS clock CROSS JOIN unnest($2::bytea[]) AS wanted(id)
LEFT JOIN sessions s ON s.id = wanted.id LEFT JOIN users u ON u.id = s.user_id
"""
_COUNT = (
    "UPDATE sessions SET unusual = unusual + 1 WHERE id = ANY($1::bytea[]) AND revoked_at_ms IS NULL"
    " RETURNING id, unusual"
)

Found = Any
"""A row of SELECT; the tag and what follows it are None where the store has no such session."""


async def refuse(
    pool: Pool, requests: Sequence[RotationRequest], policy: RotationPolicy
) -> dict[bytes, RotationResult]:
    """The results of those that are refused, committed; those that turn out to be acceptable after all are left out."""
    told_ms = pool.told_ms()
    session_ids = [request.token.session_id for request in requests]
    rows = await pool.refresh(lambda connection: connection.fetch(SELECT, told_ms, session_ids))
    found = {row[1]: row for row in rows}
    results: dict[bytes, RotationResult] = {}
    stale: list[tuple[RotationRequest, RotationResult]] = []
    replayed: list[tuple[RotationRequest, RotationResult, Decision, Found]] = []
    for request in requests:
        line = found[request.token.session_id]
        result, decision = _decided(request, line, policy)
        if result.outcome is Outcome.GONE:
            results[request.token.session_id] = result
        elif result.outcome is Outcome.STALE:
            stale.append((request, result))
        elif result.outcome is Outcome.REPLAY:
            assert decision is not None
            replayed.append((request, result, decision, line))
    if stale or replayed:
        kept = await pool.refresh_in_transaction(lambda transaction: _keep(transaction, stale, replayed))
        results |= dict(kept)
    return results


def _decided(request: RotationRequest, line: Found, policy: RotationPolicy) -> tuple[RotationResult, Decision | None]:
    now_ms = line[0]
    if line[2] is None:
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN), None
    row, user_id, client_id, username = read_row(line, request)
    if request.client_id is not None and request.client_id != client_id:
        # Another client's token tells nothing and changes nothing, or a stolen token were a kill switch.
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN), None
    decision = decide(row, request.token, now_ms=now_ms, policy=policy)
    result = RotationResult(
        decision.outcome, now_ms, reason=decision.reason, user_id=user_id, username=username, client_id=client_id
    )
    result.retry_after_ms = decision.retry_after_ms
    return result, decision


def read_row(line: Found, request: RotationRequest) -> tuple[Row, str, str, str]:
    """The row as `decide` reads it, and the user id, client id and user name beside it."""
    (_, _, tag, previous, generation, advanced_at_ms, idle_ms, max_ms, revoked_reason) = line[:9]
    user_id, client_id, user_epoch, username, _, _, epoch, disabled = line[9:]
    if request.account is not None:
        epoch, disabled = request.account.epoch, request.account.disabled
    over: Reason | None = None
    if revoked_reason is not None:
        over = Reason(revoked_reason)
    elif epoch is None or disabled:
        over = Reason.ACCOUNT_DISABLED
    elif epoch != user_epoch:
        over = Reason.PASSWORD_CHANGED
    row = Row(
        current=tag,
        previous=ANY if previous is None else (previous or None),
        generation=generation,
        advanced_at_ms=advanced_at_ms,
        idle_expires_at_ms=idle_ms,
        max_expires_at_ms=max_ms,
        over=over,
    )
    return row, user_id, client_id, username


async def _keep(
    transaction: Transaction,
    stale: Sequence[tuple[RotationRequest, RotationResult]],
    replayed: Sequence[tuple[RotationRequest, RotationResult, Decision, Found]],
) -> list[tuple[bytes, RotationResult]]:
    """Count what is late, end what is replayed, and write the lines of both."""
    kept: list[tuple[bytes, RotationResult]] = []
    if stale:
        rows = await transaction.connection.fetch(_COUNT, [request.token.session_id for request, _ in stale])
        counted: dict[bytes, int] = {row[0]: row[1] for row in rows}
        for request, result in stale:
            if request.token.session_id in counted:  # else it has just ended: decide anew
                event = event_of(EventKind.STALE, result.now_ms, request, result.user_id, result.username)
                await events.insert_or_fold(transaction.connection, event, already=counted[request.token.session_id])
                result.event = event
                kept.append((request.token.session_id, result))
    ended = await revoke_as_read(transaction, [_as_read(line) for *_, line in replayed], Reason.REPLAYED)
    for request, result, decision, line in replayed:
        if request.token.session_id in ended:
            result.now_ms = transaction.now_ms
            result.event = _replay(transaction.now_ms, request, result, decision, line)
            kept.append((request.token.session_id, result))
    await events.insert(transaction.connection, [result.event for _, result in kept if result.event and result.reason])
    return kept


def _as_read(line: Found) -> AsRead:
    return line[1], line[2], line[3], line[4], line[5]


def _replay(now_ms: int, request: RotationRequest, result: RotationResult, decision: Decision, line: Found) -> Event:
    assert decision.row is not None
    token, row = request.token, decision.row
    detail = {
        "presented_generation": token.generation,
        "session_generation": row.generation,
        "presented_age_ms": now_ms - token.issued_at_ms,
        "since_succession_ms": now_ms - row.advanced_at_ms,
        "owner_address": line[13],
        "owner_device": line[14],
    }
    return event_of(EventKind.REPLAY, now_ms, request, result.user_id, result.username, detail)


def event_of(
    kind: EventKind,
    now_ms: int,
    request: RotationRequest,
    user_id: str,
    username: str,
    detail: dict[str, Any] | None = None,
) -> Event:
    """The line of the audit trail that goes with an outcome."""
    return Event(
        kind=kind,
        at_ms=now_ms,
        session_id=request.token.session_id,
        user_id=user_id,
        username=username,
        caller=request.caller,
        reason=Reason.REPLAYED if kind is EventKind.REPLAY else None,
        detail=detail or {},
    )


@functools.lru_cache(maxsize=1024)
def parse_roles(text: str) -> tuple[str, ...]:
    """The roles column; few different values ever exist, so each is parsed once."""
    return tuple(json.loads(text))
