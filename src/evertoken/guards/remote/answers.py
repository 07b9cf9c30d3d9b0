"""What the guard's connections give: answers as they came, without the HTTP library that fetched them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Unreachable(Exception):
    """
    There was no whole answer; the message says why and never holds a secret.

    Args:
        is_gone: Nobody listens there, or the connection was cut. Not set where the time ran out: who is too busy to
            answer must not be asked more often for it.
    """

    def __init__(self, message: str, *, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_gone = is_gone


@dataclass(frozen=True, slots=True)
class Got:
    """
    An answer, whole.

    Args:
        headers: By their names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Gets(Protocol):
    """Asks an issuer; `Fetcher` is the one."""

    async def get(
        self,
        url: str,
        *,
        within_seconds: float,
        parameters: Mapping[str, str] | None = None,
        credential: tuple[str, str] | None = None,
    ) -> Got:
        """
        Get a document.

        Args:
            credential: Client id and secret as they go into HTTP Basic, form-encoded already.

        Raises:
            Unreachable: No connection, no whole answer in time, or one that is too large.
        """
