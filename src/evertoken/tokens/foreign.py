"""
Refresh tokens of other libraries, read strictly: for the time in which an application comes over to evertoken.

They are JWTs without a `kid`, signed with one key, whose algorithm a setting says and never a token.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from evertoken.errors import (
    BadSignature,
    ClaimMismatch,
    ConfigurationError,
    MalformedToken,
    TokenExpired,
    TokenNotYetValid,
)
from evertoken.secret import Secret
from evertoken.tokens import base64url, strict_json
from evertoken.tokens.claims import numeric_date
from evertoken.tokens.jws import MAX_CHARACTERS, Verifies
from evertoken.tokens.verification_keys import MIN_RSA_BITS, VerificationKey

ALGORITHMS: Final = ("HS256", "RS256", "ES256")
LEEWAY_SECONDS: Final = 60
"""How far the clock that wrote `iat` and `nbf` may be ahead of ours. None for `exp`."""

MIN_HMAC_BYTES: Final = 32  # RFC 7518 §3.2
MAX_CLAIM_CHARACTERS: Final = 256

_PARTS: Final = 3
_LATEST_MS: Final = 2**53
"""How long a jti is remembered at most: some 285,000 years, and a number that every store can keep."""

# As for access tokens: what changes how a token is read, or brings a key along (RFC 8725 §3.10).
_REFUSED_MEMBERS: Final = frozenset({"crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"})


class Library(StrEnum):
    """Whose refresh tokens they are."""

    SIMPLEJWT = "simplejwt"
    FLASK_JWT_EXTENDED = "flask-jwt-extended"


_TYPE_CLAIM: Final = {Library.SIMPLEJWT: "token_type", Library.FLASK_JWT_EXTENDED: "type"}
USER_CLAIM: Final = {Library.SIMPLEJWT: "user_id", Library.FLASK_JWT_EXTENDED: "sub"}
"""The claim that names the user, unless that library was told otherwise."""


@dataclass(frozen=True, slots=True)
class ForeignRules:
    """
    What a token must say.

    Args:
        library: Which settles the claim that says what kind of token it is.
        user_claim: The claim that names the user.
        issuer: `iss` must be exactly this; empty: there must be none.
        audience: `aud` must be or hold exactly this; empty: there must be none.
    """

    library: Library
    user_claim: str
    issuer: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class ForeignToken:
    """
    A genuine refresh token of another library.

    Args:
        user: Whose it is; a number is given as its digits.
        fingerprint: What it is remembered by: SHA-256 of the library and the jti.
        expires_at_ms: Until when it must be remembered.
        claims: All of them.
    """

    user: str
    fingerprint: bytes
    expires_at_ms: int
    claims: Mapping[str, Any] = field(repr=False)


def read_key(algorithm: str, key: Secret) -> VerificationKey:
    """
    Read the other library's key.

    Args:
        algorithm: One of `ALGORITHMS`.
        key: For HS256 the secret that signs, for the others the public key in PEM.

    Raises:
        ConfigurationError: It is not a key for this algorithm, or too weak. The message never holds the key.
    """
    text = key.reveal()
    try:
        return VerificationKey("adopted", algorithm, _key(algorithm, text))
    except (JoseError, ValueError, TypeError) as error:
        raise ConfigurationError("adopt_key", f"is not a public key in PEM for {algorithm}") from error


def is_candidate(text: str) -> bool:
    """Whether it is worth looking at: a text of three parts, which none of our refresh tokens is."""
    return text.count(".") == _PARTS - 1


def verify(encoded: str, *, key: Verifies, rules: ForeignRules, now_ms: int) -> ForeignToken:
    """
    Check a refresh token of another library.

    Args:
        encoded: At most 8192 characters.
        now_ms: Milliseconds since the epoch.

    Raises:
        MalformedToken: It is not a JWT in its one strict spelling, or lacks its user, jti or exp, or one is of a
            wrong type.
        BadSignature: It names another algorithm than the key's, or the key did not sign it.
        ClaimMismatch: It is no refresh token, or another issuer's or for another audience; see `.claim`.
        TokenExpired: Now is at or past `exp`.
        TokenNotYetValid: `nbf` or `iat` lies ahead by more than a minute.
        Anything else is a bug: please report it.

    Source: RFC 7515 §5.2; RFC 7519 §7.2; RFC 8725 §3.
    """
    payload = _genuine_payload(encoded, key)
    claims = strict_json.parse_object(payload)
    if claims.get(_TYPE_CLAIM[rules.library]) != "refresh":
        raise ClaimMismatch(_TYPE_CLAIM[rules.library])
    _check_issuer(claims, rules)
    expires = numeric_date(claims.get("exp"), "exp")
    for name in ("iat", "nbf"):
        if name in claims and now_ms < (numeric_date(claims[name], name) - LEEWAY_SECONDS) * 1000:
            raise TokenNotYetValid(f"{name} lies in the future")
    if now_ms >= expires * 1000:
        raise TokenExpired("exp has passed")
    jti = claims.get("jti")
    if not _is_short_text(jti):
        raise MalformedToken("jti is not a short text")
    return ForeignToken(
        user=_user(claims.get(rules.user_claim)),
        fingerprint=hashlib.sha256(f"{rules.library}\0{jti}".encode()).digest(),
        expires_at_ms=min(math.ceil(min(expires, _LATEST_MS) * 1000), _LATEST_MS),
        claims=claims,
    )


def _genuine_payload(encoded: str, key: Verifies) -> bytes:
    if len(encoded) > MAX_CHARACTERS:
        raise MalformedToken("longer than a token may be")
    parts = encoded.split(".")
    if len(parts) != _PARTS:
        raise MalformedToken("not a compact JWS")
    header = strict_json.parse_object(base64url.decode(parts[0]))
    if not _REFUSED_MEMBERS.isdisjoint(header):
        raise MalformedToken("a header member that a refresh token must not have")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":
        raise ClaimMismatch("typ")
    payload, signature = base64url.decode(parts[1]), base64url.decode(parts[2])
    if header.get("alg") != key.algorithm:
        raise BadSignature("the key is for another algorithm")
    if not key.is_genuine(signature, f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise BadSignature("the key did not sign this")
    return payload


def _check_issuer(claims: Mapping[str, Any], rules: ForeignRules) -> None:
    """A key is often shared by several services, so what the rules do not name must not be there."""
    if claims.get("iss", "") != rules.issuer:
        raise ClaimMismatch("iss")
    audience = claims.get("aud", [])
    audiences = audience if isinstance(audience, list) else [audience]
    is_ours = rules.audience in audiences if rules.audience else not audiences
    if not is_ours:
        raise ClaimMismatch("aud")


def _user(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not _is_short_text(value):
        raise MalformedToken("the user is not a short text or a number")
    assert isinstance(value, str)
    return value


def _is_short_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_CLAIM_CHARACTERS and "\0" not in value


def _key(algorithm: str, text: str) -> OctKey | RSAKey | ECKey:
    is_pem = "-----BEGIN" in text
    if algorithm == "HS256":
        if is_pem:
            # Everybody knows a public key: with it as the secret, anybody could sign (RFC 8725 §2.1).
            raise ConfigurationError("adopt_key", "is a key in PEM, and HS256 takes a secret; see adopt_algorithm")
        if len(text.encode()) < MIN_HMAC_BYTES:
            raise ConfigurationError(
                "adopt_key", f"must have at least {MIN_HMAC_BYTES} bytes: a shorter one is guessed (RFC 7518 §3.2)"
            )
        return OctKey.import_key(text)
    if not is_pem or "PRIVATE" in text:
        raise ConfigurationError("adopt_key", f"must be the public key in PEM for {algorithm}: -----BEGIN PUBLIC KEY")
    if algorithm == "ES256":
        return ECKey.import_key(text)
    key = RSAKey.import_key(text)
    if key.public_key.key_size < MIN_RSA_BITS:
        raise ConfigurationError("adopt_key", f"must have at least {MIN_RSA_BITS} bits (RFC 7518 §3.3)")
    return key
