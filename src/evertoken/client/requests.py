"""
requests: `session.auth = SilentAuth(session_of_evertoken)`, or `auth=` with a single request.

Needs the extra `evertoken[requests]`.
"""

from typing import Any

import requests
from requests.auth import AuthBase

from evertoken.client.refresher.holding import Holding
from evertoken.client.requests_family import PreparedRequests, Rewind, rewind
from evertoken.client.session import Session
from evertoken.errors import NotReplayable

__all__ = ["NO_AUTH", "SilentAuth"]


class SilentAuth(AuthBase):
    """
    Sends the session's access token with every request to its own origins, and renews it without the caller noticing.

    Opt a request out with `auth=NO_AUTH`.

    Args:
        session: The session; any number of requests.Session may share it.

    Raises, from the request: `SignedOut`, `RefreshUnavailable`, `TokenStoreRefused`, `NotReplayable`.
    """

    def __init__(self, session: Session) -> None:
        self._our = PreparedRequests(session)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Attach the token, and a hook that sees the answer before anybody else."""
        our = self._our
        if request.url is None or not our.home.covers(request.url):
            return request
        again = rewind(request)
        holding = (our.gate.at_once() if again else None) or our.gate.enter(is_repeatable=again is not None)
        request.headers[our.header] = our.session.header(holding)
        request.register_hook("response", _Answered(our, request, holding, again))
        return request


class _Answered:
    """The hook of one request; also called for each hop of a redirect."""

    def __init__(
        self, our: PreparedRequests, request: requests.PreparedRequest, holding: Holding, again: Rewind | None
    ) -> None:
        self._our = our
        self._request = request
        self._holding = holding
        self._again = again

    def __call__(self, response: requests.Response, **how: Any) -> requests.Response:
        sent = response.request
        if response.status_code in self._our.dialect.judged_statuses:
            response = self._once_more(response, how)
        if response.is_redirect:
            self._our.keep_at_home(response, sent, self._request)
        return response

    def _once_more(self, response: requests.Response, how: dict[str, Any]) -> requests.Response:
        our = self._our
        refusal = our.judge(response, self._holding, response.content if our.wants_body(response) else None)
        if refusal is None:
            return response
        try:
            renewed = our.gate.refused(self._holding, over=refusal.over)
        except BaseException:
            response.close()
            raise
        if renewed is None:
            return response
        _ = response.content  # so that the connection can be used again
        response.close()
        if response.request.body is not None:  # a redirect may have dropped it
            if self._again is None:
                raise NotReplayable(response)
            self._again()
        self._holding = renewed
        request = response.request.copy()
        for each in (request, response.request, self._request):  # a redirect copies one of them
            each.headers[our.header] = our.session.header(renewed)
        connection: Any = response.connection  # as requests' own digest authentication does
        second: requests.Response = connection.send(request, **how)
        second.history.append(response)
        second.request = request
        if second.status_code in our.dialect.judged_statuses:
            refusal = our.judge(second, renewed, second.content if our.wants_body(second) else None)
            if refusal is not None:
                try:
                    our.gate.refused(renewed, was_sent_again=True, over=refusal.over)
                except BaseException:
                    second.close()
                    raise
        return second


def NO_AUTH(request: requests.PreparedRequest) -> requests.PreparedRequest:  # noqa: N802 - stands where a value does
    """Leaves a request as it is: `auth=NO_AUTH` opts it out, where `auth=None` would mean the session's own."""
    return request
