"""The issuer's keys, fetched beside the requests, and the one fetch that a request may wait for."""

import asyncio
import concurrent.futures
import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Final

from evertoken.errors import ConfigurationError
from evertoken.guards.remote.answers import Gets, Got, Unreachable
from evertoken.guards.remote.documents import BadDocument, jwks_url_in, keys_in, metadata_urls
from evertoken.guards.remote.plan import KeyTimes
from evertoken.guards.remote.status import GuardEvent, GuardEventKind
from evertoken.tokens.verification_keys import VerificationKey

FETCH_WITHIN_SECONDS: Final = 10.0

Flight = concurrent.futures.Future[None]
"""A fetch under way; it ends without a result, whether or not it brought keys."""

_log = logging.getLogger("evertoken.guards")
_OK: Final = 200


class RemoteKeys:
    """
    The keys of an issuer. A KeySource: asking it never waits.

    Args:
        issuer: As metadata must say it.
        jwks_url: Where the keys are; None to learn it from the metadata.
        monotonic: Returns seconds, never set back.
        on_changed: Called when a key has come, gone or changed.
        tell: Told what happens.
    """

    def __init__(
        self,
        issuer: str,
        jwks_url: str | None,
        *,
        allow_http: bool,
        monotonic: Callable[[], float],
        on_changed: Callable[[], None],
        tell: Callable[[GuardEvent], None],
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._found_url: str | None = None
        self._allow_http = allow_http
        self._monotonic = monotonic
        self._on_changed = on_changed
        self._tell = tell
        self._keys: Mapping[str, VerificationKey] = {}
        self._raw = b""
        self._times = KeyTimes()
        self.fetches = 0
        self.failures = 0
        self.problem: Exception | None = None
        """Why there are no keys, or none newer; None when all is well."""
        self.stepped: Callable[[], None] = lambda: None
        """Called after every fetch."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """In the process that a fork has made: the thread that would have ended the fetch is not there."""
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._wake: Callable[[], None] = lambda: None

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys that verify now."""
        return tuple(self._keys)

    def find(self, kid: str, *, now_ms: int) -> VerificationKey | None:
        """The key of this kid. `kid` comes from strangers: it is looked up and nothing else."""
        del now_ms
        return self._keys.get(kid)

    def flight_for_unknown(self) -> Flight | None:
        """
        The fetch that may bring a key that is missing: the one under way, or a new one after the cool-down.

        None: it was tried a moment ago, so waiting would bring nothing.
        """
        with self._lock:
            if self._flight is None and not self._times.may_fetch_for_unknown(now=self._monotonic()):
                return None
            flight = self._begin()
        self._wake()
        return flight

    def _begin(self) -> Flight:
        """A fetch is under way from now on. With the lock held."""
        if self._flight is None:
            self._flight = concurrent.futures.Future()
            self._flight.set_running_or_notify_cancel()  # nobody who waits can cancel it for the others
            self._times = self._times.began(now=self._monotonic())
        return self._flight

    # ---- in the guard's own thread ----

    async def follow(self, fetcher: Gets) -> None:
        """Fetch when it is time to, and when a token asks for it, until cancelled."""
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: _wake(loop, asked)
        try:
            while True:
                await self._fetch(fetcher)
                await self._until_due(asked)
        finally:
            self._wake = lambda: None
            self._end_flight()

    async def _until_due(self, asked: asyncio.Event) -> None:
        while self._flight is None and (left := self._times.due_at - self._monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await asked.wait()
            except TimeoutError:
                continue
            asked.clear()

    async def _fetch(self, fetcher: Gets) -> None:
        with self._lock:
            self._begin()
        self.fetches += 1
        try:
            got = await self._get(fetcher)
            keys = keys_in(got.body)
        except (Unreachable, BadDocument, ConfigurationError) as error:
            self._failed(error)
        else:
            self._succeeded(keys, got)
        finally:
            self._end_flight()
            self.stepped()

    async def _get(self, fetcher: Gets) -> Got:
        url = self._jwks_url or self._found_url
        if url is None:
            url = self._found_url = await self._discover(fetcher)
        got = await fetcher.get(url, within_seconds=FETCH_WITHIN_SECONDS)
        if got.status != _OK:
            raise BadDocument(f"{url} answered {got.status}")
        return got

    async def _discover(self, fetcher: Gets) -> str:
        told = []
        for url in metadata_urls(self._issuer):
            got = await fetcher.get(url, within_seconds=FETCH_WITHIN_SECONDS)
            if got.status == _OK:
                return jwks_url_in(got.body, issuer=self._issuer, allow_http=self._allow_http)
            told.append(f"{url} answered {got.status}")
        raise BadDocument("; ".join(told))

    def _succeeded(self, keys: Mapping[str, VerificationKey], got: Got) -> None:
        was_failing, self.problem = self.problem is not None, None
        self._times = self._times.succeeded(got.headers, now=self._monotonic())
        if got.body != self._raw:
            had = bool(self._keys)
            self._keys, self._raw = keys, got.body
            self._on_changed()
            if had:
                _log.info("the issuer's keys have changed: %s", ", ".join(keys))
                self._tell(GuardEvent(GuardEventKind.KEYS_CHANGED, ", ".join(keys)))
        if was_failing:
            _log.info("the issuer's keys can be fetched again")
            self._tell(GuardEvent(GuardEventKind.KEYS_REACHED))

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._found_url = None  # it may have moved
        was_failing, self.problem = self.problem is not None, error
        chance = random.random()  # noqa: S311 - spreads load
        self._times = self._times.failed(now=self._monotonic(), chance=chance)
        if not was_failing:  # once per outage
            _log.warning("the issuer's keys cannot be fetched, the old ones stay: %s", error)
            self._tell(GuardEvent(GuardEventKind.KEYS_UNREACHABLE, str(error)))

    def _end_flight(self) -> None:
        with self._lock:
            flight, self._flight = self._flight, None
        if flight is not None:
            flight.set_result(None)


def _wake(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(asked.set)
    except RuntimeError:  # the loop has just been closed; whoever waits for the fetch has a bound
        _log.debug("the guard is closed")
