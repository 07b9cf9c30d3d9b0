"""Where a request goes: URLs and proxies, read strictly, and what the environment says about proxies."""

import base64
import ipaddress
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from evertoken.client.origins import DEFAULT_PORTS

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{0,5}))?")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # the underscore is not DNS, but many a container is called so


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection leads."""

    host: str  # ASCII, an IPv6 address without its brackets
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL that can be called."""

    scheme: str
    place: Place
    target: str = field(repr=False)  # path and query, RFC 9112 §3.2.1

    @property
    def authority(self) -> str:
        """Host and port, without the port where it is the scheme's own."""
        return str(self.place).removesuffix(f":{DEFAULT_PORTS[self.scheme]}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and what it wants to be shown."""

    place: Place
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a URL, straight or through a proxy. As a text it names no secret."""

    url: Url
    proxy: Proxy | None

    def __str__(self) -> str:
        return str(self.url.place) if self.proxy is None else f"{self.url.place} through the proxy {self.proxy.place}"

    @property
    def first(self) -> Place:
        """Where to connect."""
        return self.url.place if self.proxy is None else self.proxy.place

    @property
    def relay(self) -> Proxy | None:
        """The proxy, where it takes the request itself: through TLS it sees none."""
        return None if self.url.scheme == "https" else self.proxy


def parse_url(url: str) -> Url:
    """
    Read a URL: ASCII but for the host, no userinfo; the fragment is left out.

    Raises:
        ValueError: It cannot be called. The message does not repeat it: a query may hold secrets, and so may userinfo.
    """
    if _NOT_IN_A_URL.search(url):
        raise ValueError("the URL holds a space, a backslash or a control character")
    match = _URL.fullmatch(url)
    if match is None or match["scheme"].lower() not in DEFAULT_PORTS:
        raise ValueError("the URL must begin with https:// or http://")
    if "@" in match["authority"]:
        raise ValueError("the URL must not hold a user name or a password")
    target = match["target"] if match["target"].startswith("/") else "/" + match["target"]
    if not target.isascii():
        raise ValueError("path and query of the URL must be percent-encoded")
    scheme = match["scheme"].lower()
    return Url(scheme, _parse_place(match["authority"], DEFAULT_PORTS[scheme]), target)


def parse_proxy(proxy: str) -> Proxy:
    """
    Read `[http://][user:password@]host[:port]`; port 80 if not given.

    Raises:
        ValueError: It is not of this form. The message does not repeat it.
    """
    scheme, separator, rest = proxy.rpartition("://")
    userinfo, _, authority = rest.rstrip("/").rpartition("@")
    try:
        if separator and scheme.lower() != "http":
            raise ValueError  # noqa: TRY301 - the same sentence for all that is wrong with it
        place = _parse_place(authority, 80)
    except ValueError:
        raise ValueError("the proxy must be given as http://[user:password@]host[:port]") from None
    if not userinfo:
        return Proxy(place, None)
    user, _, password = userinfo.partition(":")
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
    return Proxy(place, "Basic " + base64.b64encode(pair.encode()).decode("ascii"))


def environment_proxy(url: Url) -> Proxy | None:
    """
    The proxy that environment and system want for `url`, as urllib.request reads them, then ALL_PROXY.

    Raises:
        ValueError: As parse_proxy.
    """
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    # urllib takes what follows the last colon for a port: an IPv6 address is shown with and without its brackets.
    if not found or any(urllib.request.proxy_bypass(name) for name in (str(url.place), url.place.host)):
        return None
    return parse_proxy(found)


def _parse_place(authority: str, default_port: int) -> Place:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("the URL must have a host, and after it a port or nothing")
    port = int(match["port"] or default_port)
    try:
        if match["host"].startswith("["):
            host = str(ipaddress.IPv6Address(match["host"][1:-1]))
        else:
            host = match["host"].encode("idna").decode("ascii")
    except ValueError:
        host = ""
    if not 0 < port < 65_536 or not (":" in host or _NAME.fullmatch(host)):  # noqa: PLR2004
        raise ValueError("host or port of the URL cannot be one")
    return Place(host, port)
