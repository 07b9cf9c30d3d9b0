"""The dialects that the settings name: read and judged at start, before anybody connects."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evertoken import dialects
from evertoken.edge.settings import Settings
from evertoken.edge.settings.parsing import split_dialect
from evertoken.errors import ConfigurationError
from evertoken.wire.cookies import ReadableCookie, RefreshCookie
from evertoken.wire.dialects.contradictions import calls_with_token_in_url
from evertoken.wire.dialects.dialect import AuthCall, Dialect
from evertoken.wire.dialects.document import DialectError, refuse_unservable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedDialect:
    """
    A dialect that this server speaks.

    Args:
        prefix: The path below which its calls are; empty for the root.
        source: What the settings say, for messages.
    """

    dialect: Dialect
    prefix: str
    source: str

    @property
    def calls(self) -> dict[str, AuthCall]:
        """Its calls by the member of the document that describes them."""
        named = {"refresh": self.dialect.refresh, "login": self.dialect.login, "logout": self.dialect.logout}
        return {name: call for name, call in named.items() if call is not None}

    def paths(self) -> Iterator[tuple[str, str]]:
        """The place in the document that names each path, and the path."""
        for name, call in self.calls.items():
            yield f"/{name}/url", self.prefix + call.url
        if self.csrf_path is not None:
            yield "/csrf/url", self.csrf_path

    @property
    def csrf_path(self) -> str | None:
        """Where a page asks for its CSRF token, if it can."""
        csrf = self.dialect.csrf
        return None if csrf is None or csrf.url is None else self.prefix + csrf.url

    def refresh_cookie(self, own: RefreshCookie) -> RefreshCookie | None:
        """Its refresh cookie, where it has one: named after it and its place, which no other dialect shares."""
        if not self.dialect.is_by_cookie:
            return None
        name = f"{own.own_name}-{self.dialect.name}{self.prefix.replace('/', '~')}"
        return RefreshCookie(own.trustworthy, own.same_site, name)

    def csrf_cookie(self, own: RefreshCookie) -> ReadableCookie | None:
        """The cookie in which its pages find their CSRF token, where it has one."""
        csrf = self.dialect.csrf
        if csrf is None or csrf.cookie is None:
            return None
        return ReadableCookie(csrf.cookie, own.trustworthy, own.same_site)


def load(settings: Settings, own_cookie: RefreshCookie) -> tuple[ServedDialect, ...]:
    """
    Read the dialects that the settings name.

    Args:
        own_cookie: The refresh cookie of /auth.

    Raises:
        ConfigurationError: one cannot be read, contradicts itself, is not safe, cannot be served, or is in another's
            way; the message names the place in its document.
    """
    served = tuple(_read(source, settings) for source in settings.dialects)
    _refuse_shared_cookies(served, own_cookie)
    return served


def warn(served: Sequence[ServedDialect], settings: Settings) -> None:
    """Say at start what is riskier in a dialect than in our own."""
    for one in served:
        for at, call in calls_with_token_in_url(one.dialect):
            _log.warning(
                "dialect %s: %s %s carries the refresh token in the URL, which browsers, proxies and other servers"
                " write down (this one does not); move its clients to a dialect without %s/token/kind query",
                one.source,
                call.method,
                one.prefix + call.url,
                at,
            )
        never_new = one.dialect.refresh_token_in_answer == "never"  # noqa: S105 - a manner, no secret
        if never_new and settings.max_age is None and settings.refresh_extends_idle:
            _log.warning(
                "dialect %s: its clients never get a new refresh token, so a stolen one stays good for as long as it is"
                " used, and nobody notices; end its sessions by --max-age",
                one.source,
            )


def _read(source: str, settings: Settings) -> ServedDialect:
    try:
        prefix, what = split_dialect(source)
    except ValueError as error:
        raise ConfigurationError("dialects", str(error)) from error
    try:
        dialect = dialects.load(what)
        refuse_unservable(dialect)
    except DialectError as error:
        raise ConfigurationError("dialects", f"{source}: {error}") from error
    in_url = calls_with_token_in_url(dialect)
    if in_url and not settings.allow_token_in_url:
        raise ConfigurationError(
            "allow_token_in_url",
            f"must be on for {source}: {in_url[0][0]}/token/kind of this dialect is query, so refresh tokens stand in"
            " URLs, and so in logs and histories. Give --allow-token-in-url, or serve another dialect",
        )
    return ServedDialect(dialect, prefix, source)


def _refuse_shared_cookies(served: Sequence[ServedDialect], own: RefreshCookie) -> None:
    """A browser has one cookie of a name: two who set it would sign each other's users out."""
    taken = {own.name: "/auth"}
    for one in served:
        for cookie in (one.refresh_cookie(own), one.csrf_cookie(own)):
            if cookie is None:
                continue
            if isinstance(cookie, ReadableCookie) and cookie.name.lower().startswith("__"):
                raise ConfigurationError(
                    "dialects", f"{one.source}: /csrf/cookie must not begin with __, which browsers read as demands"
                )
            if cookie.name in taken:
                raise ConfigurationError(
                    "dialects",
                    f"{one.source} and {taken[cookie.name]} would both set the cookie {cookie.name}: give one of them"
                    " another name, or another /csrf/cookie",
                )
            taken[cookie.name] = one.source
