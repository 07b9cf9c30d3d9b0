"""What requests and niquests have in common: prepared requests, response hooks, bodies that may be rewound."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urljoin

from evertoken.client.judging import Refusal, judge, wants_body
from evertoken.client.refresher.holding import Holding
from evertoken.client.session import Session

Rewind = Callable[[], object]


class PreparedRequests:
    """How a session's access token goes into a prepared request, comes out of it again, and is judged."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.gate = session.gate
        self.home = session.home
        self.dialect = session.dialect
        self.header = session.dialect.access_token.header
        # The library takes `Authorization` off a redirect to another host by itself, and no other header.
        self._leaks = self.header.lower() != "authorization"

    def wants_body(self, response: Any) -> bool:
        """Whether the body has to be read to judge a response."""
        headers = response.headers
        return wants_body(
            self.dialect, response.status_code, headers.get("content-type"), headers.get("content-length")
        )

    def judge(self, response: Any, holding: Holding, body: bytes | None) -> Refusal | None:
        """Judge a response of one of our own origins; what others say is not about our token."""
        if not self.home.covers(response.url):
            return None
        if response.request.headers.get(self.header) != self.session.header(holding):
            return None  # redirects have led elsewhere and home again, and the token was taken off on the way
        return judge(self.dialect, response.status_code, body)

    def keep_at_home(self, response: Any, *requests: Any) -> None:
        """Before the library follows a redirect elsewhere: take our header off what it will copy."""
        location = response.headers.get("location")
        if self._leaks and location is not None and not self.home.covers(urljoin(response.url, location)):
            for request in (response.request, *requests):
                request.headers.pop(self.header, None)


def rewind(request: Any) -> Rewind | None:
    """How to send a prepared request's body once more; None where it cannot be."""
    body = request.body
    if body is None or isinstance(body, str | bytes):
        return _nothing
    position = getattr(request, "_body_position", None)
    if isinstance(position, int) and _is_seekable(body):
        return lambda: body.seek(position)
    # A list of chunks can be gone through again. Of anything else nobody knows: what wraps a file, as a progress bar
    # does, gives a new iterator each time, and the second finds the file read.
    return _nothing if isinstance(body, Sequence) else None


def _is_seekable(body: Any) -> bool:
    seekable = getattr(body, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(body, "seek")


def _nothing() -> None:
    return None
