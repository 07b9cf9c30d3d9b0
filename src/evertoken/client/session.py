"""The session of one user at one server: what an application holds, and every HTTP library's adapter goes through."""

import functools
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from evertoken.client import signing_in
from evertoken.client.calls import absolute
from evertoken.client.flight import Flight
from evertoken.client.gate import Gate
from evertoken.client.http import HttpTransport, Transport
from evertoken.client.origins import Home, origin_of
from evertoken.client.refresher.holding import Holding
from evertoken.client.refresher.outcomes import Ended
from evertoken.client.refresher.plan import SIGNED_OUT
from evertoken.client.refreshing import Surroundings
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.client.token_stores.protocol import TokenStore
from evertoken.clock import both_clocks
from evertoken.dialects import Spoken, load
from evertoken.errors import ConfigurationError, TemporarilyUnavailable
from evertoken.secret import Secret
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.known import EVERTOKEN

log = logging.getLogger("evertoken.client")

T = TypeVar("T")
Clock = Callable[[], tuple[float, float]]


class Session:
    """
    Keeps one user signed in at one server, for every thread, task, event loop and HTTP library of a program.

    Make one and share it. Processes share a session by sharing a store.

    Args:
        base_url: Where the API is; its origin is where the access token may go. Paths of the dialect are appended.
        store: Where the tokens are kept; by default in memory, until the process ends.
        dialect: How the server speaks; by default as evertoken does. A `Dialect`, a built-in one's name (`"nest"`), a
            document or its path: see `evertoken.dialects.load`. See `evertoken.client.oauth` for OAuth 2.
        origins: Other origins that the access token may be sent to, as URLs.
        timeout_seconds: How long a refresh, a sign-in or a sign-out may take in all.
        transport: How the session's own calls are sent; by default over the standard library, with the proxies of
            the environment.
        clock: Returns wall and monotonic time in seconds; for tests.

    Raises:
        ConfigurationError: A URL or the dialect cannot be used; a `DialectError` names the member.
    """

    def __init__(
        self,
        base_url: str,
        *,
        store: TokenStore | None = None,
        dialect: Spoken = EVERTOKEN,
        origins: Iterable[str] = (),
        timeout_seconds: float = 30.0,
        transport: Transport | None = None,
        clock: Clock = both_clocks,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.dialect = dialect = load(dialect)
        self._opt_out = dialect.opt_out
        self.store: TokenStore = MemoryStore() if store is None else store
        self._more_origins = tuple(origins)
        self.home = Home(self.base_url, self._more_origins, _own_calls(self.base_url, dialect))
        self._timeout_seconds = timeout_seconds
        self._transport = transport
        self._clock = clock
        self._last_header: tuple[Holding | None, str] = (None, "")
        self._listeners: list[Callable[[str], object]] = []
        around = Surroundings(
            server=self.base_url,
            dialect=dialect,
            store=self.store,
            transport=transport or HttpTransport(),
            clock=clock,
            pause=_pause,
            timeout_seconds=timeout_seconds,
        )
        self.gate = Gate(around, on_end=self._tell_listeners)

    def __repr__(self) -> str:
        return f"Session({self.base_url!r}, store={self.store!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a session over the same store; listeners and a clock of the tests stay here."""
        made_of: dict[str, Any] = {
            "store": self.store,
            "dialect": self.dialect,
            "origins": self._more_origins,
            "timeout_seconds": self._timeout_seconds,
            "transport": self._transport,
        }
        return functools.partial(type(self), self.base_url, **made_of), ()

    def login(self, username: str, password: str | Secret, **extra: Any) -> None:
        """
        Sign in. A session that was in the store is replaced, and ended at its server if that can be reached.

        Args:
            username, password: Of the user.
            extra: Other members of the sign-in body, such as `client_id`.

        Raises:
            SignInRefused: The server said no.
            SignInUnavailable: It could not be asked.
            TokenStoreRefused, TokenStoreUnavailable: The tokens could not be kept; nobody was signed in.
        """
        self._wait(self._start_login(username, password, extra))

    async def alogin(self, username: str, password: str | Secret, **extra: Any) -> None:
        """`login`, for a task. It goes on when the task is cancelled."""
        await self._wait_async(self._start_login(username, password, extra))

    def adopt(
        self,
        *,
        access_token: str,
        refresh_token: str | None = None,
        expires_in: float | None = None,
        session_id: str | None = None,
        account: str | None = None,
    ) -> None:
        """
        Take over tokens that somebody else has fetched. From now on they belong to this session alone.

        Args:
            access_token, refresh_token: The pair; without a refresh token the session ends with its access token.
            expires_in: Seconds that the access token still lives; None: until it is refused.
            session_id: The server's name for the session, if it gave one.
            account: Whose they are; used to tell a new sign-in of the same user from one of another.

        Raises:
            ValueError: A token is none, or `expires_in` is not above 0.
            TokenStoreRefused, TokenStoreUnavailable: They could not be kept.
        """
        taken = signing_in.adopted(
            self.gate.around,
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=expires_in,
            session_id=session_id,
            account=account,
        )
        self.gate.keep(taken)

    def logout(self) -> None:
        """
        End the session, at the server and here. Does nothing if nobody is signed in.

        Raises:
            SignOutUnavailable: The server has not confirmed it; the tokens are kept, so try again.
            TokenStoreRefused, TokenStoreUnavailable: The token store could not be read or emptied.
        """
        self._wait(self._start(self._logout, "evertoken-logout"))

    async def alogout(self) -> None:
        """`logout`, for a task. It goes on when the task is cancelled."""
        await self._wait_async(self._start(self._logout, "evertoken-logout"))

    def token(self) -> str:
        """
        A valid access token, renewed first if need be; for what has no adapter. Send it to this server only.

        Raises:
            SignedOut, RefreshUnavailable, TokenStoreRefused: As for any request.
        """
        return self.gate.enter().access_token

    async def atoken(self) -> str:
        """`token`, for a task."""
        return (await self.gate.enter_async()).access_token

    def refresh(self) -> None:
        """
        Renew the access token now, whether or not it has expired: for instance to see new roles.

        One that another process has renewed since counts as new.

        Raises:
            SignedOut, RefreshUnavailable, TokenStoreRefused: As for any request.
        """
        self.gate.renew()

    async def arefresh(self) -> None:
        """`refresh`, for a task."""
        await self.gate.renew_async()

    def is_signed_in(self) -> bool:
        """
        Whether there are tokens of a session that nobody has said is over. Reads the store, and asks no server.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: The token store cannot be read.
        """
        _, stored = self.gate.around.read()
        return stored is not None and stored.ended is None

    def on_signed_out(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """
        Have `listener` called with the reason when a session ends: once for each, from a thread of the session's own.

        Returns:
            Call it to take the listener off again.
        """
        self._listeners.append(listener)

        def detach() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return detach

    def is_opted_out(self, headers: Any) -> bool:
        """
        Whether a request says in the dialect's words that it is none of the session's.

        Args:
            headers: Of the request, with a `get` that takes a name in lower case.
        """
        return self._opt_out is not None and self._opt_out.is_said(headers.get(self._opt_out.header.lower()))

    def header(self, holding: Holding) -> str:
        """What the dialect's header holds for this token. A secret."""
        last, value = self._last_header
        if last is not holding:
            value = self.dialect.access_token.value(holding.access_token)
            self._last_header = (holding, value)
        return value

    def _start_login(self, username: str, password: str | Secret, extra: dict[str, Any]) -> Flight[None]:
        secret = password if isinstance(password, Secret) else Secret(password)

        def login() -> None:
            signing_in.login(self.gate.around, username, secret, extra, keep=self.gate.keep)

        return self._start(login, "evertoken-login")

    def _logout(self) -> None:
        standing = signing_in.logout(self.gate.around)
        if standing is None or standing.access_token != self.gate.own.access_token:
            self.gate.took_over(Ended(SIGNED_OUT))

    def _start(self, work: Callable[[], None], name: str) -> Flight[None]:
        flight: Flight[None] = Flight()
        flight.start(work, name=name)
        return flight

    def _wait(self, flight: Flight[T]) -> T:
        try:
            return flight.wait(self._patience)
        except TimeoutError:
            raise _took_too_long() from None

    async def _wait_async(self, flight: Flight[T]) -> T:
        try:
            return await flight.wait_async(self._patience)
        except TimeoutError:
            raise _took_too_long() from None

    @property
    def _patience(self) -> float:
        return 2 * self._timeout_seconds + 5

    def _tell_listeners(self, reason: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(reason)
            except Exception:
                log.exception("a listener of on_signed_out raised")


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _took_too_long() -> TemporarilyUnavailable:
    return TemporarilyUnavailable("the authorization server or the token store takes too long, and is still at it")


def _own_calls(base_url: str, dialect: Dialect) -> frozenset[str]:
    """The URLs of sign-in and refresh."""
    if dialect.refresh is None:
        raise ConfigurationError("dialect", "it has no refresh call, so there is nothing to renew with")
    calls = [call for call in (dialect.login, dialect.refresh) if call is not None]
    urls = frozenset(absolute(base_url, call.url) for call in calls)
    if dialect.is_by_cookie:
        every = [*urls, *([absolute(base_url, dialect.logout.url)] if dialect.logout is not None else [])]
        if len({origin_of(url) for url in every}) > 1:
            raise ConfigurationError("dialect", "its calls go to several origins, and a cookie belongs to one")
    for origin in sorted({"://".join(urlsplit(url)[:2]) for url in urls}):
        if origin.startswith("http:") and not _is_local(origin):
            log.warning("%s is not https: passwords and tokens travel readable to everybody on the way", origin)
    return urls


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
