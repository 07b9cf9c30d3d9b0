"""What httpx2 and httpx have in common, which is nearly all: one authentication flow for both, sync and async."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ClassVar
from urllib.parse import urlsplit

from evertoken.client.bodies import Rewind, as_it_is, is_seekable, rewind_of
from evertoken.client.judging import Refusal, judge, wants_body
from evertoken.client.origins import origin
from evertoken.client.refresher.holding import Holding
from evertoken.client.session import Session
from evertoken.errors import NotReplayable


class SilentAuthFlow:
    """
    Sends the session's access token with every request to its own origins, and renews it without the caller noticing.

    Opt a request out with `auth=None`.

    Args:
        session: The session; any number of clients may share it.

    Raises, from the request: `SignedOut`, `RefreshUnavailable`, `TokenStoreRefused`, `NotReplayable`.
    """

    in_memory: ClassVar[type]
    """The library's class for a body that lies in memory as a whole."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gate = session.gate
        self._home = session.home
        self._dialect = session.dialect
        self._judged = session.dialect.judged_statuses
        self._header = session.dialect.access_token.header
        # The libraries take `Authorization` off a redirect to another origin by themselves, and no other header.
        self._leaks = self._header.lower() != "authorization"

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """One request, and once more if its token was refused."""
        if not self._covers(request.url) or self._session.is_opted_out(request.headers):
            yield request
            return
        rewind = self._rewind(request.stream)
        holding = self._gate.enter(is_repeatable=rewind is not None)
        self._attach(request, holding, is_async=False)
        response = yield request
        if response.status_code not in self._judged:
            return
        refusal = self._judge(response, holding, response.read() if self._wants_body(response) else None)
        if refusal is None or (renewed := self._gate.refused(holding, over=refusal.over)) is None:
            return
        response.read()
        response = yield self._again(request, response, renewed, rewind)
        if response.status_code in self._judged:
            refusal = self._judge(response, renewed, response.read() if self._wants_body(response) else None)
            if refusal is not None:
                self._gate.refused(renewed, was_sent_again=True, over=refusal.over)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """The same for a task."""
        if not self._covers(request.url) or self._session.is_opted_out(request.headers):
            yield request
            return
        rewind = self._rewind(request.stream)
        holding = await self._gate.enter_async(is_repeatable=rewind is not None)
        self._attach(request, holding, is_async=True)
        response = yield request
        if response.status_code not in self._judged:
            return
        refusal = self._judge(response, holding, await response.aread() if self._wants_body(response) else None)
        if refusal is None or (renewed := await self._gate.refused_async(holding, over=refusal.over)) is None:
            return
        await response.aread()
        response = yield self._again(request, response, renewed, rewind)
        if response.status_code in self._judged:
            refusal = self._judge(response, renewed, await response.aread() if self._wants_body(response) else None)
            if refusal is not None:
                await self._gate.refused_async(renewed, was_sent_again=True, over=refusal.over)

    def _covers(self, url: Any) -> bool:
        return self._home.covers_parts(url.scheme, url.raw_host.decode("ascii"), url.port, url.path)

    def _attach(self, request: Any, holding: Holding, *, is_async: bool) -> None:
        request.headers[self._header] = self._session.header(holding)
        if self._leaks:
            guard = self._keep_at_home_async if is_async else self._keep_at_home
            request.extensions = {**request.extensions, "trace": guard(request.extensions.get("trace"))}

    def _again(self, request: Any, response: Any, holding: Holding, rewind: Rewind | None) -> Any:
        """What to send: the hop that was refused. Those before it were taken, and are not done twice."""
        refused = response.request
        if refused.stream is request.stream:  # a redirect may have dropped it
            if rewind is None:
                raise NotReplayable(response)
            rewind()
        refused.headers[self._header] = self._session.header(holding)
        return refused

    def _judge(self, response: Any, holding: Holding, body: bytes | None) -> Refusal | None:
        if not self._covers(response.url):
            return None  # a redirect has led to somebody else: what they say is not about our token
        if response.request.headers.get(self._header) != self._session.header(holding):
            return None  # redirects have led elsewhere and home again, and the library took the token off on the way
        return judge(self._dialect, response.status_code, body)

    def _wants_body(self, response: Any) -> bool:
        headers = response.headers
        return wants_body(
            self._dialect, response.status_code, headers.get("content-type"), headers.get("content-length")
        )

    def _rewind(self, stream: Any) -> Rewind | None:
        """How to send a body once more; None where it cannot be."""
        if isinstance(stream, self.in_memory):
            return as_it_is
        if (fields := getattr(stream, "fields", None)) is not None:  # multipart: the library itself seeks to the start
            files = [field.file for field in fields if hasattr(field, "file")]
            return as_it_is if all(isinstance(file, str | bytes) or is_seekable(file) for file in files) else None
        return rewind_of(getattr(stream, "_stream", None))

    def _keep_at_home(self, inner: Any) -> Callable[[str, dict[str, Any]], None]:
        """Take our header off any hop that a redirect leads elsewhere: the last thing before headers are sent."""

        def trace(event: str, info: dict[str, Any]) -> None:
            self._strip(event, info)
            if inner is not None:
                inner(event, info)

        return trace

    def _keep_at_home_async(self, inner: Any) -> Callable[[str, dict[str, Any]], Any]:
        async def trace(event: str, info: dict[str, Any]) -> None:
            self._strip(event, info)
            if inner is not None:
                await inner(event, info)

        return trace

    def _strip(self, event: str, info: dict[str, Any]) -> None:
        if not event.endswith("send_request_headers.started"):
            return
        request = info["request"]
        url = request.url
        target = bytes(url.target)
        if target.startswith((b"http://", b"https://")):  # through a forward proxy
            parts = urlsplit(target.decode("ascii"))
            hop = origin(parts.scheme, parts.hostname, parts.port)
        else:
            hop = origin(url.scheme.decode("ascii"), url.host.decode("ascii"), url.port)
        if not self._home.has(hop):
            name = self._header.lower().encode("ascii")
            request.headers = [(key, value) for key, value in request.headers if key.lower() != name]
