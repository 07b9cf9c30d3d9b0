"""
Rotation in PostgreSQL: the table of docs/rotation.md as one conditional UPDATE for a whole batch.

The statement below and `sessions.rotation.decide` say the same thing; the compliance suite compares them on
generated rows. What the UPDATE does not match (GONE, STALE, REPLAY) is decided by `decide` on the row as it is.

A row that another machine is writing is waited for, and the conditions are looked at again on what it wrote (READ
COMMITTED does so). The user's row is read as it was when the statement began; that suffices, because whoever raises an
epoch or disables a user changes that user's sessions in the same transaction.
"""

from collections.abc import Sequence

import asyncpg

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import MAX_DECISIONS, Outcome, RotationPolicy, decide
from evertoken.sessions.store import PartlyDecided
from evertoken.stores.lines import FOLD_AFTER, event_of
from evertoken.stores.postgresql import refusing
from evertoken.stores.postgresql.connection import Connection, Row, storable
from evertoken.stores.postgresql.pool import Pool
from evertoken.stores.postgresql.refusing import SELECT
from evertoken.stores.postgresql.transaction import NOW
from evertoken.stores.rows import ACCEPTED, parse_roles, read_row

_KIND = "CASE changed.outcome WHEN 2 THEN 'early' ELSE 'heal' END"
_ROTATED = "(s.tag = p.tag OR NOT p.young)"
# $1 now or NULL  $2 maturity  $3 idle time  $4.. a column of the batch each, sorted by session
_STATEMENT = f"""
WITH clock AS MATERIALIZED (SELECT {NOW} AS now_ms),
%(free)s
p AS MATERIALIZED (
  SELECT listed.*, clock.now_ms, ($2::bigint > 0 AND clock.now_ms - listed.issued_at_ms < $2::bigint) AS young
  FROM clock, unnest($4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bigint[], $9::bytea[], $10::text[],
                     $11::text[], $12::text[], $13::bigint[], $14::text[])
    AS listed(id, tag, parent, generation, issued_at_ms, secret_id, client_id, address, device, epoch, username)
  %(of_free)s
),
changed AS (
  UPDATE sessions s SET
    outcome = CASE WHEN s.tag = p.tag THEN 1
                   ELSE (CASE WHEN p.young THEN 2 ELSE 3 END) + (CASE WHEN s.tag = p.parent THEN 0 ELSE 2 END) END,
    previous = CASE WHEN s.tag = p.tag THEN s.previous
                    WHEN s.tag = p.parent THEN (CASE WHEN p.young THEN s.previous ELSE s.tag END)
                    ELSE NULL END,
    tag = CASE WHEN s.tag = p.tag THEN s.tag WHEN p.young THEN p.parent ELSE p.tag END,
    generation = CASE WHEN s.tag = p.tag THEN s.generation
                      WHEN NOT p.young THEN p.generation
                      WHEN s.tag = p.parent THEN s.generation
                      ELSE p.generation - 1 END,
    advanced_at_ms = CASE WHEN s.tag = p.tag OR (s.tag = p.parent AND p.young) THEN s.advanced_at_ms
                          ELSE p.now_ms END,
    idle_expires_at_ms = %(idle)s,
    refreshed_at_ms = p.now_ms,
    refreshed_address = nullif(p.address, s.created_address),
    refreshed_device = nullif(p.device, s.created_device),
    secret_id = p.secret_id,
    rotations = s.rotations + {_ROTATED}::integer,
    recent_rotations = CASE WHEN {_ROTATED}
                            THEN substr(substr(int8send(p.now_ms), 3) || s.recent_rotations, 1, 120)
                            ELSE s.recent_rotations END,
    unusual = s.unusual + (s.tag <> p.tag AND (p.young OR s.tag <> p.parent))::integer
  FROM p%(join)s
  WHERE s.id = p.id AND s.revoked_at_ms IS NULL
    AND (s.tag = p.tag OR s.tag = p.parent OR p.generation >= s.generation + 2)
    AND %(alive)s > p.now_ms
    AND (s.max_expires_at_ms IS NULL OR s.max_expires_at_ms > p.now_ms)
    AND (p.client_id IS NULL OR s.client_id = p.client_id)
    AND %(stands)s
  RETURNING s.id, s.outcome, s.user_id, s.client_id, s.unusual, p.now_ms,
    least(s.idle_expires_at_ms, s.max_expires_at_ms) AS expires_at_ms, %(user)s
),
folded AS (
  UPDATE events SET count = events.count + 1, last_at_ms = changed.now_ms FROM changed
  WHERE changed.outcome IN (2, 4, 5) AND changed.unusual > {FOLD_AFTER}
    AND events.id = (SELECT max(one.id) FROM events one WHERE one.session_id = changed.id AND one.kind = {_KIND})
  RETURNING events.session_id
),
told AS (
  INSERT INTO events (kind, at_ms, last_at_ms, session_id, user_id, username, address, device, detail)
  SELECT {_KIND}, changed.now_ms, changed.now_ms, changed.id, changed.user_id, changed.username, p.address, p.device,
         '{{}}'
  FROM changed JOIN p ON p.id = changed.id
  WHERE changed.outcome IN (2, 4, 5)
    AND (changed.unusual <= {FOLD_AFTER} OR NOT EXISTS (SELECT FROM folded WHERE folded.session_id = changed.id))
)
SELECT id, outcome, user_id, client_id, now_ms, expires_at_ms, username, roles FROM changed
"""
_OURS = {
    "join": ", users u",
    "stands": "p.epoch IS NULL AND u.id = s.user_id AND u.epoch = s.user_epoch AND NOT u.disabled",
    "user": "u.username, u.roles",
}
_ELSEWHERE = {"join": "", "stands": "p.epoch = s.user_epoch", "user": "p.username, '[]' AS roles"}
_EXTENDING = {
    "idle": "p.now_ms + $3::bigint",
    "alive": "greatest(s.idle_expires_at_ms, p.issued_at_ms + $3::bigint)",
}
_STRICT_IDLE = {"idle": "s.idle_expires_at_ms + 0 * $3::bigint", "alive": "s.idle_expires_at_ms"}
_WAITING = {"free": "", "of_free": ""}
_FREE = {
    "free": """free AS MATERIALIZED (
  SELECT id FROM sessions WHERE id = ANY($4::bytea[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
),""",
    "of_free": "WHERE listed.id IN (SELECT free.id FROM free)",
}
_NOBODY = -1
"""The epoch of no session: that of a user elsewhere who is disabled."""

STATEMENTS = {
    (elsewhere, extends_idle): tuple(
        _STATEMENT % {**(_ELSEWHERE if elsewhere else _OURS), **idle, **which} for which in (_WAITING, _FREE)
    )
    for elsewhere in (False, True)
    for extends_idle, idle in ((True, _EXTENDING), (False, _STRICT_IDLE))
}
"""The UPDATE, by where the users of its batch live and whether a refresh counts as use; and the same for only those
sessions that nobody else is writing."""


async def rotate(pool: Pool, requests: Sequence[RotationRequest], policy: RotationPolicy) -> list[RotationResult]:
    """
    Decide every request of a batch: in one statement, unless there are some that it does not accept.

    Where the connection is lost in the middle, what was accepted may have been committed although its callers are told
    503: an answer that was lost, which rotation forgives.
    """
    results: dict[bytes, RotationResult] = {}
    failed = "a session changed faster than it could be decided"
    left = sorted(requests, key=lambda request: request.token.session_id)
    for _ in range(MAX_DECISIONS):
        try:
            some_are_held = await _accept_all(pool, left, policy, results)
            left = [request for request in left if request.token.session_id not in results]
            if left:
                results |= await refusing.refuse(pool, left, policy)
                left = [request for request in left if request.token.session_id not in results]
        except StoreUnavailable as error:
            failed = str(error)
            break
        if not left:
            return [results[request.token.session_id] for request in requests]
        if some_are_held:
            failed = "another transaction holds this session"
            break
    places = {place: results.get(request.token.session_id) for place, request in enumerate(requests)}
    raise PartlyDecided(failed, {place: result for place, result in places.items() if result is not None})


async def judge(pool: Pool, request: RotationRequest, policy: RotationPolicy) -> Outcome:
    """What `rotate` would decide, without any effect."""
    told_ms = pool.told_ms()
    found = await pool.read(lambda connection: connection.fetch(SELECT, told_ms, [request.token.session_id]))
    now_ms, has_row = found[0][0], found[0][2] is not None
    row, _, client_id, _ = read_row(found[0], request) if has_row else (None, "", "", "")
    if request.client_id not in (None, client_id):
        return Outcome.GONE
    return decide(row, request.token, now_ms=now_ms, policy=policy).outcome


async def _accept_all(
    pool: Pool, requests: Sequence[RotationRequest], policy: RotationPolicy, results: dict[bytes, RotationResult]
) -> bool:
    """Add the results of what is accepted; says whether some were left out because somebody else is writing them."""
    some_are_held = False
    for elsewhere in (False, True):
        batch = [request for request in requests if (request.account is not None) is elsewhere]
        if batch:
            rows, is_held = await _accept(pool, batch, policy, STATEMENTS[elsewhere, policy.extends_idle])
            some_are_held |= is_held
            by_id = {request.token.session_id: request for request in batch}
            results |= {row[0]: _accepted(by_id[row[0]], row) for row in rows}
    return some_are_held


async def _accept(
    pool: Pool, batch: Sequence[RotationRequest], policy: RotationPolicy, statements: tuple[str, ...]
) -> tuple[list[Row], bool]:
    parameters = _parameters(batch)
    told_ms = pool.told_ms()
    waiting, free = statements

    async def work(connection: Connection) -> tuple[list[Row], bool]:
        given = (told_ms, policy.maturity_ms, policy.idle_ms, *parameters)
        try:
            return list(await connection.fetch(waiting, *given)), False
        except asyncpg.LockNotAvailableError:
            # Somebody's transaction stays open on one of them: the others do not wait for it to end.
            return list(await connection.fetch(free, *given)), True

    return await pool.refresh(work)


def _parameters(requests: Sequence[RotationRequest]) -> list[list[object]]:
    """A list for each column of the batch."""
    columns: list[list[object]] = [[] for _ in range(11)]
    for request in requests:
        token, account, caller = request.token, request.account, request.caller
        for column, value in zip(
            columns,
            (
                token.session_id,
                token.tag,
                token.parent,
                token.generation,
                token.issued_at_ms,
                token.key_id,
                request.client_id,
                storable(caller.address),
                storable(caller.device),
                None if account is None else (_NOBODY if account.disabled else account.epoch),
                None if account is None else storable(account.username),
            ),
            strict=True,
        ):
            column.append(value)
    return columns


def _accepted(request: RotationRequest, row: Row) -> RotationResult:
    _, code, user_id, client_id, now_ms, expires_at_ms, username, roles = row
    outcome, healed = ACCEPTED[code]
    if request.account is not None:
        username, role_names = request.account.username, request.account.roles
    else:
        role_names = parse_roles(roles)
    event: Event | None = None
    if healed or outcome is Outcome.EARLY:
        event = event_of(EventKind.HEAL if healed else EventKind.EARLY, now_ms, request, user_id, username)
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
