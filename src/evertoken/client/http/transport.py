"""How the client itself speaks HTTP: to sign in, refresh and sign out, around every interceptor of the application."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the authorization server. Its body and headers hold secrets, so its repr shows neither."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole; header names in lower case, repeated ones joined by a comma."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class NotSent(Exception):
    """Not one byte of the request reached the server: name, connection or TLS failed. Safe to send again anywhere."""


class NoAnswer(Exception):
    """The request, or a part of it, was sent, and no whole answer came: the server may have acted on it."""


class Transport(Protocol):
    """Sends one call and returns the answer; follows no redirect and repeats nothing."""

    def __call__(self, call: Call, *, timeout_seconds: float) -> Answer:
        """
        Send it, and have it answered within `timeout_seconds` in all.

        Raises:
            NotSent: Nothing was sent.
            NoAnswer: Something was sent, and there is no whole answer.
        """
        ...
