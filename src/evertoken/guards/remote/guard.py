"""The guard for another service than the server's own."""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self

from evertoken.clock import Clock, monotonic_seconds, system_clock
from evertoken.dialects import Spoken
from evertoken.errors import ConfigurationError, FeedLost, GuardNotReady, UnknownKey
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.remote import running
from evertoken.guards.remote.documents import check_url
from evertoken.guards.remote.feed import FeedFollower
from evertoken.guards.remote.keys import Flight, RemoteKeys
from evertoken.guards.remote.plan import wait_seconds_for
from evertoken.guards.remote.status import EventHook, GuardEvent, GuardStatus
from evertoken.guards.revoked import RevokedSessions
from evertoken.secret import Secret
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire.dialects.known import EVERTOKEN
from evertoken.wire.revocations import DEFAULT_WAIT_SECONDS, PATH

LEAST_CLOSE_AFTER: Final = timedelta(seconds=5)
PATIENCE_SECONDS: Final = 2.0
"""How long a token with an unknown key id, or the first tokens of all, may wait for the one fetch of the keys."""

_NOT_READY: Final = "the issuer's keys have not been fetched yet"

_log = logging.getLogger("evertoken.guards")


class Guard:
    """
    Checks access tokens in a service that knows the issuer's address and, to follow revocations, a client credential.

    It fetches the issuer's keys and follows its revocation feed in a daemon thread of its own, which starts with
    `start`, with the first token, and anew in a forked process. No request waits for either, but for a token with an
    unknown key id, for at most 2 s and at most once in 30 s.

    Args:
        issuer: `iss` of the tokens, exactly; where its metadata is found.
        audience: What `aud` must be or hold: this service's name in the tokens.
        client_id, client_secret: A client of the issuer (`evertoken clients add`). Without them the guard verifies but
            does not hear of ended sessions: their tokens are good until they expire.
        when_feed_is_lost: `"go_on"`, or a time (`close_after`, at least 5 s) after which nobody passes: 503.
        jwks_url: Where the keys are, if there is no metadata at the issuer.
        revocations_url: Where the feed is, if not at the issuer's /auth/revocations.
        leeway_seconds: How far `exp` and `nbf` may be off, 0 to 60.
        remember: How many verified tokens to remember, about 2 KB each.
        dialect: How requests bring the token and how they are refused: a `Dialect`, a built-in one's name, a document
            or its path.
        allow_http: Take an http URL of another machine. Whoever is on the way can then forge tokens.
        verify: CA bundle or SSL context for https, as httpx2 takes it.
        on_event: Told what happens (`GuardEvent`), in the guard's thread.
        clock: Returns the time in milliseconds, where `check` is not told it.

    Raises:
        ConfigurationError: A setting cannot be used; `.setting` names it.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        client_id: str | None = None,
        client_secret: str | Secret | None = None,
        when_feed_is_lost: Literal["go_on"] | timedelta = "go_on",
        jwks_url: str | None = None,
        revocations_url: str | None = None,
        leeway_seconds: int = 0,
        remember: int = 10_000,
        dialect: Spoken = EVERTOKEN,
        allow_http: bool = False,
        verify: Any = True,
        on_event: EventHook | None = None,
        clock: Clock = system_clock,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        _demand_text("issuer", issuer)
        _demand_text("audience", audience)
        check_url("issuer", issuer, allow_http=allow_http)
        if jwks_url is not None:
            check_url("jwks_url", jwks_url, allow_http=allow_http)
        self._issuer = issuer
        self._clock = clock
        self._monotonic = monotonic
        self._verify = verify
        self._on_event = on_event
        self._close_after = _close_after(when_feed_is_lost)
        self._revoked = RevokedSessions(access_lifetime_ms=0)
        self._keys = RemoteKeys(
            issuer, jwks_url, allow_http=allow_http, monotonic=monotonic, on_changed=self._forget, tell=self._tell
        )
        rules = AccessTokenRules(issuer, audience, leeway_seconds)
        self._check = AccessCheck(self._keys, rules, self._revoked, remember=remember, dialect=dialect)
        self.speech = self._check.speech
        feed_url = revocations_url or issuer.rstrip("/") + PATH
        credential = _credential(client_id, client_secret)
        self._feed = None if credential is None else self._follower(feed_url, credential, allow_http=allow_http)
        if self._feed is None and self._close_after is not None:
            raise ConfigurationError("when_feed_is_lost", "needs a feed: give client_id and client_secret")
        # Straight to the memory of tokens where nothing can close the guard: this is asked at every request.
        self.recall = self._check.recall if self._close_after is None else self._recall_while_open
        self._thread = running.OwnThread("evertoken-guard", self._work, on_fork=self._forked)
        self._is_started = self._is_closed = False
        self._forked()

    def __repr__(self) -> str:
        return f"Guard(issuer={self._issuer!r}, follows_revocations={self._feed is not None})"

    # ---- its life ----

    def start(self, *, wait_seconds: float = 10.0) -> Self:
        """
        Start, and wait until it can judge tokens and knows what has been revoked.

        Args:
            wait_seconds: What it takes at most; 0 does not wait and finds nothing out.

        Raises:
            ConfigurationError: The issuer cannot be reached, is another, or refuses the credential. The guard is
                closed then.
        """
        self._begin()
        if wait_seconds > 0:
            try:
                self._wait_until_ready(self._monotonic() + wait_seconds)
            except ConfigurationError:
                self.close()
                raise
        return self

    def close(self) -> None:
        """End its thread and its connections. A closed guard goes on with what it knows; it can be started again."""
        with self._lock:
            self._is_started, self._is_closed = False, True
        self._thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- what a request asks ----

    def check(self, encoded: str, *, now_ms: int | None = None) -> AccessTokenClaims:
        """
        The claims of a good access token. For threads: it may block for 2 s, see `check_async`.

        Args:
            encoded: The token from the Authorization header.
            now_ms: The time; without it, by the guard's own clock.

        Raises:
            TokenError: It is refused (401); the class says why, for the log only.
            FeedLost: The feed has been out of reach for too long (503).
            GuardNotReady: The issuer's keys could not be fetched yet (503).

        Source: RFC 9068 §4.
        """
        try:
            return self._judged(encoded, now_ms)
        except (UnknownKey, GuardNotReady):
            flight = self._flight()
            if flight is None:
                raise
            concurrent.futures.wait([flight], timeout=PATIENCE_SECONDS)
        return self._judged(encoded, now_ms)

    async def check_async(self, encoded: str, *, now_ms: int | None = None) -> AccessTokenClaims:
        """As `check`, without blocking the event loop (asyncio)."""
        try:
            return self._judged(encoded, now_ms)
        except (UnknownKey, GuardNotReady):
            flight = self._flight()
            if flight is None:
                raise
            await _flown(flight)
        return self._judged(encoded, now_ms)

    recall: Callable[..., AccessTokenClaims | None]
    """`recall(authorization, *, now_ms)`: see `AccessCheck.recall`."""

    def status(self) -> GuardStatus:
        """How it stands; safe to ask from any thread."""
        feed, now = self._feed, self._monotonic()
        current_at = None if feed is None else feed.times.current_at
        return GuardStatus(
            key_ids=self._keys.key_ids,
            key_fetches=self._keys.fetches,
            key_fetch_failures=self._keys.failures,
            feed="off" if feed is None else "lost" if feed.problem or current_at is None else "followed",
            feed_silent_seconds=None if current_at is None else max(now - current_at, 0.0),
            feed_polls=0 if feed is None else feed.polls,
            feed_failures=0 if feed is None else feed.failures,
            feed_outages=0 if feed is None else feed.outages,
            refuses=self._is_shut(),
            revoked=len(self._revoked),
        )

    # ---- how ----

    def _judged(self, encoded: str, now_ms: int | None) -> AccessTokenClaims:
        if not self._is_started:
            self._begin_by_itself()
        if self._close_after is not None and self._is_shut():
            raise FeedLost("the revocation feed has been out of reach for too long", retry_after_seconds=5)
        if not self._keys.key_ids:
            raise GuardNotReady(_NOT_READY)
        return self._check.check(encoded, now_ms=self._clock() if now_ms is None else now_ms)

    def _flight(self) -> Flight | None:
        return None if self._is_closed else self._keys.flight_for_unknown()

    def _recall_while_open(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return None if self._is_shut() else self._check.recall(authorization, now_ms=now_ms)

    def _is_shut(self) -> bool:
        if self._close_after is None or self._feed is None:
            return False
        return self._monotonic() >= self._feed.times.closes_at(self._close_after)

    def _begin_by_itself(self) -> None:
        """With the first token, where nobody has called `start`; not once it has been closed."""
        if not self._is_closed:
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._is_started:
                return
            _demand_library()
            self._is_started, self._is_closed = True, False
            if self._feed is not None:
                self._feed.begin_anew()
            else:
                _log.warning(
                    "the guard for %s has no client credential: it verifies tokens but does not hear of ended"
                    " sessions, whose access tokens stay good until they expire",
                    self._issuer,
                )
            self._thread.start()

    def _wait_until_ready(self, give_up_at: float) -> None:
        while True:
            self._stepped.clear()
            if self._keys.key_ids and (self._feed is None or self._feed.times.current_at is not None):
                return
            if isinstance(self._keys.problem, ConfigurationError):
                raise self._keys.problem
            failure = None if self._feed is None else self._feed.problem
            # Once there are keys: with a wrong issuer the feed's address, which is made of it, is wrong, too.
            if self._keys.key_ids and failure is not None and failure.setting is not None:
                raise ConfigurationError(failure.setting, failure.detail)
            left = give_up_at - self._monotonic()
            if left <= 0:
                raise self._why_not_ready()
            self._stepped.wait(left)

    def _why_not_ready(self) -> ConfigurationError:
        if not self._keys.key_ids:
            return ConfigurationError("issuer", f"the keys cannot be fetched: {self._keys.problem or 'no answer yet'}")
        failure = None if self._feed is None else self._feed.problem
        detail = "no answer yet" if failure is None else failure.detail
        return ConfigurationError("revocations_url", f"the revocation feed cannot be read: {detail}")

    async def _work(self) -> None:
        from evertoken.guards.remote.fetching import Fetcher  # noqa: PLC0415 - see there

        fetcher = Fetcher(verify=self._verify)
        try:
            works = [self._keys.follow(fetcher)]
            if self._feed is not None:
                works.append(self._feed.follow(fetcher))
            await running.together(*works)
        finally:
            await fetcher.close()

    def _follower(self, url: str, credential: tuple[str, Secret], *, allow_http: bool) -> FeedFollower:
        check_url("revocations_url", url, allow_http=allow_http)
        seconds = None if self._close_after is None else self._close_after
        return FeedFollower(
            url,
            credential,
            wait_seconds=wait_seconds_for(seconds, longest=DEFAULT_WAIT_SECONDS),
            revoked=self._revoked,
            monotonic=self._monotonic,
            what_then=(
                "going on with what is known"
                if seconds is None
                else f"nobody passes once it has been silent for {seconds:g} s"
            ),
            tell=self._tell,
        )

    def _forget(self) -> None:
        self._check.forget()

    def _forked(self) -> None:
        """What a fork leaves unusable: locks that another thread may have held, waits that nobody ends."""
        self._lock = threading.Lock()
        self._stepped = threading.Event()
        self._keys.begin_anew()
        self._keys.stepped = self._stepped.set
        if self._feed is not None:
            self._feed.stepped = self._stepped.set

    def _tell(self, event: GuardEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - a hook is not ours
            _log.exception("on_event failed")


async def _flown(flight: Flight) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wrap_future(flight)
    except TimeoutError:
        _log.debug("the fetch of keys takes longer than a request may wait")


def _demand_text(setting: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(setting, f"must be a text that is not empty, not {type(value).__name__}")


def _demand_library() -> None:
    try:
        import httpx2  # noqa: F401, PLC0415 - said here, in the caller's thread
    except ImportError as error:
        raise ConfigurationError("guard", "needs an HTTP client: pip install 'evertoken[guard]'") from error


def _credential(client_id: str | None, client_secret: str | Secret | None) -> tuple[str, Secret] | None:
    if client_id is None and client_secret is None:
        return None
    if client_id:
        _demand_text("client_id", client_id)
    secret = client_secret if isinstance(client_secret, Secret) else Secret(client_secret or "")
    if not client_id or not secret:
        raise ConfigurationError(
            "client_id, client_secret", "one needs the other; both come from evertoken clients add"
        )
    return client_id, secret


def _close_after(given: object) -> float | None:
    """Seconds after which a guard that hears nothing closes; None to go on."""
    if given == "go_on":
        return None
    if not isinstance(given, timedelta) or given < LEAST_CLOSE_AFTER:
        raise ConfigurationError("when_feed_is_lost", '"go_on", or a timedelta of at least 5 s to close after')
    return given.total_seconds()
