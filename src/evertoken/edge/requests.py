"""Reading a request: who calls, what the body says, within limits."""

import functools
import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from evertoken.edge.answers import refuse
from evertoken.sessions.model import MAX_DEVICE_CHARACTERS, Caller

T = TypeVar("T")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class CallerReader:
    """
    Finds out where a request came from.

    Args:
        trusted_proxies: Networks whose X-Forwarded-For is believed. The address is the rightmost one that is not
            such a proxy, so that a caller who writes the header himself gains nothing.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted: tuple[_Network, ...] = tuple(map(ipaddress.ip_network, trusted_proxies))
        self._device = functools.lru_cache(maxsize=1024)(_clean)

    def read(self, request: Request) -> Caller:
        """The caller's address and device."""
        client = request.scope.get("client")
        address = client[0] if client else ""
        agent = forwarded = None
        for name, value in request.scope["headers"]:
            if name == b"user-agent":
                agent = value
            elif name == b"x-forwarded-for":
                forwarded = value if forwarded is None else forwarded + b"," + value
        if self._trusted and forwarded is not None and self._is_trusted(address):
            address = self._behind_proxies(address, forwarded)
        return Caller(address, "" if agent is None else self._device(agent))

    def _behind_proxies(self, peer: str, forwarded: bytes) -> str:
        address = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                return address  # nonsense from beyond the last proxy that we trust
            if not self._is_trusted(address):
                return address
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def _clean(agent: bytes) -> str:
    """A User-Agent without what could disturb a terminal or a log."""
    text = agent[: 4 * MAX_DEVICE_CHARACTERS].decode("utf-8", "replace")
    return "".join(c for c in text if unicodedata.category(c)[0] != "C")[:MAX_DEVICE_CHARACTERS]


async def read_body(request: Request, *, limit: int) -> bytes:
    """
    The whole body.

    Raises:
        Refused: 413 when it is larger than `limit`, before the rest is read.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise refuse(413, "too_large", f"The body may hold at most {limit} bytes.", ("Connection", "close"))
            parts.append(part)
    except ClientDisconnect as error:
        raise refuse(400, "invalid_request", "The connection ended before the body did.") from error
    return b"".join(parts)


def header(request: Request, name: bytes) -> str | None:
    """
    The first header of this name, or None.

    Starlette's mapping raises and catches an error for each that is absent: 1 us, ten times what this takes.

    Args:
        name: In lower case, as ASGI has them.
    """
    for found, value in request.scope["headers"]:
        if found == name:
            return str(value, "latin-1")
    return None


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, lower case; empty when there is none."""
    return (header(request, b"content-type") or "").partition(";")[0].strip().lower()


async def read_json(request: Request, decoder: "msgspec.json.Decoder[T]", *, limit: int) -> T:
    """
    A JSON body of a known shape.

    Raises:
        Refused: 415 for another media type, 413, 400 with the member that is wrong.
    """
    if media_type(request) != "application/json":
        raise refuse(415, "unsupported_media_type", "Send JSON with Content-Type: application/json.")
    return decode_json(await read_body(request, limit=limit), decoder)


async def read_optional_json(request: Request, decoder: "msgspec.json.Decoder[T]", *, limit: int) -> T | None:
    """As `read_json`; None where there is no body at all."""
    raw = await read_body(request, limit=limit)
    if not raw:
        return None
    if media_type(request) != "application/json":
        raise refuse(415, "unsupported_media_type", "Send JSON with Content-Type: application/json, or no body.")
    return decode_json(raw, decoder)


_REPEATS_A_VALUE: Final = re.compile(r"Invalid enum value .*(?= - at `)", re.DOTALL)
"""The one message of msgspec's that quotes what was sent."""


def decode_json(raw: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode, or say which member is wrong; the message never repeats a value."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        message = _REPEATS_A_VALUE.sub("This is not one of the words that can stand here", str(error))
        raise refuse(400, "invalid_request", f"{message}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, "invalid_request", "The body is not JSON.") from error
