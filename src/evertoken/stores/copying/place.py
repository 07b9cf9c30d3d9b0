"""What each engine brings along so that a whole store can be read, written and looked at."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from evertoken.accounts.clients import Client
from evertoken.errors import EvertokenError
from evertoken.sessions.keys import StoredKey
from evertoken.stores.copying.rows import (
    AdoptionRow,
    AttemptRow,
    Batch,
    EventRow,
    LinePlace,
    RevocationRow,
    SessionPart,
    UserRow,
)


class CopyRefused(EvertokenError):
    """A store that cannot be read or written as a whole; the message says why and what to do."""


class AnotherCopies(CopyRefused):
    """Somebody else has begun to write into the same target."""

    def __init__(self) -> None:
        super().__init__("another `evertoken store copy` writes into this target now; let it finish")


@dataclass(frozen=True, slots=True)
class Trait:
    """
    Something about an engine that an operator should know.

    Args:
        part: What it is about, in one word.
        wrong: What is wrong with it, and what to do; empty where nothing is.
        is_fault: Whether something will be lost or fail by it.
    """

    part: str
    text: str
    wrong: str = ""
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the tables: what is there (None: nothing of ours), and what this evertoken makes of it."""

    found: str | None
    newest: str


@contextlib.contextmanager
def told(
    failures: tuple[type[BaseException], ...], in_our_words: Callable[[BaseException], Exception]
) -> Iterator[None]:
    """Tells of what a driver raises in our words."""
    try:
        yield
    except failures as error:
        raise in_our_words(error) from error


class Place(Protocol):
    """
    A store as a whole. Reading changes nothing in it; it may be in service meanwhile.

    Walks go by primary keys, some rows at a time, so their memory does not grow with the store.
    Every method raises StoreUnavailable, or CopyRefused, where the engine fails.
    """

    async def version(self) -> Version:
        """Of its tables."""

    async def traits(self, *, deep: bool) -> list[Trait]:
        """How durable it is, by the engine's own settings; if deep, whether its file is whole, which may take long."""

    async def now_ms(self) -> int:
        """By the store's clock."""

    async def counts(self) -> Mapping[str, int]:
        """How many users, sessions, ... there are."""

    async def close(self) -> None:
        """Let go of it."""

    # Reading

    async def read_users(self, after: str, limit: int) -> list[UserRow]:
        """In the order of their ids."""

    async def users_there(self, user_ids: Sequence[str]) -> set[str]:
        """Which of these there are."""

    async def read_clients(self) -> list[Client]:
        """All."""

    async def read_keys(self) -> list[StoredKey]:
        """All signing keys, the oldest first."""

    async def read_sessions(self, cursor: str, limit: int, *, since_ms: int | None, events: bool = True) -> SessionPart:
        """
        The next sessions of the walk, with their lines.

        Args:
            cursor: Where the part before ended; empty at the beginning.
            limit: How many are looked at, at most.
            since_ms: Only those that may have changed since; a few more may come along.
            events: Whether their lines are wanted.
        """

    async def settle(self) -> None:
        """See that every end of a session stands in the feed, where one transaction does not write both."""

    async def read_revocations(self, after: int, limit: int) -> list[RevocationRow]:
        """In the order of the feed."""

    async def highest_revocation(self) -> int:
        """The highest number that was ever given."""

    async def read_lines(self, after: LinePlace, before_ms: int, limit: int) -> list[tuple[LinePlace, EventRow]]:
        """Lines of no session, in the order of their places, as far as they are older than an instant."""

    def read_attempts(self) -> AsyncIterator[list[AttemptRow]]:
        """All counters, some at a time."""

    def read_adoptions(self) -> AsyncIterator[list[AdoptionRow]]:
        """All adopted tokens, some at a time."""

    # Writing

    async def read_state(self) -> str | None:
        """How far a copy into this store has come; None where none was begun."""

    async def write(self, batch: Batch, *, state: str | None, state_before: str | None) -> None:
        """
        Write rows and how far the copy has come, in one durable step, or in such an order that it may be repeated.

        Args:
            state: None writes rows alone.
            state_before: What this copy wrote last.

        Raises:
            AnotherCopies: the state is not as this copy left it.
        """
