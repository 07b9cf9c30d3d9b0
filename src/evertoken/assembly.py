"""Putting the server together from its settings: besides the command line, the only place that knows every type."""

import contextlib
import functools
import importlib
import multiprocessing
import os
import secrets as random_source
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import Route

from evertoken.accounts.directory import StoredUsers
from evertoken.accounts.passwords import HashingParameters, PasswordHashing
from evertoken.accounts.sign_in import SignIn
from evertoken.accounts.users import UserDirectory
from evertoken.clock import Clock, system_clock
from evertoken.edge import logs
from evertoken.edge.accounts_elsewhere import DirectoryElsewhere, RememberedAccounts
from evertoken.edge.adoption import Adoptions, read_rules
from evertoken.edge.app import Lifespan, build_app
from evertoken.edge.background import Background
from evertoken.edge.dialects import served as dialects
from evertoken.edge.dialects.served import ServedDialect
from evertoken.edge.draining import Draining
from evertoken.edge.envelope import Envelope
from evertoken.edge.feed import RevocationFeed
from evertoken.edge.metrics import Metrics
from evertoken.edge.origin_check import OriginCheck
from evertoken.edge.recalling import Recalling, noting
from evertoken.edge.requests import CallerReader
from evertoken.edge.services import Services
from evertoken.edge.settings import Settings, milliseconds
from evertoken.edge.settings.sources import load
from evertoken.edge.settings.throttling import limits_of
from evertoken.edge.standstill import Standstill
from evertoken.edge.store_clock import StoreClock
from evertoken.edge.telling import refuse_ended, tell_ended
from evertoken.errors import ConfigurationError
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.revoked import RevokedSessions
from evertoken.secret import Secret
from evertoken.sessions.events import EventHub
from evertoken.sessions.issuer import AccessTokenIssuer, username_claim
from evertoken.sessions.keys import KeyKeeper
from evertoken.sessions.recall import RevocationMemory
from evertoken.sessions.rotation import RotationPolicy
from evertoken.sessions.service import SessionService
from evertoken.store_address import is_server, shown
from evertoken.stores import opening
from evertoken.stores.store import Store
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.server_secrets import SecretRing
from evertoken.web.serving import WebRoutes
from evertoken.wire.cookies import RefreshCookie
from evertoken.wire.origins import is_trustworthy, origin_of

RoutesOf = Callable[[Services], Sequence[Route]]
"""Makes routes that stand on the server's services."""


@dataclass(frozen=True, slots=True)
class Server:
    """
    A whole server, not yet started.

    Args:
        app: The ASGI application; its lifespan starts and stops the background work.
        lifespan: The same lifespan, for a host application that mounts `app`, for mounted applications have none.
        guard: Checks access tokens in this process and knows of ended sessions at once.
    """

    app: Envelope
    lifespan: Lifespan
    services: Services
    store: Store
    guard: AccessCheck
    hashing: PasswordHashing
    background: Background

    async def start(self) -> None:
        """
        Look into the store, and load the keys or make the first; the lifespan does it too.

        Raises:
            ConfigurationError: the store cannot be used, or the keys are encrypted under a secret that we do not have.
        """
        await _start(self.store, self.services)

    async def stop(self) -> None:
        """Finish what is queued and let go of the store; the lifespan does it too."""
        self.hashing.close()
        await self.store.stop()

    def close(self) -> None:
        """The same from outside an event loop, for a server that was not started on one."""
        self.hashing.close()
        self.store.close()


def open_store(settings: Settings, *, clock: Clock = system_clock, may_create: bool = True) -> Store:
    """
    The store that the settings name, to be started.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return opening.open_store(
        settings.store,
        opening.Manner(
            policy=RotationPolicy(
                overlap_ms=milliseconds(settings.overlap),
                idle_ms=milliseconds(settings.idle_lifetime),
                extends_idle=settings.refresh_extends_idle,
            ),
            access_lifetime_ms=milliseconds(settings.access_lifetime),
            sessions_per_user=settings.sessions_per_user,
            users_elsewhere=bool(settings.user_directory),
            may_create=may_create,
        ),
        users_store=settings.users_store,
        table_prefix=settings.table_prefix,
        clock=clock,
    )


def open_secrets(settings: Settings) -> SecretRing:
    """
    The server's secrets; for development one is made beside the database, readable by its owner only.

    Raises:
        ConfigurationError: a secret is too short, the file cannot be read, or there is no place for one: every machine
            that shares a database must have the same.
    """
    if is_server(settings.store) and not settings.secret:
        raise ConfigurationError(
            "secret",
            f"must be set for {shown(settings.store)}, the same on every machine; make one with: openssl rand -base64"
            " 32",
        )
    return SecretRing(settings.secret or (_development_secret(secret_file(settings)),))


def secret_file(settings: Settings) -> Path:
    """Where the development secret is kept."""
    return Path(settings.store + ".secret")


def open_keys(settings: Settings, store: Store, secrets: SecretRing) -> KeyKeeper:
    """The signing keys, not yet loaded."""
    return KeyKeeper(
        store,
        secrets,
        settings.algorithm,
        announce_ms=milliseconds(settings.key_announce),
        access_lifetime_ms=milliseconds(settings.access_lifetime),
    )


def open_hashing(settings: Settings, parameters: HashingParameters | None = None) -> PasswordHashing:
    """The pool that hashes passwords."""
    chosen = parameters or HashingParameters(
        settings.hash_time_cost, settings.hash_memory_kib, settings.hash_parallelism
    )
    return PasswordHashing(chosen, workers=settings.hash_workers)


def build(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    hashing_parameters: HashingParameters | None = None,
    may_create: bool = True,
    demo_routes: RoutesOf | None = None,
    owns_process: bool = False,
) -> Server:
    """
    Put a server together.

    Args:
        clock: The time, for the server and its store.
        hashing_parameters: Instead of those of the settings: tests sign in quickly.
        may_create: Make the database if there is none.
        demo_routes: What only `evertoken demo` has; with them comes the demo page.
        owns_process: This process is nothing but the server, so SIGTERM is for it: see the setting `drain`.

    Raises:
        ConfigurationError: a setting cannot be used; the message says which and what to do.
    """
    cookie = RefreshCookie(is_trustworthy(settings.issuer_url), settings.cookie_samesite)
    served = dialects.load(settings, cookie)
    secrets = open_secrets(settings)
    store = open_store(settings, clock=clock, may_create=may_create)
    clock = StoreClock(clock) if is_server(settings.store) and clock is system_clock else clock
    keys = open_keys(settings, store, secrets)
    hashing = open_hashing(settings, hashing_parameters)
    revoked = RevokedSessions(access_lifetime_ms=milliseconds(settings.access_lifetime))
    guard = AccessCheck(keys, AccessTokenRules(settings.issuer_url, settings.audience_name), revoked)
    feed = RevocationFeed(kept_ms=revoked.kept_for_ms, clock=clock)
    hub, metrics = EventHub(), Metrics()
    _subscribe(hub, metrics, revoked, settings)
    directory: UserDirectory = (
        DirectoryElsewhere(_load("user_directory", settings.user_directory))
        if settings.user_directory
        else StoredUsers(store, hashing)
    )
    standstill = Standstill(settings.overlap.total_seconds())
    sessions = _session_service(settings, store, keys, secrets, hub, metrics, directory, clock, standstill)
    services = Services(
        settings=settings,
        clock=clock,
        store=store,
        sessions=sessions,
        sign_in=SignIn(directory, store, secrets, limits_of(settings)),
        directory=directory,
        keys=keys,
        secrets=secrets,
        guard=guard,
        feed=feed,
        hub=hub,
        metrics=metrics,
        callers=CallerReader(settings.trusted_proxies),
        origins=OriginCheck(origin_of(settings.issuer_url) or "", settings.allowed_origins),
        cookie=cookie,
        draining=Draining(settings.drain.total_seconds()),
        adoptions=_adoptions(settings, directory, sessions, clock),
    )
    memory = RevocationMemory(kept_ms=milliseconds(settings.idle_lifetime))
    background = Background(
        store,
        keys,
        memory,
        Recalling(store, hub, clock=clock),
        standstill,
        clock=clock,
        on_revoked=tell_ended(revoked, feed),
        on_keys_changed=guard.forget,
        on_followed=feed.followed,
        compare_clocks=functools.partial(clock.compare, store) if isinstance(clock, StoreClock) else None,
    )
    hub.subscribe(noting(memory, background.nudge))
    lifespan = _lifespan(services, background, hashing, store, served, owns_process=owns_process)
    more_routes = WebRoutes(settings, has_demo=demo_routes is not None).routes()
    if demo_routes is not None:
        more_routes += demo_routes(services)
    app = build_app(services, more_routes=more_routes, dialects=served, lifespan=lifespan)
    return Server(app, lifespan, services, store, guard, hashing, background)


def _lifespan(
    services: Services,
    background: Background,
    hashing: PasswordHashing,
    store: Store,
    served: Sequence[ServedDialect],
    *,
    owns_process: bool,
) -> Lifespan:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        dialects.warn(served, services.settings)
        try:
            await _start(store, services)
            with services.draining.on_sigterm() if owns_process else contextlib.nullcontext():
                async with background.running():
                    yield
        finally:
            hashing.close()
            await store.stop()

    return lifespan


async def _start(store: Store, services: Services) -> None:
    await store.start()
    if isinstance(services.clock, StoreClock):
        await services.clock.compare(store)
    await services.keys.start(now_ms=services.clock())


def _session_service(  # noqa: PLR0917 - a step of `build`, with its parts
    settings: Settings,
    store: Store,
    keys: KeyKeeper,
    secrets: SecretRing,
    hub: EventHub,
    metrics: Metrics,
    directory: UserDirectory,
    clock: Clock,
    standstill: Standstill,
) -> SessionService:
    issuer = AccessTokenIssuer(
        keys,
        issuer=settings.issuer_url,
        audience=settings.audience_name,
        lifetime_ms=milliseconds(settings.access_lifetime),
        claims_hook=_load("claims_hook", settings.claims_hook) if settings.claims_hook else username_claim,
    )
    return SessionService(
        store,
        issuer,
        secrets,
        hub,
        clock=clock,
        idle_ms=milliseconds(settings.idle_lifetime),
        max_age_ms=None if settings.max_age is None else milliseconds(settings.max_age),
        accounts=RememberedAccounts(store, directory, clock=clock) if settings.user_directory else None,
        before_refresh=standstill.demand_none,
        on_outcome=metrics.refreshed,
    )


def _adoptions(
    settings: Settings, directory: UserDirectory, sessions: SessionService, clock: Clock
) -> Adoptions | None:
    """What swaps another library's refresh tokens for sessions, where the settings say so."""
    hook = _load("adopt_hook", settings.adopt_hook) if settings.adopt_hook else None
    rules = read_rules(settings, hook=hook, now_ms=clock())
    return None if rules is None else Adoptions(rules, directory, sessions, clock=clock)


def _subscribe(hub: EventHub, metrics: Metrics, revoked: RevokedSessions, settings: Settings) -> None:
    """Who is told of what has been committed: the guard first."""
    hub.subscribe(refuse_ended(revoked))
    hub.subscribe(metrics.happened)
    hub.subscribe(logs.log_event)
    if settings.event_hook:
        hub.subscribe(_load("event_hook", settings.event_hook))


def worker_app() -> Any:
    """The application of a worker process, whose settings stand in its environment (`serve` puts them there)."""
    settings = load({}, os.environ)
    logs.configure(level=settings.log_level, as_json=settings.log_format == "json")
    _stop_with_parent()
    # `serve` has made the database. A worker that is started again must not replace a lost one by an empty one.
    return build(settings, may_create=False, owns_process=True).app


def _stop_with_parent() -> None:
    """End this worker when its parent was killed: else it would serve on, and hold the port against the next server."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _development_secret(path: Path) -> Secret:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(random_source.token_urlsafe(48) + "\n")
        if path.stat().st_mode & 0o077:
            raise ConfigurationError("secret", f"{path} may be read by others; chmod 600 it")
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("secret", f"cannot read or make {path}: {error}") from error
    return Secret(text)


def _load(setting: str, dotted: str) -> Any:
    module, _, attribute = dotted.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(setting, f"cannot import {dotted}: {error}") from error
    return found
