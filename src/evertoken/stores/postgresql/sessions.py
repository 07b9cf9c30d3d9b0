"""Sessions in PostgreSQL: sign-ins, endings, lists; rotation has a file of its own."""

from evertoken.sessions.model import (
    AccountChange,
    Caller,
    Ended,
    Event,
    NewSession,
    Revocations,
    SessionRecord,
)
from evertoken.sessions.rotation import Reason, RotationPolicy
from evertoken.stores import lines
from evertoken.stores.postgresql import events
from evertoken.stores.postgresql.connection import Connection, Row, storable
from evertoken.stores.postgresql.locks import Lock, take
from evertoken.stores.postgresql.revoking import revoke, revoke_all
from evertoken.stores.postgresql.transaction import NOW, Transaction
from evertoken.stores.rows import session_record

LIVE = (
    "revoked_at_ms IS NULL AND idle_expires_at_ms > {now} AND (max_expires_at_ms IS NULL OR max_expires_at_ms > {now})"
)
COLUMNS = (
    "id, user_id, username, client_id, delivery, created_at_ms, created_address, created_device, refreshed_at_ms,"
    " coalesce(refreshed_address, created_address), coalesce(refreshed_device, created_device), idle_expires_at_ms,"
    " max_expires_at_ms, rotations, recent_rotations, revoked_at_ms, revoked_reason"
)
_INSTANT_BYTES = 6

# No two sign-ins of one user at once, or both would find room below the cap; and none beside a change of the account.
_STANDS = "SELECT 1 FROM users WHERE id = $1 AND epoch = $2 AND NOT disabled FOR NO KEY UPDATE"
_ABOVE = (
    f"SELECT id FROM sessions WHERE user_id = $1 AND {LIVE.format(now='$2::bigint')}"
    " ORDER BY refreshed_at_ms DESC OFFSET $3"
)
_INSERT = (
    "INSERT INTO sessions (id, user_id, username, user_epoch, client_id, delivery, tag, previous, advanced_at_ms,"
    " idle_expires_at_ms, max_expires_at_ms, secret_id, created_at_ms, created_address, created_device,"
    " refreshed_at_ms)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9, $10, $11, $8, $12, $13, $8)"
)
_CHANGE_USER = (
    "UPDATE users SET epoch = epoch + 1, password_hash = coalesce($1, password_hash), disabled = coalesce($2, disabled)"
    " WHERE id = $3 AND ($4::bigint IS NULL OR epoch = $4) RETURNING epoch, username"
)
_KEEP = "UPDATE sessions SET user_epoch = $1 WHERE id = $2 AND user_id = $3 AND revoked_at_ms IS NULL"


async def now_ms(connection: Connection, told_ms: int | None) -> int:
    """The database's clock, or what a test says."""
    now: int = await connection.fetchval(f"SELECT {NOW}", told_ms)
    return now


async def create(
    transaction: Transaction, new: NewSession, policy: RotationPolicy, *, cap: int, users_elsewhere: bool
) -> Ended | None:
    """Insert a session if the user's epoch still is what it was when the password was verified."""
    connection, now_ms = transaction.connection, transaction.now_ms
    if users_elsewhere:
        await take(connection, Lock.USER, new.user_id.encode())
    elif await connection.fetchval(_STANDS, new.user_id, new.user_epoch) is None:
        return None
    told = await _make_room(transaction, new, cap)
    ended = tuple(event.session_id for event in told if event.session_id is not None)
    token, caller = new.token, new.caller
    await connection.execute(
        _INSERT,
        token.session_id,
        new.user_id,
        storable(new.username),
        new.user_epoch,
        new.client_id,
        int(token.delivery),
        token.tag,
        now_ms,
        now_ms + policy.idle_ms,
        None if new.max_age_ms is None else now_ms + new.max_age_ms,
        token.key_id,
        storable(caller.address),
        storable(caller.device),
    )
    told = (*told, lines.signed_in(new, now_ms))
    await events.insert(connection, told)
    return Ended(ended, now_ms, told)


async def _make_room(transaction: Transaction, new: NewSession, cap: int) -> tuple[Event, ...]:
    """End the session that this sign-in replaces, then the least recently used ones above the cap."""
    replaced: tuple[Event, ...] = ()
    if new.replaces is not None:
        replaced = await revoke(transaction, [new.replaces], Reason.SIGNED_OUT, new.caller)
    above = await transaction.connection.fetch(_ABOVE, new.user_id, transaction.now_ms, max(cap - 1, 0))
    return replaced + await revoke(transaction, [row[0] for row in above], Reason.REVOKED, new.caller)


async def end(
    transaction: Transaction,
    session_id: bytes,
    reason: Reason,
    caller: Caller,
    *,
    user_id: str | None = None,
    tokens_until_ms: int = 0,
) -> Ended:
    """End one session and write its line; nothing happens to one that is over. Guards hear of a lost one, too."""
    connection, now_ms = transaction.connection, transaction.now_ms
    told = await revoke(transaction, [session_id], reason, caller, user_id=user_id)
    await events.insert(connection, told)
    if not told and tokens_until_ms > now_ms and await find(connection, session_id) is None:
        transaction.revoked([session_id])
        told = (lines.lost_session_ended(session_id, reason, caller, now_ms),)
    return Ended((session_id,) if told else (), now_ms, told)


async def change_account(transaction: Transaction, change: AccountChange, *, users_elsewhere: bool) -> Ended | None:
    """Raise the epoch in one statement; end every session but the kept one, which goes on at the new epoch."""
    connection, now_ms = transaction.connection, transaction.now_ms
    username: str | None = None
    epoch = change.elsewhere_epoch
    if users_elsewhere:
        await take(connection, Lock.USER, change.user_id.encode())
    else:
        raised = await connection.fetchrow(
            _CHANGE_USER, change.password_hash, change.disabled, change.user_id, change.expected_epoch
        )
        if raised is None:
            return None
        epoch, username = raised
    if change.keep is not None and epoch is not None:
        await connection.execute(_KEEP, epoch, change.keep, change.user_id)
    ended = await revoke_all(transaction, change.user_id, change.reason, keep=change.keep)
    told = lines.account_changed(change, ended, username, now_ms)
    await events.insert(connection, told)
    return Ended(ended, now_ms, told)


async def find(connection: Connection, session_id: bytes) -> SessionRecord | None:
    """One session, live or over."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM sessions WHERE id = $1", session_id)
    return None if row is None else record_of(row)


async def list_sessions(
    connection: Connection,
    told_ms: int | None,
    *,
    user_id: str | None,
    live_only: bool,
    after: bytes | None,
    limit: int,
) -> list[SessionRecord]:
    """A page of sessions in the order of their ids."""
    conditions = ["id > $2", "($3::text IS NULL OR user_id = $3)" if user_id is None else "user_id = $3"]
    if live_only:
        conditions.append(LIVE.format(now="now_ms"))
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM (SELECT {NOW} AS now_ms) AS clock, sessions"
        f" WHERE {' AND '.join(conditions)} ORDER BY id LIMIT $4",
        told_ms,
        after or b"",
        user_id,
        limit,
    )
    return [record_of(row) for row in rows]


async def revocations_after(connection: Connection, cursor: int) -> Revocations:
    """A page of what was revoked after a cursor."""
    rows = await connection.fetch(
        "SELECT seq, session_id, at_ms FROM revocations WHERE seq > $1 ORDER BY seq LIMIT 10000", cursor
    )
    return Revocations(tuple((row[1], row[2]) for row in rows), rows[-1][0] if rows else cursor)


async def newest_revocation(connection: Connection) -> int:
    """The highest number that was given."""
    return int(await connection.fetchval("SELECT last FROM revocation_counter") or 0)


async def sessions_per_secret(connection: Connection, told_ms: int | None) -> dict[bytes, int]:
    """Live sessions by the secret that made their last presented token; this one does read the whole table."""
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL enable_seqscan = on; SET LOCAL statement_timeout = 0")
        rows = await connection.fetch(
            f"SELECT secret_id, count(*) FROM (SELECT {NOW} AS now_ms) AS clock, sessions"
            f" WHERE {LIVE.format(now='now_ms')} GROUP BY secret_id",
            told_ms,
        )
    return {row[0]: row[1] for row in rows}


def record_of(row: Row) -> SessionRecord:
    """A row of COLUMNS."""
    instants = row[14]
    recent = (
        int.from_bytes(instants[place : place + _INSTANT_BYTES], "big")
        for place in range(0, len(instants), _INSTANT_BYTES)
    )
    return session_record(row, recent_rotations_ms=tuple(recent))
