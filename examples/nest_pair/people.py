"""
The users, in a SQL table of this application. evertoken asks three questions about them and stores none of it.

The passwords are stored as argon2id hashes: there is no column that holds what somebody typed.
"""

import asyncio
import os
import sqlite3

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User
from evertoken.secret import Secret

TABLE = """
CREATE TABLE IF NOT EXISTS user (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    locked INTEGER NOT NULL DEFAULT 0
)
"""


class People:
    """
    The table.

    Args:
        path: The SQLite file.
    """

    def __init__(self, path):
        self._path = path
        self._hashing = PasswordHashing()
        with self._open() as database:
            database.execute(TABLE)

    async def find_by_username(self, username):
        return await asyncio.to_thread(self._find, "username_key", username_key(username))

    async def find_by_id(self, user_id):
        return await asyncio.to_thread(self._find, "id", user_id)

    async def verify_password(self, user, password):
        # The same work where there is no such user: the time must not tell.
        check = await self._hashing.verify(password, user.password_hash if user else None)
        return check.matches

    def add(self, username, password):
        """Add a user, unless the name is taken."""
        hashed = self._hashing.hash_now(Secret(password))
        with self._open() as database:
            database.execute(
                "INSERT OR IGNORE INTO user (username, username_key, password_hash) VALUES (?, ?, ?)",
                (username, username_key(username), hashed),
            )

    def _find(self, column, value):
        with self._open() as database:
            row = database.execute(
                f"SELECT id, username, password_hash, epoch, locked FROM user WHERE {column} = ?", (value,)
            ).fetchone()
        return None if row is None else User(str(row[0]), row[1], row[2], row[3], bool(row[4]), (), created_at_ms=0)

    def _open(self):
        return sqlite3.connect(self._path)


people = People(os.environ.get("PEOPLE", "people.db"))
