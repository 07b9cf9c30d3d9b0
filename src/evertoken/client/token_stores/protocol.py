"""What the client asks of a place where tokens are kept: one text, compared before it is replaced, and a lease."""

from contextlib import AbstractContextManager
from typing import Protocol


class Lease(Protocol):
    """The right to refresh, held by one flight among all threads and processes that share a store."""

    def seconds_left(self) -> float:
        """
        How long the right still lasts.

        `math.inf` for a kernel lock, which ends only with its holder; 0 once it is over, and in a forked child, which
        does not inherit it.
        """
        ...


class TokenStore(Protocol):
    """
    Keeps one document: a text of at most 64 KiB that holds tokens, so a secret as a whole.

    All methods block, and are called from a thread of the client's own, never from an event loop. Any number of
    threads and processes may call them at once. They raise `TokenStoreRefused` for what a person has to mend (and
    then have written nothing), `TokenStoreUnavailable` for what may pass: full, busy, unreachable.
    """

    def load(self) -> str | None:
        """The document as it is now, never an older one; None where there is none."""
        ...

    def swap(self, expected: str | None, document: str | None) -> bool:
        """
        Replace the document if it is still `expected`, durably and as a whole; None stands for no document.

        Returns:
            False, with nothing changed, if it is not.

        After `TokenStoreUnavailable` the document may be the new one all the same: an answer of the store was lost.
        """
        ...

    def prepare(self) -> None:
        """
        Make sure, as far as that is possible, that the next `swap` will not fail for want of room or rights.

        Called under the lease before a refresh is sent: a server that rotates would otherwise hand out a refresh
        token that there is no room for.
        """
        ...

    def lease(self, *, timeout_seconds: float) -> AbstractContextManager[Lease]:
        """
        Wait for the right to refresh, and hold it until the context ends, however it ends.

        It must exclude every other holder, in this process and in others, and end by itself when its holder is
        killed. A kernel lock is never taken from a holder that lives.

        Raises:
            TokenStoreUnavailable: It was not to be had within `timeout_seconds`.
        """
        ...
