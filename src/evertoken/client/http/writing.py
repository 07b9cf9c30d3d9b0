"""A request as it is sent. A header that would break out of its line, or that says what is ours to say, is refused."""

import functools
import importlib.metadata
import re
from collections.abc import Mapping

from evertoken.client.http.addresses import Place, Proxy, Route
from evertoken.client.http.transport import Call

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "proxy-authorization", "te",
    "transfer-encoding", "upgrade",
})  # fmt: skip


def render(call: Call, route: Route, *, framing: Mapping[str, str] | None = None) -> bytes:
    """
    Write the request; for a proxy that relays it in absolute form (RFC 9112 §3.2.2).

    Args:
        framing: What says how long the body is, if it is not `call.body` but follows later (RFC 9112 §6).

    Raises:
        ValueError: The method or a header cannot be sent as it is. The message repeats neither method nor value.
    """
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
    headers = {"Host": route.url.authority, "Connection": "close", "Accept-Encoding": "identity"}
    headers |= {
        name: value
        for name, value in (("Accept", "application/json"), ("User-Agent", _agent()))
        if name.lower() not in given
    }
    if framing is None:
        headers |= _framing(call)
    target = route.url.target
    if route.relay is not None:
        headers |= _authorization(route.relay)
        target = f"{route.url.scheme}://{route.url.authority}{target}"
    return _head(f"{call.method} {target} HTTP/1.1", headers | dict(call.headers) | dict(framing or {})) + call.body


def connect_head(place: Place, proxy: Proxy) -> bytes:
    """What asks `proxy` for a tunnel to `place` (RFC 9110 §9.3.6)."""
    headers = {"Host": str(place), "User-Agent": _agent()}
    return _head(f"CONNECT {place} HTTP/1.1", headers | _authorization(proxy))


def _framing(call: Call) -> dict[str, str]:
    # RFC 9110 §8.6: a POST says that it has no body, a GET does not.
    if call.body or call.method in {"POST", "PUT", "PATCH"}:
        return {"Content-Length": str(len(call.body))}
    return {}


def _authorization(proxy: Proxy) -> dict[str, str]:
    return {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}


def _head(first_line: str, headers: Mapping[str, str]) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@functools.cache
def _agent() -> str:
    try:
        return f"evertoken/{importlib.metadata.version('evertoken')}"
    except importlib.metadata.PackageNotFoundError:  # frozen into a program, without its metadata
        return "evertoken"
