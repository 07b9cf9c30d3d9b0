"""
Keys that verify, read from JSON Web Keys (RFC 7517), strictly.

A guard beside the server has the signing keys' own; a guard elsewhere reads them from `/.well-known/jwks.json`.
Each key is for one algorithm only (RFC 8725 §3.1), which is settled here, once, and never by a token.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from evertoken.errors import ConfigurationError, MalformedToken
from evertoken.tokens import base64url

ASYMMETRIC: Final = frozenset({"ES256", "EdDSA", "RS256"})
"""What a published key may be for. HS256 keys are secret and never leave the server."""

SUPPORTED: Final = ASYMMETRIC | {"HS256"}

MAX_KID_CHARACTERS: Final = 128
MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3
_SETTING: Final = "signing keys"

# The members that make the key, by its type (RFC 7518 §6, RFC 8037 §2).
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e"), "oct": ("k",)}
_READERS: Final[Mapping[str, type[ECKey] | type[OKPKey] | type[RSAKey] | type[OctKey]]] = {
    "EC": ECKey,
    "OKP": OKPKey,
    "RSA": RSAKey,
    "oct": OctKey,
}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class VerificationKey:
    """One key that verifies, for one algorithm. Cannot sign, except for HS256, where it is the same key."""

    __slots__ = ("_key", "_model", "algorithm", "kid")

    def __init__(self, kid: str, algorithm: str, key: ECKey | OKPKey | RSAKey | OctKey) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self._key = key
        # RFC 9864 gave EdDSA with Ed25519 the name Ed25519; the signature is the same. joserfc warns of the old
        # name, and takes it for Ed448 too, which we do not want.
        name = "Ed25519" if algorithm == "EdDSA" else algorithm
        self._model = JWSRegistry(algorithms=[name]).get_alg(name)
        self._model.check_key(key)

    def __repr__(self) -> str:
        return f"VerificationKey(kid={self.kid!r}, algorithm={self.algorithm!r})"

    def is_genuine(self, signature: bytes, signing_input: bytes) -> bool:
        """Whether this key made `signature`, a raw JOSE signature, over `signing_input`."""
        return self._model.verify(signing_input, signature, self._key)


def read_jwk(jwk: Mapping[str, Any], *, algorithms: Collection[str] = SUPPORTED) -> VerificationKey:
    """
    Read one key.

    Args:
        jwk: Must name its `kid` and its `alg`. Private members are dropped.
        algorithms: What its `alg` may be.

    Raises:
        ConfigurationError: It is incomplete, damaged, too weak for its algorithm, or meant for something else.
            The message never holds the key.
    """
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARACTERS:
        raise ConfigurationError(_SETTING, f"a key needs a kid of 1 to {MAX_KID_CHARACTERS} characters")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise ConfigurationError(_SETTING, f"key {kid!r} is for {algorithm!r}, which is not accepted here")
    # joserfc looks for "verify" in whatever key_ops is, so that the text "no-verify" would do.
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ConfigurationError(_SETTING, f"key {kid!r} is not meant for signatures")
    try:
        return VerificationKey(kid, algorithm, _read_members(jwk, algorithm))
    except (JoseError, MalformedToken, ValueError) as error:
        raise ConfigurationError(_SETTING, f"key {kid!r} is not a good key for {algorithm}") from error


def read_jwks(document: Mapping[str, Any], *, algorithms: Collection[str] = ASYMMETRIC) -> dict[str, VerificationKey]:
    """
    Read a set of keys, by kid. Keys for other algorithms are passed over (RFC 7517 §5).

    Args:
        document: The JWK set, parsed.
        algorithms: What to take from it. What is published must not be secret: HS256 is not among the default.

    Raises:
        ConfigurationError: It is not a set of keys; a kid occurs twice, so that the answer would depend on the
            order; it mixes public and secret keys; or a key that is ours to use is bad.
    """
    keys = document.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ConfigurationError(_SETTING, "the document is not a JWK set")
    kids = [key["kid"] for key in keys if isinstance(key.get("kid"), str)]
    if len(set(kids)) != len(kids):
        raise ConfigurationError(_SETTING, "the JWK set holds a kid twice")
    if 0 < sum(_is_secret(key) for key in keys) < len(keys):
        raise ConfigurationError(_SETTING, "the JWK set mixes public and secret keys: whoever made it has leaked some")
    read = (read_jwk(key, algorithms=algorithms) for key in keys if key.get("alg") in algorithms)
    return {key.kid: key for key in read}


def _is_secret(jwk: Mapping[str, Any]) -> bool:
    return jwk.get("kty") == "oct" or not _PRIVATE_MEMBERS.isdisjoint(jwk)


def _read_members(jwk: Mapping[str, Any], algorithm: str) -> ECKey | OKPKey | RSAKey | OctKey:
    key_type = jwk.get("kty")
    if not isinstance(key_type, str) or key_type not in _MEMBERS:
        raise ValueError("unknown kty")
    members = {name: value for name in _MEMBERS[key_type] if isinstance(value := jwk.get(name), str)}
    if len(members) != len(_MEMBERS[key_type]):
        raise ValueError("a member is missing")
    numbers = {name: base64url.decode(value) for name, value in members.items() if name != "crv"}
    _refuse_weak(key_type, numbers, algorithm)
    return _READERS[key_type].import_key({"kty": key_type, **members})


def _refuse_weak(key_type: str, numbers: Mapping[str, bytes], algorithm: str) -> None:
    """joserfc takes short RSA keys and short HMAC keys, with a warning at most."""
    if key_type == "RSA" and int.from_bytes(numbers["n"], "big").bit_length() < MIN_RSA_BITS:
        raise ValueError("RSA key too short")
    # RFC 7518 §3.2: at least as long as the hash, and "HS256" ends in the hash's bits.
    if key_type == "oct" and algorithm.startswith("HS") and len(numbers["k"]) * 8 < int(algorithm[2:]):
        raise ValueError("HMAC key too short")
