"""
Compact JWS, read strictly (RFC 7515 §3.1): the layer under access tokens that knows of keys but not of claims.

The token is taken apart here, once, and only here: what is verified is what is read. joserfc is given the signing
input, the signature and the one key with its one algorithm.
"""

from typing import Any, Final, NamedTuple, Protocol

from evertoken.errors import BadSignature, MalformedToken, UnknownKey
from evertoken.tokens import base64url, strict_json
from evertoken.tokens.verification_keys import MAX_KID_CHARACTERS

MAX_CHARACTERS: Final = 8192
"""Longer texts are refused before anything is decoded. Header lines have about this bound in common servers."""

_PARTS: Final = 3

# `crit` names extensions that we must understand, and we understand none (RFC 7515 §4.1.11). `b64` and `zip` change
# how the payload is read. The others offer a key: a key comes from the ring and never from the token (RFC 8725
# §3.10), and whoever sends one is up to no good. What else a header may hold means nothing to us.
_REFUSED_MEMBERS: Final = frozenset({"crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"})


class Verifies(Protocol):
    """A key that verifies for one algorithm: SigningKey and VerificationKey are two."""

    @property
    def algorithm(self) -> str:
        """The only `alg` that it takes."""

    def is_genuine(self, signature: bytes, signing_input: bytes) -> bool:
        """Whether this key made `signature`, a raw JOSE signature, over `signing_input`."""


class KeySource(Protocol):
    """Where a guard finds keys: the server's KeyRing, or what a guard elsewhere has read from a JWK set."""

    def find(self, kid: str, *, now_ms: int) -> Verifies | None:
        """The key of this kid, if it verifies now. `kid` comes from strangers: look it up, do nothing else with it."""


class VerifiedJws(NamedTuple):
    """A JWS whose signature is genuine."""

    header: dict[str, Any]
    payload: bytes


def verify_jws(encoded: str, *, keys: KeySource, now_ms: int) -> VerifiedJws:
    """
    Check the signature of a compact JWS.

    Args:
        encoded: At most 8192 characters.

    Raises:
        MalformedToken: It is too long, not three parts of strict base64url, or its header is not one that we take.
        UnknownKey: No key of this kid verifies now.
        BadSignature: The key of this kid is for another algorithm, or did not sign this.
        Anything else is a bug: please report it.

    Source: RFC 7515 §5.2; RFC 8725 §3.1.
    """
    if len(encoded) > MAX_CHARACTERS:
        raise MalformedToken("longer than an access token may be")
    parts = encoded.split(".")
    if len(parts) != _PARTS:
        raise MalformedToken("not a compact JWS")
    header = strict_json.parse_object(base64url.decode(parts[0]))
    algorithm, kid = _algorithm_and_kid(header)
    payload = base64url.decode(parts[1])
    signature = base64url.decode(parts[2])
    key = keys.find(kid, now_ms=now_ms)
    if key is None:
        raise UnknownKey("no key of this kid")
    if algorithm != key.algorithm:
        raise BadSignature("the key of this kid is for another algorithm")
    if not key.is_genuine(signature, encoded[: -1 - len(parts[2])].encode("ascii")):
        raise BadSignature("the key of this kid did not sign this")
    return VerifiedJws(header, payload)


def _algorithm_and_kid(header: dict[str, Any]) -> tuple[str, str]:
    if not _REFUSED_MEMBERS.isdisjoint(header):
        raise MalformedToken("a header member that an access token must not have")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise MalformedToken("alg is not a string")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARACTERS:
        raise MalformedToken("kid is not a short string")
    return algorithm, kid
