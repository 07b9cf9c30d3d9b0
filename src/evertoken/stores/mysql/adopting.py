"""Swapping a refresh token of another library for a session in MariaDB or MySQL, once."""

from evertoken.sessions.model import Adopted, Adoption, Ended
from evertoken.sessions.rotation import RotationPolicy
from evertoken.stores.mysql import sessions
from evertoken.stores.mysql.locks import Lock, take
from evertoken.stores.mysql.transaction import Transaction


async def adopt(
    transaction: Transaction, adoption: Adoption, policy: RotationPolicy, *, cap: int, users_elsewhere: bool
) -> Adopted | None:
    """The session that this token was swapped for, or a new one in the same transaction."""
    connection = transaction.connection
    await take(connection, Lock.ADOPTION, adoption.fingerprint)
    found = await connection.fetchrow(
        "SELECT session_id, tag, issued_at_ms FROM [adoptions] WHERE fingerprint = $1", adoption.fingerprint
    )
    if found is not None:
        return Adopted(found[0], found[1], found[2], Ended((), transaction.now_ms))
    new = adoption.session
    ended = await sessions.create(transaction, new, policy, cap=cap, users_elsewhere=users_elsewhere)
    if ended is None:
        return None
    await connection.execute(
        "INSERT INTO [adoptions] (fingerprint, session_id, tag, issued_at_ms, forget_at_ms)"
        " VALUES ($1, $2, $3, $4, $5)",
        adoption.fingerprint,
        new.token.session_id,
        new.token.tag,
        new.token.issued_at_ms,
        adoption.forget_at_ms,
    )
    return Adopted(new.token.session_id, new.token.tag, new.token.issued_at_ms, ended)
