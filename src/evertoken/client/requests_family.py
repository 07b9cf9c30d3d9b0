"""What requests and niquests have in common: prepared requests, and a hook that sends one again."""

from typing import Any, TypeVar
from urllib.parse import urljoin

from evertoken.client.bodies import Rewind, as_it_is, rewind_of
from evertoken.client.judging import Refusal, judge, wants_body
from evertoken.client.refresher.holding import Holding
from evertoken.client.session import Session
from evertoken.errors import NotReplayable

T = TypeVar("T")


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
        return as_it_is
    position = getattr(request, "_body_position", None)
    return rewind_of(body, start=position if isinstance(position, int) else None)


class Answered:
    """The hook of one request; also called for each hop of a redirect."""

    def __init__(self, our: PreparedRequests, request: Any, holding: Holding, again: Rewind | None) -> None:
        self.our = our
        self._request = request
        self._holding = holding
        self._again = again
        self._attach(request)

    def see(self, response: Any, **how: Any) -> Any:
        """The hook, for a session that blocks."""
        sent = response.request
        if response.status_code in self.our.dialect.judged_statuses:
            response = self._once_more(response, how)
        return self.leave(response, sent)

    def leave(self, response: Any, sent: Any) -> Any:
        """The answer for the application; where a redirect leads elsewhere, the token stays here."""
        if response.is_redirect:
            self.our.keep_at_home(response, sent, self._request)
        return response

    def judge(self, response: Any, body: bytes | None) -> Refusal | None:
        """Judge an answer to what was sent last."""
        return self.our.judge(response, self._holding, body)

    def prepare(self, response: Any, renewed: Holding) -> Any:
        """
        What to send now that the token is renewed: the hop that was refused, its body from the start.

        Raises:
            NotReplayable: Its body is used up.
        """
        refused = response.request
        if refused.body is not None:  # a redirect may have dropped it
            if self._again is None:
                raise NotReplayable(response)
            self._again()
        self._holding = renewed
        request = refused.copy()
        self._attach(request, refused, self._request)  # a redirect copies one of them
        return request

    def _attach(self, *requests: Any) -> None:
        for request in requests:
            request.headers[self.our.header] = self.our.session.header(self._holding)

    def _once_more(self, response: Any, how: dict[str, Any]) -> Any:
        our = self.our
        holding = self._holding
        refusal = self.judge(response, response.content if our.wants_body(response) else None)
        if refusal is None:
            return response
        try:
            renewed = our.gate.refused(holding, over=refusal.over)
            if renewed is None:
                return response
            _ = response.content  # so that the connection can be used again
        except BaseException:
            response.close()
            raise
        response.close()
        request = self.prepare(response, renewed)
        second = response.connection.send(request, **how)  # as the libraries' own digest authentication does
        second.history.append(response)
        second.request = request
        if second.status_code in our.dialect.judged_statuses:
            refusal = self.judge(second, second.content if our.wants_body(second) else None)
            if refusal is not None:
                try:
                    our.gate.refused(renewed, was_sent_again=True, over=refusal.over)
                except BaseException:
                    second.close()
                    raise
        return second


def NO_AUTH(request: T) -> T:  # noqa: N802 - stands where a value does
    """Leaves a request as it is: `auth=NO_AUTH` opts it out, where `auth=None` would mean the session's own."""
    return request
