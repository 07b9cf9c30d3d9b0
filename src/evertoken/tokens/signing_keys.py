"""
Keys that sign access tokens.

Signing goes straight to `cryptography`: joserfc adds 16 us of header registry and JSON to each token, which takes
23 us with ES256 and 3 us with HS256 without it, and every refresh waits for one. Verifying goes through joserfc:
see verification_keys.py.
"""

import enum
import hashlib
import hmac
import json
import secrets as system_random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from evertoken.errors import ConfigurationError
from evertoken.tokens import base64url
from evertoken.tokens.verification_keys import VerificationKey, read_jwk

_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537
_HMAC_KEY_BYTES: Final = 32
_COORDINATE_BYTES: Final = 32
_RANDOM_KID_BYTES: Final = 16
_ECDSA: Final = ECDSA(hashes.SHA256())
_PKCS1: Final = PKCS1v15()
_SHA256: Final = hashes.SHA256()

_Private = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey | bytes


class Algorithm(enum.StrEnum):
    """What a key signs with; the `alg` of its tokens (RFC 7518 §3.1, RFC 8037 §3.1)."""

    ES256 = "ES256"
    EDDSA = "EdDSA"
    RS256 = "RS256"
    HS256 = "HS256"


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """
    A key that signs and verifies, for one algorithm. Its repr shows neither the key nor anything made from it.

    Make one with `generate` or `from_private_bytes`.

    Args:
        kid: Its name in the header of what it signs: the RFC 7638 thumbprint, or a random one for HS256, whose
            thumbprint would be a hash of the secret.
        sign: Gives the raw JOSE signature of a signing input.
        verification: The key that verifies what this one signs.
    """

    kid: str
    algorithm: Algorithm
    sign: Callable[[bytes], bytes] = field(repr=False)
    verification: VerificationKey = field(repr=False)
    _private: _Private = field(repr=False)

    @classmethod
    def generate(cls, algorithm: Algorithm) -> Self:
        """A new key. RS256 takes a tenth of a second, the others no time."""
        private = _generate(algorithm)
        return cls._assemble(algorithm, _thumbprint(private) or _random_kid(), private)

    @classmethod
    def from_private_bytes(cls, algorithm: Algorithm, kid: str, raw: bytes) -> Self:
        """
        The key that `to_private_bytes` wrote.

        Raises:
            ConfigurationError: `raw` is not a private key for `algorithm`.
        """
        private = _load(algorithm, raw)
        if private is None:
            raise ConfigurationError("signing keys", f"what is stored for {kid!r} is not a private {algorithm} key")
        return cls._assemble(algorithm, kid, private)

    @classmethod
    def _assemble(cls, algorithm: Algorithm, kid: str, private: _Private) -> Self:
        jwk = _members(private) | {"kid": kid, "alg": algorithm.value}
        return cls(kid, algorithm, _signer(private), read_jwk(jwk), private)

    def is_genuine(self, signature: bytes, signing_input: bytes) -> bool:
        """Whether this key made `signature`, a raw JOSE signature, over `signing_input`."""
        return self.verification.is_genuine(signature, signing_input)

    def to_private_bytes(self) -> bytes:
        """The private key for storage, not encrypted: PKCS #8 in DER, for HS256 the 32 bytes themselves."""
        if isinstance(self._private, bytes):
            return self._private
        return self._private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def public_jwk(self) -> dict[str, str] | None:
        """What the JWK set publishes of this key; None for HS256, of which nothing is public."""
        if isinstance(self._private, bytes):
            return None
        return _members(self._private) | {"kid": self.kid, "alg": self.algorithm.value, "use": "sig"}


def _generate(algorithm: Algorithm) -> _Private:
    match algorithm:
        case Algorithm.ES256:
            return generate_ec(SECP256R1())
        case Algorithm.EDDSA:
            return Ed25519PrivateKey.generate()
        case Algorithm.RS256:
            return generate_rsa(_RSA_EXPONENT, _RSA_BITS)
        case Algorithm.HS256:
            return system_random.token_bytes(_HMAC_KEY_BYTES)


def _load(algorithm: Algorithm, raw: bytes) -> _Private | None:
    """The key, if it is of the kind that signs with `algorithm`. Its strength is for `read_jwk` to judge."""
    if algorithm is Algorithm.HS256:
        return raw
    try:
        key = load_der_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    match algorithm, key:
        case Algorithm.ES256, EllipticCurvePrivateKey(curve=SECP256R1()):
            return key
        case Algorithm.EDDSA, Ed25519PrivateKey():
            return key
        case Algorithm.RS256, RSAPrivateKey():
            return key
    return None


def _signer(private: _Private) -> Callable[[bytes], bytes]:
    match private:
        case EllipticCurvePrivateKey():
            return lambda signing_input: _raw_ecdsa(private.sign(signing_input, _ECDSA))
        case Ed25519PrivateKey():
            return private.sign
        case RSAPrivateKey():
            return lambda signing_input: private.sign(signing_input, _PKCS1, _SHA256)
        case _:
            return lambda signing_input: hmac.digest(private, signing_input, "sha256")


def _raw_ecdsa(der: bytes) -> bytes:
    """RFC 7518 §3.4 wants r and s side by side, each 32 bytes long, not the DER that OpenSSL gives."""
    r, s = decode_dss_signature(der)
    return (r << 8 * _COORDINATE_BYTES | s).to_bytes(2 * _COORDINATE_BYTES, "big")


def _members(private: _Private) -> dict[str, str]:
    """
    The members that verifying needs (RFC 7518 §6, RFC 8037 §2): public ones, but for HS256 the secret.

    For asymmetric keys they are also exactly the members that the thumbprint is made of.
    """
    match private:
        case EllipticCurvePrivateKey():
            point = private.public_key().public_numbers()
            x, y = (_text(number, _COORDINATE_BYTES) for number in (point.x, point.y))
            return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case Ed25519PrivateKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(private.public_key().public_bytes_raw())}
        case RSAPrivateKey():
            numbers = private.public_key().public_numbers()
            n, e = (_text(number, (number.bit_length() + 7) // 8) for number in (numbers.n, numbers.e))
            return {"kty": "RSA", "n": n, "e": e}
        case _:
            return {"kty": "oct", "k": base64url.encode(private)}


def _text(number: int, length: int) -> str:
    return base64url.encode(number.to_bytes(length, "big"))


def _thumbprint(private: _Private) -> str | None:
    """RFC 7638 §3: SHA-256 of the required members, sorted and without white space."""
    if isinstance(private, bytes):
        return None
    canonical = json.dumps(_members(private), sort_keys=True, separators=(",", ":"))
    return base64url.encode(hashlib.sha256(canonical.encode("ascii")).digest())


def _random_kid() -> str:
    return base64url.encode(system_random.token_bytes(_RANDOM_KID_BYTES))
