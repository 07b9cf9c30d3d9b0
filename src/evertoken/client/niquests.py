"""
niquests: `session.auth = SilentAuth(session_of_evertoken)`; in an AsyncSession `AsyncSilentAuth`.

Needs the extra `evertoken[niquests]`, in an environment without requests' own urllib3: see docs/clients/niquests.md.
"""

import io
from typing import Any

# Where it is not installed, and that is wherever requests is, a type checker sees nothing of it.
from niquests import AsyncResponse, PreparedRequest, Response  # type: ignore[import-not-found, unused-ignore]
from niquests.auth import AsyncAuthBase, AuthBase  # type: ignore[import-not-found, unused-ignore]

from evertoken.client.judging import Refusal
from evertoken.client.refresher.holding import Holding
from evertoken.client.requests_family import PreparedRequests, Rewind, rewind
from evertoken.client.session import Session
from evertoken.errors import ConfigurationError, NotReplayable

__all__ = ["NO_AUTH", "AsyncSilentAuth", "SilentAuth"]


class SilentAuth(AuthBase):  # type: ignore[misc, unused-ignore]
    """
    Sends the session's access token with every request to its own origins, and renews it without the caller noticing.

    Opt a request out with `auth=NO_AUTH`. For `niquests.Session`; an AsyncSession takes `AsyncSilentAuth`.

    Args:
        session: The session; any number of niquests.Session may share it.

    Raises, from the request: `SignedOut`, `RefreshUnavailable`, `TokenStoreRefused`, `NotReplayable`; in an
    AsyncSession `ConfigurationError`.
    """

    def __init__(self, session: Session) -> None:
        self._our = PreparedRequests(session)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Attach the token, and a hook that sees the answer before anybody else."""
        our = self._our
        if request.url is None or not our.home.covers(request.url):
            return request
        again = rewind(request)
        holding = (our.gate.at_once() if again else None) or our.gate.enter(is_repeatable=again is not None)
        answered = _Answered(our, request, holding, again)
        answered.attach(request)
        request.register_hook("response", answered.see)
        return request


class AsyncSilentAuth(AsyncAuthBase):  # type: ignore[misc, unused-ignore]
    """
    `SilentAuth`, for `niquests.AsyncSession`: a task that waits for a refresh does not block its event loop.

    Args:
        session: The session; any number of AsyncSession, in any number of event loops, may share it.
    """

    def __init__(self, session: Session) -> None:
        self._our = PreparedRequests(session)

    async def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Attach the token, and a hook that sees the answer before anybody else."""
        our = self._our
        if request.url is None or not our.home.covers(request.url):
            return request
        again = rewind(request)
        holding = (our.gate.at_once() if again else None) or await our.gate.enter_async(is_repeatable=again is not None)
        answered = _Answered(our, request, holding, again)
        answered.attach(request)
        request.register_hook("response", answered.see_async)
        return request


class _Answered:
    """The hook of one request; also called for each hop of a redirect."""

    def __init__(self, our: PreparedRequests, request: PreparedRequest, holding: Holding, again: Rewind | None) -> None:
        self._our = our
        self._request = request
        self._holding = holding
        self._again = again

    def attach(self, *requests: Any) -> None:
        """Put the token into requests."""
        for request in requests:
            request.headers[self._our.header] = self._our.session.header(self._holding)

    def see(self, response: Response, **how: Any) -> Response:
        """The hook of a Session."""
        if isinstance(response, AsyncResponse):
            raise ConfigurationError("auth", "an AsyncSession of niquests takes AsyncSilentAuth, not SilentAuth")
        sent = response.request
        if response.status_code in self._our.dialect.judged_statuses:
            response = self._once_more(response, how)
        if response.is_redirect:
            self._our.keep_at_home(response, sent, self._request)
        return response

    async def see_async(self, response: AsyncResponse, **how: Any) -> AsyncResponse:
        """The hook of an AsyncSession."""
        sent = response.request
        if response.status_code in self._our.dialect.judged_statuses:
            response = await self._once_more_async(response, how)
        if response.is_redirect:
            self._our.keep_at_home(response, sent, self._request)
        return response

    def _once_more(self, response: Response, how: dict[str, Any]) -> Response:
        gate = self._our.gate
        refusal = self._judge(response, response.content if self._our.wants_body(response) else None)
        if refusal is None:
            return response
        try:
            renewed = gate.refused(self._holding, over=refusal.over)
            if renewed is None:
                return response
            _ = response.content  # so that the connection can be used again
        except BaseException:
            response.close()
            raise
        response.close()
        connection: Any = response.connection  # as niquests' own digest authentication does
        request = self._prepare(response, renewed)
        second: Response = connection.send(request, **how)
        second.history.append(response)
        second.request = request
        if second.status_code in self._our.dialect.judged_statuses:
            refusal = self._judge(second, second.content if self._our.wants_body(second) else None)
            if refusal is not None:
                try:
                    gate.refused(renewed, was_sent_again=True, over=refusal.over)
                except BaseException:
                    second.close()
                    raise
        return second

    async def _once_more_async(self, response: AsyncResponse, how: dict[str, Any]) -> AsyncResponse:
        gate = self._our.gate
        body = await response.content if self._our.wants_body(response) else None
        refusal = self._judge(response, body)
        if refusal is None:
            if body is not None:
                response.raw = _Read(response.raw, body)
            return response
        try:
            renewed = await gate.refused_async(self._holding, over=refusal.over)
            if renewed is None:
                return response
            await response.content
        except BaseException:
            await response.close()
            raise
        await response.close()
        connection: Any = response.connection
        request = self._prepare(response, renewed)
        second: AsyncResponse = await connection.send(request, **how)
        second.history.append(response)
        second.request = request
        if second.status_code in self._our.dialect.judged_statuses:
            refusal = self._judge(second, await second.content if self._our.wants_body(second) else None)
            if refusal is not None:
                try:
                    await gate.refused_async(renewed, was_sent_again=True, over=refusal.over)
                except BaseException:
                    await second.close()
                    raise
        return second

    def _judge(self, response: Response, body: bytes | None) -> Refusal | None:
        return self._our.judge(response, self._holding, body)

    def _prepare(self, response: Response, renewed: Holding) -> PreparedRequest:
        """What to send now that the token is renewed: the hop that was refused, its body from the start."""
        refused: Any = response.request
        if refused.body is not None:  # a redirect may have dropped it
            if self._again is None:
                raise NotReplayable(response)
            self._again()
        self._holding = renewed
        request: PreparedRequest = refused.copy()
        self.attach(request, refused, self._request)  # a redirect copies one of them
        return request


class _Read:
    """A raw response whose body has been read: niquests' iter_content does not look at what `.content` has read."""

    def __init__(self, raw: Any, body: bytes) -> None:
        self._raw = raw
        self._left = io.BytesIO(body)

    async def read(self, amount: int | None = None, **_: Any) -> bytes:
        """As urllib3-future has it, of the decoded body."""
        return self._left.read(amount)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def NO_AUTH(request: PreparedRequest) -> PreparedRequest:  # noqa: N802 - stands where a value does
    """Leaves a request as it is: `auth=NO_AUTH` opts it out, where `auth=None` would mean the session's own."""
    return request
