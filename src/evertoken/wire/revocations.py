"""
What a server tells guards elsewhere of ended sessions, and how a guard reads it (docs/guards.md). Pure.

The feed says nothing about users. A cursor is the server's: whoever gets one sends it back as it is.
"""

import re
from typing import Annotated, Final

import msgspec

from evertoken.wire.answers import Instant

PATH: Final = "/auth/revocations"
LONGEST_WAIT_SECONDS: Final = 30
DEFAULT_WAIT_SECONDS: Final = 25
"""Below the 30 s after which many proxies give up on an answer."""

_CURSOR: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_WAIT: Final = re.compile(r"[0-9]{1,2}", re.ASCII)


class RevokedSession(msgspec.Struct, kw_only=True):
    """A session whose access tokens must be refused although they have not expired."""

    session_id: Annotated[str, msgspec.Meta(description="`sid` of its access tokens.")]
    at: Instant


class RevocationsAnswer(msgspec.Struct, kw_only=True):
    """A page of ended sessions."""

    revoked: list[RevokedSession]
    cursor: Annotated[str, msgspec.Meta(description="Send it as `after`, as it is.", pattern="^[0-9]{1,16}$")]
    complete: Annotated[bool, msgspec.Meta(description="False: there is more, ask again at once.")]
    snapshot: Annotated[
        bool,
        msgspec.Meta(
            description=(
                "The page begins with the oldest entry that is kept: no cursor came, or one that is too old or not"
                " from this server. What a guard knew before stays as it is."
            )
        ),
    ]
    kept_seconds: Annotated[
        int,
        msgspec.Meta(
            description="How long a guard refuses a session after it has heard of it; no token of it lives then.", ge=1
        ),
    ]


def parse_cursor(text: str) -> int | None:
    """The number in a cursor, or None where it is none of ours."""
    return int(text) if _CURSOR.fullmatch(text) else None


def render_cursor(number: int) -> str:
    """A cursor as it is sent."""
    return str(number)


def parse_wait(text: str) -> int | None:
    """Seconds to wait, or None where the text is not a whole number from 0 to `LONGEST_WAIT_SECONDS`."""
    return int(text) if _WAIT.fullmatch(text) and int(text) <= LONGEST_WAIT_SECONDS else None
