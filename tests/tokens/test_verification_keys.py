from typing import Any

import pytest

from evertoken.errors import ConfigurationError
from evertoken.tokens import base64url
from evertoken.tokens.keyring import KeyRing
from evertoken.tokens.signing_keys import SigningKey
from evertoken.tokens.verification_keys import read_jwk, read_jwks

from .forging import ABSENT, NOW_MS


def test_a_guard_elsewhere_reads_what_the_server_publishes(ring: KeyRing) -> None:
    """
    The JWK set that a server publishes is all that a guard on another machine needs.
    """
    keys = read_jwks(ring.jwks(now_ms=NOW_MS))
    assert {key.algorithm for key in keys.values()} == {"ES256", "EdDSA", "RS256"}
    for kid, key in keys.items():
        signer = ring.find(kid, now_ms=NOW_MS)
        assert signer is not None and key.is_genuine(signer.sign(b"message"), b"message")


@pytest.mark.parametrize(
    "change",
    [
        {"kid": ABSENT},
        {"kid": ""},
        {"kid": "k" * 129},
        {"kid": 1},
        {"alg": ABSENT},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "none"},
        {"alg": ["ES256"]},
        {"use": "enc"},
        {"use": 1},
        {"key_ops": ["sign"]},
        {"key_ops": "no-verify"},
        {"kty": "RSA"},
        {"kty": ["EC"]},
        {"kty": ABSENT},
        {"crv": "P-384"},
        {"x": ABSENT},
        {"x": 1},
        {"x": "AAAA"},
        {"x": "=" * 43},
    ],
)
def test_a_key_that_is_not_what_it_says_is_refused(es256: SigningKey, change: dict[str, Any]) -> None:
    """
    A published key must be whole, strong, meant for signatures, and for the algorithm that it names.
    """
    changed = {**(es256.public_jwk() or {}), **change}
    jwk = {name: value for name, value in changed.items() if value is not ABSENT}
    with pytest.raises(ConfigurationError):
        read_jwk(jwk)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "alg": "HS256", "k": ""},
        {"kty": "oct", "alg": "HS256", "k": base64url.encode(bytes(31))},
        {"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": base64url.encode(b"\xff" * 255)},
        {"kty": "RSA", "alg": "RS256", "e": "AQ", "n": base64url.encode(b"\xff" * 256)},
        {"kty": "OKP", "alg": "EdDSA", "crv": "Ed448", "x": base64url.encode(bytes(57))},
    ],
)
def test_a_weak_key_is_refused(jwk: dict[str, Any]) -> None:
    """
    Short RSA keys, short HMAC keys and RSA keys that sign nothing are refused, not warned about.
    """
    with pytest.raises(ConfigurationError):
        read_jwk(jwk | {"kid": "weak"})


def test_a_refused_key_is_not_shown() -> None:
    """
    The message about a bad key does not repeat it.
    """
    with pytest.raises(ConfigurationError) as refusal:
        read_jwk({"kty": "oct", "alg": "HS256", "kid": "short", "k": "c2VjcmV0"})
    assert "c2VjcmV0" not in str(refusal.value)


def test_a_set_with_a_kid_twice_is_refused(es256: SigningKey) -> None:
    """
    Which of two keys of one name counts must not depend on their order.
    """
    with pytest.raises(ConfigurationError):
        read_jwks({"keys": [es256.public_jwk(), es256.public_jwk()]})


def test_a_set_that_leaks_secret_keys_is_refused(es256: SigningKey) -> None:
    """
    A set in which secret keys lie among public ones was published by mistake.
    """
    secret = {"kty": "oct", "kid": "s", "alg": "HS256", "k": base64url.encode(bytes(32))}
    for leak in (secret, {"kid": "d", "kty": "EC", "d": "AAAA"}):
        with pytest.raises(ConfigurationError):
            read_jwks({"keys": [es256.public_jwk(), leak]})


def test_secret_keys_are_not_taken_from_a_published_set() -> None:
    """
    Whoever published an HS256 key has told everybody how to sign with it.
    """
    secret = {"kty": "oct", "kid": "s", "alg": "HS256", "k": base64url.encode(bytes(32))}
    assert read_jwks({"keys": [secret]}) == {}


def test_keys_for_other_algorithms_are_passed_over(es256: SigningKey) -> None:
    """
    A set may hold keys that we have no use for (RFC 7517 §5).
    """
    unknown = {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AAAA"}
    assert set(read_jwks({"keys": [unknown, es256.public_jwk()]})) == {es256.kid}


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": [1]}, {"keys": None}])
def test_what_is_no_set_is_refused(document: dict[str, Any]) -> None:
    """
    A document without a list of keys is not a JWK set.
    """
    with pytest.raises(ConfigurationError):
        read_jwks(document)


def test_an_empty_ring_publishes_an_empty_set() -> None:
    """
    A server that signs with HS256 only publishes a set without keys.
    """
    assert KeyRing([]).jwks(now_ms=NOW_MS) == {"keys": []}
