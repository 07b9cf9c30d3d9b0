"""What an answer says of the access token, for every adapter. Pure, but for what the adapter reads for it."""

from dataclasses import dataclass
from typing import Final

from evertoken.client.refresher.answers import parse_body
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.pointer import MISSING

LONGEST_BODY_READ: Final = 1024 * 1024
"""An answer that says it is longer is not looked into: it is data, not a refusal."""
LONGEST_LENGTH: Final = 15
"""A Content-Length of more digits is beyond any bound; of 4,300 digits Python would make no number."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    The access token was not taken.

    Args:
        over: Why the session is over; None where a newer token is all that is wanted.
    """

    over: str | None = None


def wants_body(dialect: Dialect, status: int, content_type: str | None, content_length: str | None) -> bool:
    """
    Whether the body has to be read to judge an answer; otherwise a stream stays a stream.

    Args:
        content_type, content_length: The headers, if there are any.
    """
    if status not in dialect.read_statuses:
        return False
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return False
    length = content_length or ""
    return not (
        length.isascii() and length.isdigit() and (len(length) > LONGEST_LENGTH or int(length) > LONGEST_BODY_READ)
    )


def judge(dialect: Dialect, status: int, body: bytes | None) -> Refusal | None:
    """
    Judge an answer.

    Args:
        dialect: How the API speaks.
        status: Its status; not worth calling for any that is not among `dialect.judged_statuses`.
        body: What was read of it; None where it was not.

    Returns:
        None where it is the application's own.
    """
    document = MISSING if body is None else parse_body(body)
    match dialect.verdict(status, document):
        case "expired":
            return Refusal()
        case "over":
            return Refusal(dialect.reason_in(document, "unknown"))
        case _:
            return None
