"""
Users, and the two ways to have them: a table of the host application's own, or ours.
"""

from dataclasses import dataclass, field
from typing import Protocol

from evertoken.errors import EvertokenError
from evertoken.secret import Secret


class UsernameTaken(EvertokenError):
    """Another user has a name with the same key."""


@dataclass(frozen=True, slots=True)
class User:
    """
    Somebody who may sign in.

    Args:
        id: Stable and never given to anybody else; the `sub` of access tokens.
        username: The form to show. What is unique is its `username_key`.
        password_hash: Encoded argon2 hash; None for a user who cannot sign in by password, or whose hash the
            host application keeps to itself. Not in the repr.
        epoch: Raised whenever all sessions of this user must end. A session keeps the epoch at which its password was
            verified and is over once they differ; so pass on the very `User` that was verified.
        disabled: May not sign in, and has no sessions.
        roles: Carried by new access tokens.
        created_at_ms: Milliseconds since the epoch (of the calendar).
    """

    id: str
    username: str
    password_hash: str | None = field(repr=False)
    epoch: int
    disabled: bool
    roles: tuple[str, ...]
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class UserPage:
    """
    Users in the order of their keys.

    Args:
        after: Where the next page begins; None at the end. It may be set beside fewer users than were asked for, even
            none: only so many rows are looked at for one page.
    """

    users: tuple[User, ...]
    after: str | None


class UserDirectory(Protocol):
    """
    What evertoken asks about users. Implement these three to bring your own user table.

    What they raise is answered with 503 and never as a wrong password; nobody is signed out by it. They run on the
    event loop and must not block it.
    """

    async def find_by_username(self, username: str) -> User | None:
        """
        The user of this name, or None.

        Args:
            username: As typed at sign-in: any text of any length, with NUL, controls or halves of surrogate pairs. Pass
                it through `usernames.username_key`, unless your names have rules of their own.
        """

    async def find_by_id(self, user_id: str) -> User | None:
        """
        The user of this id, or None once the account is gone.

        Asked on refresh as well, where the epoch, `disabled` and the roles must be at most 2 seconds old.
        """

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        """
        Whether this is the user's password.

        Args:
            user: As `find_by_username` returned it. None where there is no such user: spend the same time as for any
                other, and return False. A disabled user's password is verified like any other's; the caller refuses
                afterwards, with the same answer as for a wrong password.
            password: As typed, not trimmed. At most `MAX_PASSWORD_BYTES`.

        Raises:
            Overloaded: Too many are waiting to be verified.
        """


class UserStore(Protocol):
    """
    Where our own users table is kept.

    Keys are `usernames.username_key` of the name, compared byte by byte: a collation that folds case or accents would
    make one of two users. Changing a password, disabling, and raising the epoch end sessions too, so they belong
    to the session store.

    Every method may raise StoreUnavailable.
    """

    async def add_user(self, user: User) -> None:
        """
        Add a user whose name and password have been checked.

        Raises:
            UsernameTaken: Another user's name has the same key. Nothing is written.
        """

    async def find_by_key(self, username_key: str) -> User | None:
        """The user whose name has this key, or None."""

    async def find_by_id(self, user_id: str) -> User | None:
        """The user of this id, or None."""

    async def list_users(self, after: str | None, limit: int) -> list[User]:
        """
        At most `limit` users in the order of their keys.

        Args:
            after: The last user name of the page before; None for the first page.
            limit: At least 1.
        """

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """
        Write a stronger hash of the *same* password; False, and nothing written, unless `old_hash` is still there.

        The epoch stays: nothing ends by it. Conditional, because the password may have been changed meanwhile.
        """


class UserAdministration(Protocol):
    """
    What an operator asks of our own users table, beyond signing people in. Disabling and enabling are the session
    store's, for they end sessions and stand in the audit trail.

    Every method may raise StoreUnavailable.
    """

    async def find_by_id(self, user_id: str) -> User | None:
        """The user of this id, or None."""

    async def search_users(self, part: str, *, after: str | None, limit: int) -> UserPage:
        """
        A page of the users whose name has this part.

        Args:
            part: Anything as typed; compared by `usernames.username_key`, so case and width make no difference, and
                no character has a meaning of its own. Empty for all.
            after: `UserPage.after` of the page before; None for the first. Any text is taken.
            limit: How many users at most, at least 1.
        """

    async def count_users(self) -> tuple[int, int]:
        """How many users there are, and how many of them are disabled."""
