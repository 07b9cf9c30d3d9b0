"""The plain tables in SQLite: users, signing keys, clients, sign-in attempts."""

import json
import sqlite3
from typing import Any

from evertoken.accounts.clients import Client
from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Bucket, Kind, Limit, Limits, Verdict, after_attempt
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User, UsernameTaken
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.stores.attempts import Found, forgiven, verdict_on
from evertoken.stores.rows import parse_roles
from evertoken.stores.sqlite import events

USER_COLUMNS = "id, username, password_hash, epoch, disabled, roles, created_at_ms"


def add_user(connection: sqlite3.Connection, user: User) -> None:
    """Insert a user; UsernameTaken when the name, case and width folded, is there already."""
    try:
        connection.execute(
            f"INSERT INTO users ({USER_COLUMNS}, username_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                user.id,
                user.username,
                user.password_hash,
                user.epoch,
                user.disabled,
                json.dumps(user.roles),
                user.created_at_ms,
                username_key(user.username),
            ),
        )
    except sqlite3.IntegrityError as error:
        raise UsernameTaken(user.username) from error


def find_user(connection: sqlite3.Connection, column: str, value: str) -> User | None:
    """One user by `id` or `username_key`."""
    row = connection.execute(f"SELECT {USER_COLUMNS} FROM users WHERE {column} = ?", (value,)).fetchone()
    return None if row is None else user_of(row)


def list_users(connection: sqlite3.Connection, after: str | None, limit: int) -> list[User]:
    """A page of users by name."""
    rows = connection.execute(
        f"SELECT {USER_COLUMNS} FROM users WHERE username_key > ?1 ORDER BY username_key LIMIT ?2",
        ("" if after is None else username_key(after), limit),
    )
    return [user_of(row) for row in rows]


def replace_hash(connection: sqlite3.Connection, user_id: str, old_hash: str, new_hash: str) -> bool:
    """Hash anew at sign-in: only if nobody changed the password meanwhile."""
    replaced = connection.execute(
        "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", (new_hash, user_id, old_hash)
    )
    return replaced.rowcount == 1


def enable(connection: sqlite3.Connection, now_ms: int, user_id: str, caller: Caller) -> bool:
    """Let a disabled user sign in again; the sessions that were ended stay ended."""
    enabled = connection.execute(
        "UPDATE users SET disabled = 0 WHERE id = ? AND disabled = 1 RETURNING username", (user_id,)
    ).fetchone()
    if enabled is None:
        return False
    events.insert(
        connection, Event(EventKind.ACCOUNT_ENABLED, now_ms, user_id=user_id, username=enabled[0], caller=caller)
    )
    return True


def set_roles(connection: sqlite3.Connection, user_id: str, roles: tuple[str, ...]) -> bool:
    """Change a user's roles; the next refresh of each session carries them."""
    changed = connection.execute("UPDATE users SET roles = ? WHERE id = ?", (json.dumps(roles), user_id))
    return changed.rowcount == 1


def list_keys(connection: sqlite3.Connection) -> list[StoredKey]:
    """Signing keys, the oldest first."""
    rows = connection.execute(
        "SELECT kid, algorithm, private_wrapped, signs_from_ms, verifies_until_ms FROM signing_keys"
        " ORDER BY signs_from_ms, kid"
    )
    return [StoredKey(*row) for row in rows]


def add_first_key(connection: sqlite3.Connection, key: StoredKey) -> bool:
    """Store a key unless one of its algorithm that can sign is there."""
    found = connection.execute(
        "SELECT 1 FROM signing_keys WHERE verifies_until_ms IS NULL AND algorithm = ?", (key.algorithm,)
    )
    if found.fetchone() is not None:
        return False
    save_keys(connection, [key])
    return True


def save_keys(connection: sqlite3.Connection, keys: list[StoredKey]) -> None:
    """Add or overwrite."""
    connection.executemany(
        "INSERT OR REPLACE INTO signing_keys (kid, algorithm, private_wrapped, signs_from_ms, verifies_until_ms)"
        " VALUES (?, ?, ?, ?, ?)",
        [(key.kid, key.algorithm, key.private_wrapped, key.signs_from_ms, key.verifies_until_ms) for key in keys],
    )


def add_client(connection: sqlite3.Connection, client: Client) -> bool:
    """Insert a client; False when the id is taken."""
    added = connection.execute(
        "INSERT OR IGNORE INTO clients (id, secret_digest, created_at_ms) VALUES (?, ?, ?)",
        (client.id, client.secret_digest, client.created_at_ms),
    )
    return added.rowcount == 1


def find_client(connection: sqlite3.Connection, client_id: str) -> Client | None:
    """One client."""
    row = connection.execute(
        "SELECT id, secret_digest, created_at_ms FROM clients WHERE id = ?", (client_id,)
    ).fetchone()
    return None if row is None else Client(*row)


def list_clients(connection: sqlite3.Connection) -> list[Client]:
    """All clients, by id."""
    return [
        Client(*row) for row in connection.execute("SELECT id, secret_digest, created_at_ms FROM clients ORDER BY id")
    ]


def remove_client(connection: sqlite3.Connection, client_id: str) -> bool:
    """Remove one."""
    return connection.execute("DELETE FROM clients WHERE id = ?", (client_id,)).rowcount == 1


def reserve_attempt(connection: sqlite3.Connection, now_ms: int, keys: AttemptKeys, limits: Limits) -> Verdict:
    """Decide on an attempt and count it as a failure, in the open transaction."""
    found = {kind: _bucket(connection, key) for kind, key in keys.items()}
    verdict = verdict_on(found, now_ms=now_ms, limits=limits)
    if verdict.allowed:
        for kind, key in keys.items():
            counted = after_attempt(found[kind][0], now_ms=now_ms, limit=limits.of(kind))
            _save_bucket(connection, key, counted, found[kind][1])
    return verdict


def attempt_succeeded(connection: sqlite3.Connection, now_ms: int, keys: AttemptKeys, limits: Limits) -> None:
    """Take the counted failure back, clear the account, remember the pair."""
    _save_bucket(connection, keys[Kind.PAIR], None, now_ms)
    connection.execute("DELETE FROM throttle WHERE key = ?", (keys[Kind.ACCOUNT],))
    _forgive(connection, keys[Kind.ADDRESS], limits.address)


def attempt_withdrawn(connection: sqlite3.Connection, keys: AttemptKeys, limits: Limits) -> None:
    """Take the counted failure back from every bucket."""
    for kind, key in keys.items():
        _forgive(connection, key, limits.of(kind))


def _forgive(connection: sqlite3.Connection, key: bytes, limit: Limit) -> None:
    left, last_success_at_ms = forgiven(_bucket(connection, key), limit)
    if left is None and last_success_at_ms is None:
        connection.execute("DELETE FROM throttle WHERE key = ?", (key,))
    else:
        _save_bucket(connection, key, left, last_success_at_ms)


def _bucket(connection: sqlite3.Connection, key: bytes) -> Found:
    row = connection.execute(
        "SELECT failures, last_failure_at_ms, last_success_at_ms FROM throttle WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None, None
    return (Bucket(row[0], row[1]) if row[0] else None), row[2]


def _save_bucket(
    connection: sqlite3.Connection, key: bytes, bucket: Bucket | None, last_success_at_ms: int | None
) -> None:
    bucket = bucket or Bucket(0, 0)
    connection.execute(
        "INSERT OR REPLACE INTO throttle (key, failures, last_failure_at_ms, last_success_at_ms) VALUES (?, ?, ?, ?)",
        (key, bucket.failures, bucket.last_failure_at_ms, last_success_at_ms),
    )


def user_of(row: tuple[Any, ...]) -> User:
    return User(
        id=row[0],
        username=row[1],
        password_hash=row[2],
        epoch=row[3],
        disabled=bool(row[4]),
        roles=parse_roles(row[5]),
        created_at_ms=row[6],
    )
