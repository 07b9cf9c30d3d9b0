"""The plain tables in MariaDB or MySQL: users, signing keys, clients."""

import json

from evertoken.accounts.clients import Client
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.stores.mysql import events
from evertoken.stores.mysql.connection import Connection, Row, storable
from evertoken.stores.mysql.failures import Duplicate
from evertoken.stores.mysql.locks import Lock, take
from evertoken.stores.mysql.statements import Sql, literal
from evertoken.stores.mysql.transaction import Transaction
from evertoken.stores.rows import parse_roles

USER_COLUMNS = "id, username, password_hash, epoch, disabled, roles, created_at_ms"

_ADD_USER = f"INSERT INTO [users] ({USER_COLUMNS}, username_key) VALUES $1"
_SAVE_KEY = (
    "INSERT INTO [signing_keys] (kid, algorithm, private_wrapped, signs_from_ms, verifies_until_ms)"
    " VALUES ($1, $2, $3, $4, $5) ON DUPLICATE KEY UPDATE algorithm = $2, private_wrapped = $3, signs_from_ms = $4,"
    " verifies_until_ms = $5"
)


async def beat(transaction: Transaction) -> None:
    """Write what nobody reads: proof that the database takes a write."""
    await transaction.connection.execute(
        "UPDATE [pulse] SET at_ms = $1 WHERE slot = CONNECTION_ID() % 16", transaction.now_ms
    )


async def add_user(transaction: Transaction, user: User) -> bool:
    """Insert a user; False when the name, case and width folded, is there already."""
    row = Sql(
        literal(
            (
                user.id,
                user.username,
                user.password_hash,
                user.epoch,
                user.disabled,
                json.dumps(user.roles),
                user.created_at_ms,
                username_key(user.username),
            )
        )
    )
    try:
        await transaction.connection.execute(_ADD_USER, row)
    except Duplicate as error:
        if "username_key" in str(error):
            return False
        raise
    return True


async def find_user(connection: Connection, column: str, value: str) -> User | None:
    """One user by `id` or `username_key`."""
    if storable(value) != value:
        return None
    row = await connection.fetchrow(f"SELECT {USER_COLUMNS} FROM [users] WHERE {column} = $1", value)
    return None if row is None else user_of(row)


async def list_users(connection: Connection, after: str | None, limit: int) -> list[User]:
    """A page of users by name."""
    rows = await connection.fetch(
        f"SELECT {USER_COLUMNS} FROM [users] WHERE username_key > $1 ORDER BY username_key LIMIT $2",
        "" if after is None else username_key(after),
        limit,
    )
    return [user_of(row) for row in rows]


async def replace_hash(transaction: Transaction, user_id: str, old_hash: str, new_hash: str) -> bool:
    """Hash anew at sign-in: only if nobody changed the password meanwhile."""
    replaced = await transaction.connection.execute(
        "UPDATE [users] SET password_hash = $1 WHERE id = $2 AND password_hash = $3", new_hash, user_id, old_hash
    )
    return replaced == 1


async def enable(transaction: Transaction, user_id: str, caller: Caller) -> bool:
    """Let a disabled user sign in again; the sessions that were ended stay ended."""
    (enabled, _), (_, rows) = await transaction.connection.run(
        "UPDATE [users] SET disabled = 0 WHERE id = $1 AND disabled; SELECT username FROM [users] WHERE id = $1",
        storable(user_id),
    )
    if not enabled:
        return False
    event = Event(EventKind.ACCOUNT_ENABLED, transaction.now_ms, user_id=user_id, username=rows[0][0], caller=caller)
    await events.insert(transaction.connection, [event])
    return True


async def set_roles(transaction: Transaction, user_id: str, roles: tuple[str, ...]) -> bool:
    """Change a user's roles; the next refresh of each session carries them."""
    changed = await transaction.connection.execute(
        "UPDATE [users] SET roles = $1 WHERE id = $2", json.dumps(roles), user_id
    )
    return changed == 1


async def list_keys(connection: Connection) -> list[StoredKey]:
    """Signing keys, the oldest first."""
    rows = await connection.fetch(
        "SELECT kid, algorithm, private_wrapped, signs_from_ms, verifies_until_ms FROM [signing_keys]"
        " ORDER BY signs_from_ms, kid"
    )
    return [StoredKey(*row) for row in rows]


async def add_first_key(transaction: Transaction, key: StoredKey) -> bool:
    """Store a key unless one of its algorithm that can sign is there."""
    await take(transaction.connection, Lock.KEYS)
    found = await transaction.connection.fetchval(
        "SELECT 1 FROM [signing_keys] WHERE verifies_until_ms IS NULL AND algorithm = $1", key.algorithm
    )
    if found is not None:
        return False
    await save_keys(transaction, [key])
    return True


async def save_keys(transaction: Transaction, keys: list[StoredKey]) -> None:
    """Add or overwrite."""
    for key in sorted(keys, key=lambda key: key.kid):
        await transaction.connection.execute(
            _SAVE_KEY, key.kid, key.algorithm, key.private_wrapped, key.signs_from_ms, key.verifies_until_ms
        )


async def add_client(transaction: Transaction, client: Client) -> bool:
    """Insert a client; False when the id is taken."""
    try:
        await transaction.connection.execute(
            "INSERT INTO [clients] (id, secret_digest, created_at_ms) VALUES ($1, $2, $3)",
            client.id,
            client.secret_digest,
            client.created_at_ms,
        )
    except Duplicate:
        return False
    return True


async def find_client(connection: Connection, client_id: str) -> Client | None:
    """One client."""
    row = await connection.fetchrow(
        "SELECT id, secret_digest, created_at_ms FROM [clients] WHERE id = $1", storable(client_id)
    )
    return None if row is None else Client(*row)


async def list_clients(connection: Connection) -> list[Client]:
    """All clients, by id."""
    return [
        Client(*row)
        for row in await connection.fetch("SELECT id, secret_digest, created_at_ms FROM [clients] ORDER BY id")
    ]


async def remove_client(transaction: Transaction, client_id: str) -> bool:
    """Remove one."""
    removed = await transaction.connection.execute("DELETE FROM [clients] WHERE id = $1", client_id)
    return removed == 1


def user_of(row: Row) -> User:
    """A row of USER_COLUMNS."""
    return User(
        id=row[0],
        username=row[1],
        password_hash=row[2],
        epoch=row[3],
        disabled=bool(row[4]),
        roles=parse_roles(row[5]),
        created_at_ms=row[6],
    )
