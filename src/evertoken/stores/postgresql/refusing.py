"""
What the UPDATE of a rotation did not accept: decided on the row as it is, by the pure function.

A revocation is conditional on what was read; where the row has changed meanwhile, the decision is made again.
"""

from collections.abc import Sequence
from typing import Any

from evertoken.sessions.model import Caller, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import Decision, Outcome, Reason, RotationPolicy
from evertoken.stores.lines import event_of, replay_of
from evertoken.stores.postgresql import events
from evertoken.stores.postgresql.pool import Pool
from evertoken.stores.postgresql.revoking import AsRead, revoke_as_read
from evertoken.stores.postgresql.transaction import NOW, Transaction
from evertoken.stores.rows import decided

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
        result, decision = decided(request, line, policy)
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
            result.event = replay_of(
                transaction.now_ms, request, result.user_id, result.username, decision, Caller(line[13], line[14])
            )
            kept.append((request.token.session_id, result))
    await events.insert(transaction.connection, [result.event for _, result in kept if result.event and result.reason])
    return kept


def _as_read(line: Found) -> AsRead:
    return line[1], line[2], line[3], line[4], line[5]
