"""
Rotation in MariaDB or MySQL: the table of docs/rotation.md as one conditional UPDATE for a whole batch.

The statement below and `sessions.rotation.decide` say the same thing; the compliance suite compares them on
generated rows. What the UPDATE does not match (GONE, STALE, REPLAY) is decided by `decide` on the row as it is.

There is no RETURNING. So the UPDATE marks each row with the number of its batch, and a SELECT behind it reads what it
made of them; both, and the lines of the audit trail, go to the server in one packet between BEGIN and COMMIT. The rows
are ours from the UPDATE to the COMMIT, so nobody overwrites a mark before it is read, and no round trip is in between.

A row that another machine is writing is waited for, and the conditions are looked at on what it wrote (READ COMMITTED
does so). The user's row is read under a shared lock. In which order the tables are gone through, and by which index, is
said: a statement that walks a table, as the optimizer prefers while that is small, waits for every row of it.
"""

import functools
import secrets
from collections.abc import Sequence

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import MAX_DECISIONS, Outcome, RotationPolicy, decide
from evertoken.sessions.store import PartlyDecided
from evertoken.stores.lines import FOLD_AFTER, event_of
from evertoken.stores.mysql import events, refusing
from evertoken.stores.mysql.connection import Connection, Row, storable
from evertoken.stores.mysql.failures import TRY_AGAIN, Held
from evertoken.stores.mysql.pool import Pool
from evertoken.stores.mysql.statements import Plain, Value, table
from evertoken.stores.mysql.transaction import BEGIN, COMMIT, NOW, ROLLBACK, Transaction
from evertoken.stores.rows import ACCEPTED, parse_roles, read_row

_COLUMNS = (
    *("id", "tag", "parent", "generation", "issued_at_ms", "secret_id", "client_id", "address", "device"),
    *("epoch", "username"),
)
_ROTATED = "(s.tag = p.tag OR NOT p.young)"
# $1 now or NULL  $2 maturity  $3 idle time  $4 the batch, sorted by session  $5 its number  $6 the sessions' ids
# Where a server writes rows as it finds them, SET goes from left to right and reads what it has written: so `tag`, by
# which the others decide, is last.
_UPDATE = f"""
UPDATE (
  SELECT listed.*, clock.now_ms, ($2 > 0 AND clock.now_ms - listed.issued_at_ms < $2) AS young
  FROM (SELECT {NOW} AS now_ms) AS clock CROSS JOIN ($4) AS listed
) AS p STRAIGHT_JOIN [sessions] s FORCE INDEX (PRIMARY) ON s.id = p.id%(join)s
SET
  s.outcome = $5 + CASE WHEN s.tag = p.tag THEN 1
    ELSE (CASE WHEN p.young THEN 2 ELSE 3 END) + (CASE WHEN s.tag = p.parent THEN 0 ELSE 2 END) END,
  s.previous = CASE WHEN s.tag = p.tag THEN s.previous
    WHEN s.tag = p.parent THEN (CASE WHEN p.young THEN s.previous ELSE s.tag END)
    ELSE NULL END,
  s.generation = CASE WHEN s.tag = p.tag THEN s.generation
    WHEN NOT p.young THEN p.generation
    WHEN s.tag = p.parent THEN s.generation
    ELSE p.generation - 1 END,
  s.advanced_at_ms = CASE WHEN s.tag = p.tag OR (s.tag = p.parent AND p.young) THEN s.advanced_at_ms
    ELSE p.now_ms END,
  s.idle_expires_at_ms = %(idle)s,
  s.refreshed_at_ms = p.now_ms,
  s.refreshed_address = NULLIF(p.address, s.created_address),
  s.refreshed_device = NULLIF(p.device, s.created_device),
  s.secret_id = p.secret_id,
  s.rotations = s.rotations + {_ROTATED},
  s.recent_rotations = CASE WHEN {_ROTATED}
    THEN LEFT(CONCAT(UNHEX(LPAD(HEX(p.now_ms), 12, '0')), s.recent_rotations), 120)
    ELSE s.recent_rotations END,
  s.unusual = s.unusual + (s.tag <> p.tag AND (p.young OR s.tag <> p.parent)),
  s.tag = CASE WHEN s.tag = p.tag THEN s.tag WHEN p.young THEN p.parent ELSE p.tag END
WHERE s.revoked_at_ms IS NULL
  AND (s.tag = p.tag OR s.tag = p.parent OR p.generation >= s.generation + 2)
  AND %(alive)s > p.now_ms
  AND (s.max_expires_at_ms IS NULL OR s.max_expires_at_ms > p.now_ms)
  AND (p.client_id IS NULL OR s.client_id = p.client_id)
  AND %(stands)s;
"""
_ACCEPTED = """
SELECT s.id, s.outcome - $5, s.user_id, s.client_id, s.unusual, s.refreshed_at_ms,
  LEAST(s.idle_expires_at_ms, COALESCE(s.max_expires_at_ms, s.idle_expires_at_ms)), %(user)s
FROM [sessions] s%(beside)s WHERE s.id IN $6 AND s.outcome BETWEEN $5 + 1 AND $5 + 5;
"""
# Those that would be folded are left to `_fold`.
_TOLD = f"""
INSERT INTO [events] (kind, at_ms, last_at_ms, session_id, user_id, username, address, device, detail)
SELECT CASE s.outcome - $5 WHEN 2 THEN 'early' ELSE 'heal' END, s.refreshed_at_ms, s.refreshed_at_ms, s.id, s.user_id,
  %(username)s, COALESCE(s.refreshed_address, s.created_address), COALESCE(s.refreshed_device, s.created_device), '{{}}'
FROM [sessions] s%(named)s
WHERE s.id IN $6 AND s.outcome IN ($5 + 2, $5 + 4, $5 + 5) AND s.unusual <= {FOLD_AFTER};
"""
_OURS = {
    "join": " STRAIGHT_JOIN [users] u FORCE INDEX (PRIMARY) ON u.id = s.user_id",
    "beside": " JOIN [users] u ON u.id = s.user_id",
    "named": " JOIN [users] u ON u.id = s.user_id",
    "stands": "p.epoch IS NULL AND u.epoch = s.user_epoch AND NOT u.disabled",
    "user": "u.username, u.roles",
    "username": "u.username",
}
_ELSEWHERE = {
    "join": "",
    "beside": "",
    "named": " JOIN ($4) AS p ON p.id = s.id",
    "stands": "p.epoch = s.user_epoch",
    "user": "NULL, NULL",
    "username": "p.username",
}
_EXTENDING = {"idle": "p.now_ms + $3", "alive": "GREATEST(s.idle_expires_at_ms, p.issued_at_ms + $3)"}
_STRICT_IDLE = {"idle": "s.idle_expires_at_ms", "alive": "s.idle_expires_at_ms"}
_NOBODY = -1
"""The epoch of no session: that of a user elsewhere who is disabled."""

STATEMENTS = {
    (elsewhere, extends_idle): (_UPDATE + _ACCEPTED + _TOLD) % {**(_ELSEWHERE if elsewhere else _OURS), **idle}
    for elsewhere in (False, True)
    for extends_idle, idle in ((True, _EXTENDING), (False, _STRICT_IDLE))
}
"""What is between BEGIN and COMMIT, by where the users of its batch live and whether a refresh counts as use."""

_FREE = {
    False: "SELECT s.id FROM [sessions] s FORCE INDEX (PRIMARY) STRAIGHT_JOIN [users] u FORCE INDEX (PRIMARY)"
    " ON u.id = s.user_id WHERE s.id IN $1 FOR UPDATE SKIP LOCKED",
    True: "SELECT s.id FROM [sessions] s FORCE INDEX (PRIMARY) WHERE s.id IN $1 FOR UPDATE SKIP LOCKED",
}
"""Which sessions nobody else is writing, by where their users live."""

Accepted = tuple[list[Row], bool]
"""Rows of _ACCEPTED, and whether some were left out because somebody else is writing them."""


async def rotate(pool: Pool, requests: Sequence[RotationRequest], policy: RotationPolicy) -> list[RotationResult]:
    """
    Decide every request of a batch: in one packet, unless there are some that it does not accept.

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
    found = await pool.read(lambda connection: refusing.read(connection, told_ms, [request.token.session_id]))
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
        if not batch:
            continue
        rows, is_held = await _accept(pool, batch, policy, elsewhere=elsewhere)
        some_are_held |= is_held
        by_id = {request.token.session_id: request for request in batch}
        results |= {row[0]: _accepted(by_id[row[0]], row) for row in rows}
        await _fold(pool, [(results[row[0]], row[4]) for row in rows if row[4] > FOLD_AFTER])
    return some_are_held


async def _accept(pool: Pool, batch: Sequence[RotationRequest], policy: RotationPolicy, *, elsewhere: bool) -> Accepted:
    told_ms, statement = pool.told_ms(), STATEMENTS[elsewhere, policy.extends_idle]

    async def run(connection: Connection, some: Sequence[RotationRequest], begin: str, commit: str) -> list[Row]:
        given: tuple[Value, ...] = (
            told_ms,
            policy.maturity_ms,
            policy.idle_ms,
            table(_COLUMNS, [_values(request) for request in some]),
            secrets.randbits(59) << 3,
            [request.token.session_id for request in some],
        )
        try:
            answers = await connection.run(begin + statement + commit, *given)
        except (Held, *TRY_AGAIN):
            await connection.run(ROLLBACK)
            raise
        return next((rows for _, rows in answers if rows), [])  # only one of them gives any

    async def work(connection: Connection) -> Accepted:
        try:
            return await run(connection, batch, "BEGIN;", "COMMIT"), False
        except Held:
            pass
        # Somebody's transaction stays open on one of them: the others do not wait for it to end.
        session_ids = [request.token.session_id for request in batch]
        free = {row[0] for row in await connection.fetch(BEGIN + _FREE[elsewhere], session_ids)}
        some = [request for request in batch if request.token.session_id in free]
        if some:
            return await run(connection, some, "", COMMIT), True
        await connection.run(ROLLBACK)
        return [], True

    return await pool.refresh(work)


async def _fold(pool: Pool, often: Sequence[tuple[RotationResult, int]]) -> None:
    """
    The lines of sessions that have enough of them, counted on older ones.

    In a transaction of its own, for it is rare: if we die in between, a count is lost.
    """
    for result, already in often:
        if result.event is not None:
            await pool.refresh_in_transaction(functools.partial(_fold_one, result.event, already))


async def _fold_one(event: Event, already: int, transaction: Transaction) -> None:
    await events.insert_or_fold(transaction.connection, event, already=already)


def _values(request: RotationRequest) -> tuple[Plain, ...]:
    """A row of the batch."""
    token, account, caller = request.token, request.account, request.caller
    return (
        token.session_id,
        token.tag,
        token.parent,
        token.generation,
        token.issued_at_ms,
        token.key_id,
        request.client_id,
        storable(caller.address, "address"),
        storable(caller.device, "device"),
        None if account is None else (_NOBODY if account.disabled else account.epoch),
        None if account is None else storable(account.username, "username"),
    )


def _accepted(request: RotationRequest, row: Row) -> RotationResult:
    _, code, user_id, client_id, _, now_ms, expires_at_ms, username, roles = row
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
