"""
requests: `session.auth = SilentAuth(session_of_evertoken)`, or `auth=` with a single request.

Needs the extra `evertoken[requests]`.
"""

import requests
from requests.auth import AuthBase

from evertoken.client.requests_family import NO_AUTH, Answered, PreparedRequests, rewind
from evertoken.client.session import Session

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
        if request.url is None or not our.home.covers(request.url) or our.session.is_opted_out(request.headers):
            return request
        again = rewind(request)
        holding = our.gate.enter(is_repeatable=again is not None)
        request.register_hook("response", Answered(our, request, holding, again).see)
        return request
