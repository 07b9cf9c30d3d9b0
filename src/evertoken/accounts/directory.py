"""Users of our own: the directory over a users table and argon2id."""

import logging
from typing import Final

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User, UserStore
from evertoken.secret import Secret

_LOG: Final = logging.getLogger(__name__)


class StoredUsers:
    """
    A `UserDirectory` over our own users table.

    Args:
        store: The users table.
        hashing: Makes and checks the hashes. Not closed here.
    """

    def __init__(self, store: UserStore, hashing: PasswordHashing) -> None:
        self._store = store
        self._hashing = hashing

    async def find_by_username(self, username: str) -> User | None:
        """The user of this name, or None. Takes any text."""
        return await self._store.find_by_key(username_key(username))

    async def find_by_id(self, user_id: str) -> User | None:
        """The user of this id, or None."""
        return await self._store.find_by_id(user_id)

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        """
        Whether this is the user's password; as much work for nobody, and for a user without a hash, as for a user.

        If it is, and the hash was made with less than today's parameters, it is made anew and written. That may fail
        without anybody noticing but the log: the next sign-in tries again.

        Raises:
            Overloaded: Too many are waiting to be verified.
        """
        hashed = user.password_hash if user is not None else None
        check = await self._hashing.verify(password, hashed)
        if check.needs_rehash and user is not None and hashed is not None:
            await self._rehash(user.id, hashed, password)
        return check.matches

    async def hash_new_password(self, password: Secret) -> str:
        """
        A hash to store for a new password that `check_new_password` has passed.

        Raises:
            PasswordRefused: `too_long` or `not_text`.
            Overloaded: Too many are waiting to be hashed.
        """
        return await self._hashing.hash(password)

    async def _rehash(self, user_id: str, old_hash: str, password: Secret) -> None:
        try:
            new_hash = await self._hashing.hash(password)
            await self._store.replace_hash(user_id, old_hash, new_hash)
        except Exception as error:  # noqa: BLE001 - the password was right: nothing here may spoil the sign-in
            # The class alone: a database driver's message quotes the statement, and the hashes with it.
            _LOG.warning("password of user %s not rehashed: %s", user_id, type(error).__name__)
