"""What an access token says (RFC 9068 §2.2), and what an application may add to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from evertoken.errors import HookFailed, MalformedToken
from evertoken.tokens import strict_json

MAX_EXTRA_BYTES: Final = 4096
"""How much an application may add. Everything in an access token is sent with every request."""

_MODELLED: Final = frozenset(
    {"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid", "roles", "scope"},
)

RESERVED: Final = _MODELLED | {"nbf", "cnf"}
"""Claims that an application may not set: they decide who the caller is and until when."""


@dataclass(frozen=True, slots=True)
class AccessTokenClaims:
    """
    The claims of an access token.

    Args:
        iss: Who issued it.
        sub: The user.
        aud: For whom it is good; at least one.
        client_id: The client that it was issued to.
        exp: From when on it is expired; seconds since the epoch. Ours are whole, RFC 7519 allows fractions.
        iat: When it was issued; seconds since the epoch.
        jti: Its own id.
        sid: The session that it belongs to.
        roles: The user's roles when it was issued.
        scope: What the client may do.
        extra: Every other claim.
    """

    iss: str
    sub: str
    aud: tuple[str, ...]
    client_id: str
    exp: int | float
    iat: int | float
    jti: str
    sid: str
    roles: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_payload(self) -> dict[str, Any]:
        """The claims as they stand in the token. One audience is a string there, empty lists are left out."""
        payload: dict[str, Any] = {
            **self.extra,
            "iss": self.iss,
            "sub": self.sub,
            "aud": self.aud[0] if len(self.aud) == 1 else list(self.aud),
            "client_id": self.client_id,
            "exp": self.exp,
            "iat": self.iat,
            "jti": self.jti,
            "sid": self.sid,
        }
        if self.roles:
            payload["roles"] = list(self.roles)
        if self.scope:
            payload["scope"] = " ".join(self.scope)
        return payload

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "AccessTokenClaims":
        """
        The claims of a parsed payload, types checked and nothing converted.

        Raises:
            MalformedToken: A claim that every access token has is missing, or one is of a wrong type.
        """
        return cls(
            iss=_text(payload, "iss"),
            sub=_text(payload, "sub"),
            aud=_audience(payload.get("aud")),
            client_id=_text(payload, "client_id"),
            exp=_numeric_date(payload, "exp"),
            iat=_numeric_date(payload, "iat"),
            jti=_text(payload, "jti"),
            sid=_text(payload, "sid"),
            roles=_texts(payload.get("roles", []), "roles"),
            scope=_scope(payload.get("scope", "")),
            extra={name: value for name, value in payload.items() if name not in _MODELLED},
        )


def check_extra(extra: Mapping[str, Any]) -> None:
    """
    Check what an application's hook wants to add to an access token, before a token says it.

    Raises:
        HookFailed: It sets a reserved claim, is not JSON that our own guards would read, or is longer than 4 KiB.
            The message names the claim and never its value.
    """
    reserved = sorted(RESERVED.intersection(extra))
    if reserved:
        raise HookFailed(f"the claims hook may not set {', '.join(reserved)}")
    try:
        raw = msgspec.json.encode(extra)
        strict_json.parse_object(raw)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError, MalformedToken) as error:
        raise HookFailed("the claims hook returned what cannot stand in an access token") from error
    if len(raw) > MAX_EXTRA_BYTES:
        raise HookFailed(f"the claims hook returned {len(raw)} bytes; at most {MAX_EXTRA_BYTES} fit")


def numeric_date(value: Any, name: str) -> int | float:
    """
    A NumericDate (RFC 7519 §2): a JSON number, finite.

    Raises:
        MalformedToken: It is anything else; true and false, which Python counts as numbers, too.
    """
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise MalformedToken(f"{name} is not a NumericDate")


def _numeric_date(payload: Mapping[str, Any], name: str) -> int | float:
    return numeric_date(payload.get(name), name)


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value or "\0" in value:
        raise MalformedToken(f"{name} is not a text")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise MalformedToken(f"{name} is not a list of texts")
    return tuple(value)


def _audience(value: Any) -> tuple[str, ...]:
    return _texts([value] if isinstance(value, str) else value, "aud")


def _scope(value: Any) -> tuple[str, ...]:
    """RFC 6749 §3.3: words with one space between them. Absent or empty: none."""
    if not isinstance(value, str):
        raise MalformedToken("scope is not a text")
    words = tuple(value.split(" ")) if value else ()
    if not all(words):
        raise MalformedToken("scope is not words with one space between them")
    return words
