"""
niquests: `session.auth = SilentAuth(session_of_evertoken)`; in an AsyncSession `AsyncSilentAuth`.

Needs the extra `evertoken[niquests]`, in an environment without requests' own urllib3: see docs/clients/niquests.md.
"""

import io
from typing import Any

# Where it is not installed, and that is wherever requests is, a type checker sees nothing of it.
from niquests import AsyncResponse, PreparedRequest, Response  # type: ignore[import-not-found, unused-ignore]
from niquests.auth import AsyncAuthBase, AuthBase  # type: ignore[import-not-found, unused-ignore]

from evertoken.client.requests_family import NO_AUTH, Answered, PreparedRequests, rewind
from evertoken.client.session import Session
from evertoken.errors import ConfigurationError

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
        if request.url is None or not our.home.covers(request.url) or our.session.is_opted_out(request.headers):
            return request
        again = rewind(request)
        holding = our.gate.enter(is_repeatable=again is not None)
        request.register_hook("response", _Answered(our, request, holding, again).see)
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
        if request.url is None or not our.home.covers(request.url) or our.session.is_opted_out(request.headers):
            return request
        again = rewind(request)
        holding = await our.gate.enter_async(is_repeatable=again is not None)
        request.register_hook("response", _Answered(our, request, holding, again).see_async)
        return request


class _Answered(Answered):
    """The hook of one request, for a Session and for an AsyncSession."""

    def see(self, response: Response, **how: Any) -> Response:
        """The hook of a Session."""
        if isinstance(response, AsyncResponse):
            raise ConfigurationError("auth", "an AsyncSession of niquests takes AsyncSilentAuth, not SilentAuth")
        return super().see(response, **how)

    async def see_async(self, response: AsyncResponse, **how: Any) -> AsyncResponse:
        """The hook of an AsyncSession."""
        sent = response.request
        if response.status_code in self.our.dialect.judged_statuses:
            response = await self._once_more_async(response, how)
        return self.leave(response, sent)

    async def _once_more_async(self, response: AsyncResponse, how: dict[str, Any]) -> AsyncResponse:
        our = self.our
        holding = self._holding
        body = await response.content if our.wants_body(response) else None
        refusal = self.judge(response, body)
        if refusal is None:
            if body is not None:
                response.raw = _Read(response.raw, body)
            return response
        try:
            renewed = await our.gate.refused_async(holding, over=refusal.over)
            if renewed is None:
                return response
            await response.content
        except BaseException:
            await response.close()
            raise
        await response.close()
        request = self.prepare(response, renewed)
        connection: Any = response.connection
        second: AsyncResponse = await connection.send(request, **how)
        second.history.append(response)
        second.request = request
        if second.status_code in our.dialect.judged_statuses:
            refusal = self.judge(second, await second.content if our.wants_body(second) else None)
            if refusal is not None:
                try:
                    await our.gate.refused_async(renewed, was_sent_again=True, over=refusal.over)
                except BaseException:
                    await second.close()
                    raise
        return second


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
