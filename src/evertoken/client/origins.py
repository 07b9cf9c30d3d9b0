"""Where an access token may go: its own origins, on every hop, and nowhere else. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlsplit

from evertoken.errors import ConfigurationError

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def origin_of(url: str) -> Origin | None:
    """Scheme, host in lower case and port of a URL (RFC 6454 §4); None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if "\\" in parts.netloc:
        return None  # browsers end the host there, others go on to what stands behind the @
    return origin(parts.scheme, parts.hostname, port)


def origin(scheme: str, host: str | None, port: int | None) -> Origin | None:
    """The same from its parts; the port may be left out where it is the scheme's own."""
    known = DEFAULT_PORTS.get(scheme)
    if known is None or not host:
        return None
    if ":" in host:
        try:
            host = ipaddress.IPv6Address(host).compressed
        except ValueError:
            return None
    elif not host.isascii():
        try:
            spelled = host.encode("idna")
            if spelled.decode("idna") != host.lower():
                return None  # as with ß: older libraries go to one host and newer ones to another
            host = spelled.decode("ascii")
        except UnicodeError:
            return None
    return scheme, host.lower(), known if port is None else port


class Home:
    """
    Where a session's access token belongs.

    Args:
        base_url: Its origin is home.
        more: URLs whose origins are home too.
        own_calls: Absolute URLs of sign-in and refresh: no access token is sent there, and a 401 from there renews
            nothing.

    Raises:
        ConfigurationError: One of them is no http or https URL with a host.
    """

    def __init__(self, base_url: str, more: Iterable[str], own_calls: Iterable[str]) -> None:
        self._origins = frozenset(
            [_demanded("base_url", base_url), *(_demanded("origins", url) for url in more)],
        )
        # Paths are compared as the libraries give them, with their escapes undone.
        self._own_calls = frozenset((_demanded("dialect", url), _path(url)) for url in own_calls)
        self._own_paths = frozenset(path for _, path in self._own_calls)
        # As the libraries give them: without the port where it is the scheme's own.
        self._as_parts: frozenset[tuple[str, str, int | None]] = self._origins | {
            (scheme, host, None) for scheme, host, port in self._origins if port == DEFAULT_PORTS[scheme]
        }

    def covers(self, url: str) -> bool:
        """Whether a request to this URL carries the access token."""
        found = origin_of(url)
        return found in self._origins and (found, _path(url)) not in self._own_calls

    def covers_parts(self, scheme: str, host: str, port: int | None, path: str) -> bool:
        """
        `covers` for a URL that is parsed already: asked for every request.

        Args:
            host: In ASCII.
            path: With its escapes undone.
        """
        # IPv6 addresses have many spellings, and each library its own.
        if (scheme, host, port) not in self._as_parts and not (":" in host and self.has(origin(scheme, host, port))):
            return False
        return path not in self._own_paths or (origin(scheme, host, port), path) not in self._own_calls

    def has(self, origin: Origin | None) -> bool:
        """Whether the access token may go to this origin at all."""
        return origin in self._origins


def _path(url: str) -> str:
    return unquote(urlsplit(url).path)


def _demanded(setting: str, url: str) -> Origin:
    found = origin_of(url)
    if found is None:
        raise ConfigurationError(setting, f"{url!r} is not an http or https URL with a host")
    return found
