"""The access token: a JWT as RFC 9068 has it. What we sign, and what a guard takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from evertoken.errors import ClaimMismatch, ConfigurationError, TokenExpired, TokenNotYetValid
from evertoken.tokens import base64url, strict_json
from evertoken.tokens.claims import AccessTokenClaims, numeric_date
from evertoken.tokens.jws import KeySource, verify_jws
from evertoken.tokens.signing_keys import SigningKey

MAX_LEEWAY_SECONDS: Final = 60
IAT_LEEWAY_SECONDS: Final = 60
"""How far a server's clock may be ahead of a guard's. `iat` forbids nothing by itself, so it is not a setting."""

_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})  # RFC 9068 §4; media types ignore case


@dataclass(frozen=True, slots=True)
class AccessTokenRules:
    """
    What a guard demands of every access token.

    Args:
        issuer: `iss` must be exactly this text.
        audience: `aud` must be or hold exactly this text.
        leeway_seconds: How far `exp` and `nbf` may be off, 0 to 60. 0: at `exp` a token is expired.

    Raises:
        ConfigurationError: The issuer or the audience is empty, or the leeway out of range.
    """

    issuer: str
    audience: str
    leeway_seconds: int = 0

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ConfigurationError("issuer, audience", "a guard needs both, or it would take anybody's tokens")
        if not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise ConfigurationError(
                "leeway_seconds", f"is {self.leeway_seconds}; 0 to {MAX_LEEWAY_SECONDS} are possible"
            )


def sign(payload: Mapping[str, Any], key: SigningKey) -> str:
    """
    An access token that says `payload`.

    Args:
        payload: From `AccessTokenClaims.to_payload`; what an application added has passed `claims.check_extra`.

    Source: RFC 9068 §2.1 for the header, which holds alg, kid and typ and nothing else.
    """
    signing_input = _encoded_header(key.algorithm, key.kid) + "." + base64url.encode(msgspec.json.encode(payload))
    return signing_input + "." + base64url.encode(key.sign(signing_input.encode("ascii")))


def verify(encoded: str, *, keys: KeySource, rules: AccessTokenRules, now_ms: int) -> AccessTokenClaims:
    """
    Check an access token and return its claims.

    Args:
        encoded: The text after `Bearer`, at most 8 KiB.
        keys: The keys that we trust, each for one algorithm.
        now_ms: Milliseconds since the epoch.

    Raises:
        MalformedToken: It is not a JWT in its one strict spelling, or a claim is missing or of a wrong type.
        BadSignature: No key that we trust made the signature.
        ClaimMismatch: `typ`, `iss`, `aud` or `cnf` is not what we demand; see `.claim`.
        TokenExpired: Now is at or past `exp` plus the leeway.
        TokenNotYetValid: `nbf` lies ahead by more than the leeway, or `iat` by more than a minute.
        Anything else is a bug: please report it.

    Source: RFC 9068 §4; RFC 8725; RFC 7519 §4.1.
    """
    header, raw_payload = verify_jws(encoded, keys=keys, now_ms=now_ms)
    token_type = header.get("typ")
    # Without this, an ID token or any other JWT that the same key signed could stand in (RFC 8725 §3.11).
    if not isinstance(token_type, str) or token_type.lower() not in _TYPES:
        raise ClaimMismatch("typ")
    payload = strict_json.parse_object(raw_payload)
    claims = AccessTokenClaims.from_payload(payload)
    if claims.iss != rules.issuer:
        raise ClaimMismatch("iss")
    if rules.audience not in claims.aud:
        raise ClaimMismatch("aud")
    # A token bound to a key is worthless without the proof (RFC 9449 §7.2), and we do not check proofs yet.
    if "cnf" in payload:
        raise ClaimMismatch("cnf")
    _check_times(claims, payload, leeway_seconds=rules.leeway_seconds, now_ms=now_ms)
    return claims


def _check_times(claims: AccessTokenClaims, payload: Mapping[str, Any], *, leeway_seconds: int, now_ms: int) -> None:
    if now_ms < (claims.iat - IAT_LEEWAY_SECONDS) * 1000:
        raise TokenNotYetValid("iat lies in the future")
    if "nbf" in payload and now_ms < (numeric_date(payload["nbf"], "nbf") - leeway_seconds) * 1000:
        raise TokenNotYetValid("nbf lies in the future")
    # Last, so that "expired" means "good but for that": a client answers it with a refresh.
    if now_ms >= (claims.exp + leeway_seconds) * 1000:
        raise TokenExpired("exp has passed")


@lru_cache(maxsize=64)
def _encoded_header(algorithm: str, kid: str) -> str:
    return base64url.encode(msgspec.json.encode({"alg": algorithm, "kid": kid, "typ": "at+jwt"}))
