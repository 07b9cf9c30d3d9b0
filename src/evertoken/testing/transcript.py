"""What a chaos proxy did, for people to read, without a secret: tokens are the start of their SHA-256."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl

from evertoken.testing.listener import Answer, Request

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,39}|-?\d{1,6}")
"""What may be repeated of an answer's code: a word of a protocol or a small number, never a text that may be secret."""


@dataclass(slots=True)
class Exchange:
    """
    One request on its way through the proxy.

    Args:
        at_seconds: When it came, since the proxy began.
        token: The digest of the refresh token that it brought, or else of its access token.
        fate: What was drawn for it.
        happened: What became of it so far.
    """

    number: int
    at_seconds: float
    method: str
    path: str
    token: str | None
    fate: str
    happened: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        token = "" if self.token is None else f" token {self.token}"
        then = "; ".join(self.happened) or "under way"
        return f"#{self.number} +{self.at_seconds:.3f}s {self.method} {self.path}{token}: {self.fate} -> {then}"


def digest(secret: str) -> str:
    """The first 8 characters of a token's SHA-256, by which two mentions of it can be told to be the same."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def presented_token(request: Request) -> str | None:
    """The digest of the refresh token in a request, wherever it stands, or else of its access token; None without."""
    for name, value in _members(request):
        plain = name.lower().replace("_", "").replace("-", "")
        if value and ("refresh" in plain or plain.endswith("evertoken")):
            return digest(value)
    scheme, _, access = (request.header("Authorization") or "").partition(" ")
    return digest(access.strip()) if access and scheme.lower() == "bearer" else None


def describe(answer: Answer) -> str:
    """An answer: its status, its code, and the digests of the tokens in it."""
    body = read_json(answer)
    said = [str(answer.status)]
    for name in ("code", "error", "reason"):
        value = body.get(name)
        if isinstance(value, str | int) and _WORD.fullmatch(str(value)):
            said.append(str(value))
    for name in ("access_token", "refresh_token"):
        value = body.get(name)
        if isinstance(value, str):
            said.append(f"{name} {digest(value)}")
    return " ".join(said)


def read_json(answer: Answer) -> dict[str, Any]:
    """The members of an answer in JSON; empty for any other."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _members(request: Request) -> Iterator[tuple[str, str]]:
    yield from request.query.items()
    if request.body[:1] == b"{":
        body = read_json(Answer(200, body=request.body))
        yield from ((name, value) for name, value in body.items() if isinstance(value, str))
    elif "form" in (request.header("Content-Type") or ""):
        yield from parse_qsl(request.body.decode("utf-8", "replace"))
    for header in request.headers_named("Cookie"):
        try:
            yield from ((name, morsel.value) for name, morsel in SimpleCookie(header).items())
        except CookieError:
            continue
    yield from request.headers
