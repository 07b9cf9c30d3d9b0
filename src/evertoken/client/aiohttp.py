"""
aiohttp: `aiohttp.ClientSession(middlewares=(SilentAuth(session),))`.

Needs the extra `evertoken[aiohttp]`: aiohttp 3.12 or newer, the first with client middlewares.
"""

import asyncio
from typing import Any

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.multipart import MultipartWriter
from aiohttp.payload import AsyncIterablePayload, IOBasePayload

from evertoken.client.judging import Refusal, judge, wants_body
from evertoken.client.session import Session
from evertoken.errors import NotReplayable

__all__ = ["SilentAuth"]


class SilentAuth:
    """
    Sends the session's access token with every request to its own origins, and renews it without the caller noticing.

    A middleware sees every hop of a redirect, so the token goes to its own origins only, in whichever header. Opt a
    request out with `middlewares=()`.

    Args:
        session: The session; any number of aiohttp.ClientSession, in any number of event loops, may share it.

    Raises, from the request: `SignedOut`, `RefreshUnavailable`, `TokenStoreRefused`, `NotReplayable`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gate = session.gate
        self._home = session.home
        self._dialect = session.dialect
        self._judged = session.dialect.judged_statuses
        self._header = session.dialect.access_token.header

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """One hop, and once more if its token was refused."""
        url = request.url
        session, gate = self._session, self._gate
        if not self._home.covers_parts(url.scheme, url.raw_host or "", url.port, url.path):
            return await handler(request)
        if session.is_opted_out(request.headers):
            return await handler(request)
        holding = await gate.enter_async(is_repeatable=_is_repeatable(request.body))
        request.headers[self._header] = session.header(holding)
        response = await handler(request)
        if response.status not in self._judged:
            return response
        refusal = await self._judge(response)
        if refusal is None:
            return response
        try:
            renewed = await gate.refused_async(holding, over=refusal.over)
        except BaseException:
            response.close()
            raise
        if renewed is None:
            return response
        body = request.body
        if not _is_repeatable(body) or getattr(body, "consumed", False):
            await response.read()  # so that the connection can be used again
            raise NotReplayable(response)
        response.release()
        request.headers[self._header] = session.header(renewed)
        response = await handler(request)
        if response.status in self._judged and (refusal := await self._judge(response)) is not None:
            try:
                await gate.refused_async(renewed, was_sent_again=True, over=refusal.over)
            except BaseException:
                response.close()
                raise
        return response

    async def _judge(self, response: ClientResponse) -> Refusal | None:
        headers = response.headers
        needed = wants_body(self._dialect, response.status, headers.get("Content-Type"), headers.get("Content-Length"))
        refusal = judge(self._dialect, response.status, body := await response.read() if needed else None)
        if body and refusal is None:
            # What has been read is in `.read()` and `.json()`; `.content` would be at its end.
            loop = asyncio.get_running_loop()
            response.content = StreamReader(BaseProtocol(loop), len(body), loop=loop)
            response.content.feed_data(body)
            response.content.feed_eof()
        return refusal


def _is_repeatable(body: Any) -> bool:
    """Whether a body could be sent twice, before it has been sent once; `consumed` tells only afterwards."""
    if isinstance(body, MultipartWriter):
        return all(_is_repeatable(part) for part, _, _ in body)
    if isinstance(body, IOBasePayload):
        return body._value.seekable()  # noqa: SLF001 - it has no public name
    return not isinstance(body, AsyncIterablePayload)
