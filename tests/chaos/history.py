"""
What happened in a run: who asked what and when, and what came back; what was stolen; what was done to the servers.

All instants are seconds since the epoch on the one clock of the run (`Clock`), read before a call is sent and after its
answer came. Nothing here is a secret: of a refresh token stands here what it says, not the token.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final


class Clock:
    """Seconds since the epoch, never set back; of the machine on which servers and clients run."""

    def __init__(self) -> None:
        self._base = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._base + time.monotonic()


class Ask(StrEnum):
    """What somebody asks for."""

    SIGN_IN = "sign in"
    REFRESH = "refresh"
    USE = "use"
    SIGN_OUT = "sign out"
    END = "end"
    """One session is ended from another: by the same user, or by an operator."""


ENDS: Final = frozenset({Ask.SIGN_OUT, Ask.END})


class Got(StrEnum):
    """What came of it."""

    DONE = "done"
    OVER = "session over"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    """The server said that it cannot now: 503 or 429 with Retry-After."""
    LOST = "lost"
    """No answer, or not a whole one: it may have been done or not."""
    STRANGE = "strange"


@dataclass(frozen=True, slots=True)
class Token:
    """What a refresh token says of itself."""

    session: str
    generation: int
    tag: str
    parent: str


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token says of itself; `expires_at` in seconds since the epoch."""

    session: str
    account: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request and what came of it.

    Args:
        who: Who asked; a thief's name and its victim's differ.
        began, ended: When it was sent, and when its answer was there or was given up.
        account: Whose session it is, as far as who asks knows.
        session: Which session it is about; of a sign-in, the one that came of it.
        presented: The refresh token that was shown.
        child: The refresh token that came.
        access: The access token that came; of a use, the one that was shown.
        told: Of a use that was answered: whose session the server took it for.
        reason: Why the session is over, or what was strange.
    """

    who: str
    ask: Ask
    got: Got
    began: float
    ended: float
    account: str = ""
    session: str = ""
    presented: Token | None = None
    child: Token | None = None
    access: Access | None = None
    told: Access | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SignedOut:
    """A client told its application that its session is over."""

    who: str
    at: float
    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class Theft:
    """From this instant somebody else holds the newest refresh token of a session."""

    session: str
    at: float


@dataclass(frozen=True, slots=True)
class Incident:
    """
    Something that was done to servers or network.

    Args:
        began, ended: From when on anything may have failed, and since when all is well again.
        kept_until: Where the store went back: it still has all that was acknowledged before this instant; what was
            acknowledged later may be lost. None: nothing may be lost.
    """

    what: str
    began: float
    ended: float
    kept_until: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """
    A session as the store has it in the end.

    Args:
        over: Why it is over; empty while it lives.
        heals, replays: How often its trail says that.
    """

    generation: int
    tag: str
    over: str = ""
    heals: int = 0
    replays: int = 0


@dataclass(slots=True)
class History:
    """
    Everything, in no order.

    Args:
        standings: By session id, of those that the store still has.
        read_at: When they were read.
    """

    calls: list[Call] = field(default_factory=list)
    signed_out: list[SignedOut] = field(default_factory=list)
    thefts: list[Theft] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    read_at: float = float("inf")

    def write(self, path: Path) -> None:
        """One line of JSON each, in the order of time, for whoever looks for the cause of a finding."""
        events: list[Call | SignedOut | Theft | Incident] = [
            *self.calls,
            *self.signed_out,
            *self.thefts,
            *self.incidents,
        ]
        with path.open("w") as file:
            for event in sorted(events, key=_began):
                members = {name: value for name, value in asdict(event).items() if value}
                file.write(json.dumps({"kind": type(event).__name__, **members}) + "\n")
            for session, standing in self.standings.items():
                file.write(json.dumps({"kind": "Standing", "session": session, **asdict(standing)}) + "\n")


def _began(event: Call | SignedOut | Theft | Incident) -> float:
    return event.began if isinstance(event, Call | Incident) else event.at
