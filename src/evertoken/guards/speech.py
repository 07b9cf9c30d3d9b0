"""How a guard speaks: where it finds the access token of a request, and how it spells its answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from evertoken.dialects import Spoken, load
from evertoken.errors import TokenError, TokenRevoked
from evertoken.wire import bearer, problems
from evertoken.wire.dialects.answering import Place, Rendered, failure
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.known import EVERTOKEN
from evertoken.wire.dialects.serving import refuse_unspeakable
from evertoken.wire.problems import ProblemAnswer

_RESOURCE: Final[Place] = "resource"


class Speech:
    """
    One dialect, as a guard needs it.

    Args:
        spoken: The dialect, or what names it (see `evertoken.dialects.load`).

    Raises:
        DialectError: The dialect cannot be used, or a guard could not refuse anybody in it.
    """

    def __init__(self, spoken: Spoken = EVERTOKEN) -> None:
        dialect = load(spoken)
        refuse_unspeakable(dialect)
        place = dialect.access_token
        self.dialect: Dialect = dialect
        self.header = place.header
        """The header's name, as it is written to people."""
        self.raw_header = place.header.lower().encode("ascii")
        """The header's name as ASGI has it."""
        self.environ_key = "HTTP_" + place.header.upper().replace("-", "_")
        """The header's name as WSGI and Django have it (PEP 3333)."""
        self.prefix = b"" if place.scheme is None else place.scheme.encode("ascii") + b" "
        """What stands before the token."""
        self.is_bearer = place.header.lower() == "authorization" and (place.scheme or "").lower() == "bearer"
        self.is_default = dialect == EVERTOKEN
        self.no_token: ProblemAnswer = problems.NO_TOKEN
        self.misused: ProblemAnswer = problems.token_misused()
        if not self.is_bearer:
            written = place.value("TOKEN")
            how = "the bare token" if place.scheme is None else written
            self.no_token = problems.unauthorized(
                "token_invalid", f"Send an access token: {place.header}: {written}.", challenge=bearer.challenge()
            )
            self.misused = ProblemAnswer(
                400, "invalid_request", f"Send one access token, in one header {place.header}: {how}."
            )

    def token(self, values: Sequence[str], *, query: bytes = b"") -> str | None:
        """
        The access token of a request, or None when it brought none.

        Args:
            values: Every header of the dialect's name, in order.
            query: The query of the URL. A token there is never taken (RFC 9700 §4.3.2).

        Raises:
            BearerMisused: There are several. In evertoken's own dialect also what RFC 6750 §3.1 calls an invalid
                request; a page of another one may send `Bearer` with nothing after it once it has signed out, and is
                told that it has no token.
        """
        if self.is_default:
            return bearer.parse(values, query=query)
        if not values:
            return None
        if len(values) > 1:
            raise bearer.BearerMisused(f"more than one header {self.header}")
        token = values[0].strip(" \t")
        if self.dialect.access_token.scheme is not None:
            scheme, _, token = token.partition(" ")
            if scheme.lower() != self.dialect.access_token.scheme.lower():
                return None
            token = token.strip(" ")
        if "," in token:  # no token holds one: it stands between two headers that a WSGI server has joined
            raise bearer.BearerMisused(f"more than one header {self.header}")
        if b"access_token" in query and any(field.partition(b"=")[0] == b"access_token" for field in query.split(b"&")):
            raise bearer.BearerMisused("a token in the header and another in the URL")
        return token or None

    def refused(self, error: TokenError) -> ProblemAnswer:
        """
        What a bad access token gets.

        A session that has ended is told to those who hold a genuine token of it, where the dialect has words for that;
        elsewhere the refresh that follows is told.
        """
        if isinstance(error, TokenRevoked) and self.dialect.over and not self.is_default:
            return problems.unauthorized("session_over", "Sign in again.")
        return problems.token_refused(error)

    def answer(self, problem: ProblemAnswer) -> Rendered:
        """The whole answer to send instead of the resource's."""
        return failure(self.dialect, problem, place=_RESOURCE)


PLAIN: Final = Speech()
"""evertoken's own."""

SPEECH_KEY: Final = "evertoken.speech"
"""Where in an ASGI scope `requires` finds how to refuse; evertoken's own dialect need not be there."""


def speech_of(guard: object) -> Speech:
    """How a guard speaks; `evertoken` for one that does not say."""
    speech = getattr(guard, "speech", PLAIN)
    return speech if isinstance(speech, Speech) else PLAIN


def speech_in(scope: Mapping[str, Any]) -> Speech:
    """How the guard speaks that a request of this ASGI scope has passed; `evertoken` where none has said."""
    speech = scope.get(SPEECH_KEY)
    return speech if isinstance(speech, Speech) else PLAIN
