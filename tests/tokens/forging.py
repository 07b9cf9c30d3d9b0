"""Tokens made by hand: the tests put into them whatever no honest server would."""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from hypothesis import settings

from evertoken.errors import TokenError
from evertoken.secret import Secret
from evertoken.tokens import base64url
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.server_secrets import SecretRing
from evertoken.tokens.signing_keys import SigningKey

NOW: Final = 1_790_000_000
NOW_MS: Final = NOW * 1000
RULES: Final = AccessTokenRules(issuer="https://auth.example", audience="https://api.example")
CLAIMS: Final = AccessTokenClaims(
    iss="https://auth.example",
    sub="u-1",
    aud=("https://api.example",),
    client_id="web",
    exp=NOW + 1800,
    iat=NOW,
    jti="token-1",
    sid="session-1",
    roles=("editor",),
    scope=("read", "write"),
    extra={"tenant": "acme", "plan": {"seats": [1, 2]}},
)

OLD_SECRET: Final = Secret("the-secret-of-last-year-0123456789abcdef")
NEW_SECRET: Final = Secret("the-secret-of-this-year-0123456789abcdef")

patient: Final = settings(deadline=None)
"""A slow machine is not a failure."""

ABSENT: Final = object()


class Refused(Protocol):
    """Asserts that a guard refuses a token, as `error` where it matters; conftest.py has one."""

    def __call__(self, token: str, error: type[TokenError] = TokenError) -> None: ...


def secrets(*several: Secret) -> SecretRing:
    return SecretRing(several or (NEW_SECRET,))


def forge(key: SigningKey, *, header: Any = None, payload: Any = None) -> str:
    """
    A token with a genuine signature of `key` over any header and payload.

    Args:
        header: Members to set in an honest header (ABSENT takes one out), or the bytes of all of it.
        payload: The same for an honest payload.
    """
    honest = {"alg": key.algorithm.value, "kid": key.kid, "typ": "at+jwt"}
    signing_input = f"{_part(header, honest)}.{_part(payload, CLAIMS.to_payload())}"
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def part(value: Any) -> str:
    """Bytes, or anything that JSON can say, as a part of a token."""
    return base64url.encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def _part(given: Any, honest: Mapping[str, Any]) -> str:
    if isinstance(given, bytes):
        return part(given)
    members = dict(honest) | (given or {})
    return part({name: value for name, value in members.items() if value is not ABSENT})
