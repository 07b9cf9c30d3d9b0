"""What each of our stores is: the contracts of all who keep something, and a beginning and an end."""

from typing import Protocol

from evertoken.accounts.clients import ClientStore
from evertoken.accounts.sign_in import AttemptStore
from evertoken.accounts.users import UserAdministration, UserStore
from evertoken.sessions.keys import KeyStore
from evertoken.sessions.model import Event
from evertoken.sessions.operating import OperatorStore
from evertoken.sessions.store import SessionStore


class Store(SessionStore, OperatorStore, UserStore, UserAdministration, KeyStore, ClientStore, AttemptStore, Protocol):
    """A store over one database. It belongs to the event loop on which it is started."""

    async def start(self) -> None:
        """
        See that the database can be used, and bring it to this version.

        Raises:
            ConfigurationError: it cannot; one line says what is wrong and what to do.
        """

    async def stop(self) -> None:
        """Finish what is queued, then let go of the database."""

    def close(self) -> None:
        """Let go of the database, from outside an event loop."""

    async def ping(self) -> None:
        """Raises StoreUnavailable when nothing could be stored now."""

    async def now_ms(self) -> int:
        """The time by which the store decides: of its server's clock where it has one."""

    async def set_roles(self, user_id: str, roles: tuple[str, ...]) -> bool:
        """Change a user's roles; the next refresh of each session carries them. False where there is no such user."""

    async def newest_events(self, limit: int) -> list[Event]:
        """The newest lines of the whole audit trail, newest first."""
