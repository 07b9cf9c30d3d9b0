"""
The client's own HTTP, over the standard library: small calls to the authorization server, one connection each.

It knows one thing better than the libraries it stands beside: whether a request that failed was ever sent.
"""

import base64
import functools
import importlib.metadata
import ipaddress
import os
import re
import socket
import ssl
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from evertoken.client.deadline import (
    HEAD_BYTES,
    Deadline,
    Unusable,
    Wire,
    connect,
    read_answer,
    read_status,
    reason,
    start_tls,
)
from evertoken.client.transport import Answer, Call, NoAnswer, NotSent

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::(?P<port>[0-9]{0,5}))?")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # the underscore is not DNS, but many a container is called so
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "proxy-authorization", "te",
    "transfer-encoding", "upgrade",
})  # fmt: skip


class HttpTransport:
    """
    Sends calls over http.client and ssl, each on a connection of its own.

    A refresh is rare, and a kept connection may have been closed by the other side without our knowing: then nobody
    could say whether the request was sent. Redirects are not followed: the 3xx is the answer. One transport serves
    any number of threads; it can be pickled unless `verify` is a context.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        max_answer_bytes: int = 262_144,
    ) -> None:
        """
        Read the proxy, and the trusted certificates if they are not the system's.

        Args:
            verify: Whom to trust: a file or directory of CA certificates in PEM, trusted instead of the system's, or
                a context of yours, which is used as it is. Without it, what ssl.create_default_context() trusts; that
                heeds SSL_CERT_FILE and SSL_CERT_DIR. TLS 1.2 at least, and the certificate must name the host.
            proxy: `http://[user:password@]host[:port]` for every call; `""` for none whatever the environment says.
                Without it, the environment decides at each call as urllib.request reads it (HTTPS_PROXY, HTTP_PROXY,
                NO_PROXY, the system's settings on macOS and Windows), then ALL_PROXY. Port 80 if not given.
            max_answer_bytes: The longest body taken, 256 KiB if not given, at least 1.

        Raises:
            ValueError: `proxy` is not such a URL, or `max_answer_bytes` is below 1.
            OSError: `verify` cannot be read, or holds no certificate (ssl.SSLError).
            TypeError: `verify` is none of these; there is no way to switch the check off.
        """
        if max_answer_bytes < 1:
            raise ValueError("max_answer_bytes must be at least 1")
        self._verify = verify
        self._proxy = proxy
        self._max_answer_bytes = max_answer_bytes
        # Reading the system's certificates takes 20 ms, which a command that calls nobody should not wait for.
        self._context = verify if isinstance(verify, ssl.SSLContext) else None if verify is None else _trusting(verify)
        self._given_proxy = _parse_proxy(proxy) if proxy else None
        self._agent = _agent()

    def __reduce__(self) -> tuple[Callable[[], "HttpTransport"], tuple[()]]:
        """Pickle what it was made of: it is made anew, with the certificates of the machine where it arrives."""
        made_of = {"verify": self._verify, "proxy": self._proxy, "max_answer_bytes": self._max_answer_bytes}
        return functools.partial(type(self), **made_of), ()  # type: ignore[arg-type]

    def __call__(self, call: Call, *, timeout_seconds: float) -> Answer:
        """
        Send `call` and return the answer, whatever its status.

        Args:
            call: An http or https URL, ASCII but for the host; header values in Latin-1. Host, Connection,
                Content-Length, Accept-Encoding and their like are ours to set; Accept and User-Agent may be given.
            timeout_seconds: For all of it: connecting, proxy, TLS, sending, headers and body, however slowly they
                drip; at most a day. Only looking up the name is not bounded by it: getaddrinfo takes no timeout.

        Raises:
            NotSent: No byte of the request was sent: no such name, no connection, no TLS, the proxy refused.
            NoAnswer: A byte may have been sent, and no whole answer came: too late, too long, cut short or not HTTP.
            ValueError: The URL, the method or a header cannot be sent as it is, or `timeout_seconds` is no timeout.
                The message repeats none of them.
            Anything else is a bug: please report it.

        Source: RFC 9112 §6.3 (length), §8 (incomplete messages), RFC 9110 §9.3.6 (CONNECT), §15.2 (1xx).
        """
        deadline = Deadline(timeout_seconds)
        url = _parse_url(call.url)
        try:
            proxy = self._proxy_for(url)
        except ValueError as error:
            raise NotSent(f"{url.place}: {error}") from None
        request = _render(call, url, None if url.scheme == "https" else proxy, self._agent)
        where = str(url.place) if proxy is None else f"{url.place} through the proxy {proxy.place}"
        with self._open(url, proxy, deadline, where) as sock:
            wire = Wire(sock, deadline, allowed_bytes=HEAD_BYTES)
            try:
                wire.send_all(request)
                return read_answer(wire, call.method, max_answer_bytes=self._max_answer_bytes)
            except OSError as error:
                raise NoAnswer(f"{where}: {reason(error, late='no answer', deadline=deadline)}") from error
            except Unusable as error:
                raise NoAnswer(f"{where}: {error}") from None

    def _proxy_for(self, url: "_Url") -> "_Proxy | None":
        if self._proxy is not None:
            return self._given_proxy
        proxies = urllib.request.getproxies()
        found = proxies.get(url.scheme) or proxies.get("all")
        # urllib takes what follows the last colon for a port: an IPv6 address is shown with and without its brackets.
        if not found or any(urllib.request.proxy_bypass(name) for name in (str(url.place), url.place.host)):
            return None
        return _parse_proxy(found)

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _trusting(None)
        return self._context

    def _open(self, url: "_Url", proxy: "_Proxy | None", deadline: Deadline, where: str) -> socket.socket:
        first = url.place if proxy is None else proxy.place
        try:
            sock = connect(first.host, first.port, deadline)
            try:
                if url.scheme == "https":
                    if proxy is not None:
                        _tunnel(sock, url.place, proxy, self._agent, deadline)
                    sock = start_tls(sock, self._trust(), url.place.host, deadline)
                deadline.left_seconds()  # the last moment at which we can still say that nothing was sent
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise NotSent(f"{where}: {reason(error, late='no connection', deadline=deadline)}") from error
        except Unusable as error:
            raise NotSent(f"{where}: {error}") from None
        return sock


@dataclass(frozen=True, slots=True)
class _Place:
    host: str  # ASCII, an IPv6 address without its brackets
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Url:
    scheme: str
    place: _Place
    target: str = field(repr=False)  # path and query, RFC 9112 §3.2.1

    @property
    def authority(self) -> str:
        return str(self.place).removesuffix(f":{_DEFAULT_PORTS[self.scheme]}")


@dataclass(frozen=True, slots=True)
class _Proxy:
    place: _Place
    authorization: str | None = field(repr=False)


def _trusting(verify: str | os.PathLike[str] | None) -> ssl.SSLContext:
    if verify is None:
        context = ssl.create_default_context()
    elif Path(verify).is_dir():
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _agent() -> str:
    try:
        return f"evertoken/{importlib.metadata.version('evertoken')}"
    except importlib.metadata.PackageNotFoundError:  # frozen into a program, without its metadata
        return "evertoken"


def _parse_url(url: str) -> _Url:
    # A query may hold secrets, and so may userinfo: no message repeats the URL.
    if _NOT_IN_A_URL.search(url):
        raise ValueError("the URL holds a space, a backslash or a control character")
    match = _URL.fullmatch(url)
    if match is None or match["scheme"].lower() not in _DEFAULT_PORTS:
        raise ValueError("the URL must begin with https:// or http://")
    if "@" in match["authority"]:
        raise ValueError("the URL must not hold a user name or a password")
    target = match["target"] if match["target"].startswith("/") else "/" + match["target"]
    if not target.isascii():
        raise ValueError("path and query of the URL must be percent-encoded")
    scheme = match["scheme"].lower()
    return _Url(scheme, _parse_place(match["authority"], _DEFAULT_PORTS[scheme]), target)


def _parse_place(authority: str, default_port: int) -> _Place:
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
    return _Place(host, port)


def _parse_proxy(proxy: str) -> _Proxy:
    scheme, separator, rest = proxy.rpartition("://")
    userinfo, _, authority = rest.rstrip("/").rpartition("@")
    try:
        if separator and scheme.lower() != "http":
            raise ValueError  # noqa: TRY301 - the same sentence for all that is wrong with it
        place = _parse_place(authority, 80)
    except ValueError:
        raise ValueError("the proxy must be given as http://[user:password@]host[:port]") from None
    if not userinfo:
        return _Proxy(place, None)
    user, _, password = userinfo.partition(":")
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
    return _Proxy(place, "Basic " + base64.b64encode(pair.encode()).decode("ascii"))


def _render(call: Call, url: _Url, proxy: _Proxy | None, agent: str) -> bytes:
    """The request as it is sent; to `proxy` in absolute form (RFC 9112 §3.2.2)."""
    if not _TOKEN.fullmatch(call.method) or call.method == "CONNECT":
        raise ValueError("the method cannot be one")
    given = {name.lower() for name in call.headers}
    for name, value in call.headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header name holds what a header name cannot")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name} is set by the transport")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the header {name} holds a line break or what is not Latin-1")
    headers = {"Host": url.authority, "Connection": "close", "Accept-Encoding": "identity"}
    headers |= {
        name: value
        for name, value in (("Accept", "application/json"), ("User-Agent", agent))
        if name.lower() not in given
    }
    # RFC 9110 §8.6: a POST says that it has no body, a GET does not.
    if call.body or call.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(call.body))
    if proxy is not None and proxy.authorization is not None:
        headers["Proxy-Authorization"] = proxy.authorization
    target = url.target if proxy is None else f"{url.scheme}://{url.authority}{url.target}"
    return _head(f"{call.method} {target} HTTP/1.1", headers | dict(call.headers)) + call.body


def _head(first_line: str, headers: dict[str, str]) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _tunnel(sock: socket.socket, place: _Place, proxy: _Proxy, agent: str, deadline: Deadline) -> None:
    """Have the proxy connect us to `place` (RFC 9110 §9.3.6)."""
    headers = {"Host": str(place), "User-Agent": agent}
    if proxy.authorization is not None:
        headers["Proxy-Authorization"] = proxy.authorization
    wire = Wire(sock, deadline, allowed_bytes=HEAD_BYTES)
    wire.send_all(_head(f"CONNECT {place} HTTP/1.1", headers))
    status = read_status(wire, "CONNECT")
    if not 200 <= status < 300:  # noqa: PLR2004
        raise Unusable(f"the proxy answered {status}")
