"""What goes wrong on a connection, in words a user can act on, and never in the other side's."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from evertoken.client.http.deadline import Deadline
from evertoken.client.http.transport import NoAnswer, NotSent


class Unusable(Exception):
    """What came back is no answer; the text says why in plain words, and repeats nothing of it."""


@contextmanager
def raised_as(kind: type[NotSent | NoAnswer], where: object, *, late: str, deadline: Deadline) -> Iterator[None]:
    """
    Raise OSError and Unusable as `kind`.

    Args:
        where: Whom it was about.
        late: What did not happen in time: "no answer".
        deadline: The time it had.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{where}: {_reason(error, late, deadline)}") from error
    except Unusable as error:
        raise kind(f"{where}: {error}") from None


def _reason(error: OSError, late: str, deadline: Deadline) -> str:
    match error:
        case TimeoutError(errno=None):  # ours, or that of a socket under our deadline; the system's has a number
            return f"{late} within {deadline.timeout_seconds:g} s"
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'connection closed').lower().replace('_', ' ')}"
        case socket.gaierror():
            return f"looking up the name failed: {error.strerror}"
        case _:
            return (error.strerror or type(error).__name__).lower()
