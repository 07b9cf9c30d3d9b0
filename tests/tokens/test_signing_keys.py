import hashlib
import json
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import ConfigurationError
from evertoken.tokens import base64url
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from evertoken.tokens.verification_keys import read_jwk

from .forging import patient


def test_a_key_verifies_what_it_signed_and_nothing_else(any_key: SigningKey) -> None:
    """
    A signature is good for exactly the bytes that were signed.
    """
    signature = any_key.sign(b"header.payload")
    assert any_key.is_genuine(signature, b"header.payload")
    assert not any_key.is_genuine(signature, b"header.other")
    assert not any_key.is_genuine(b"", b"header.payload")


@patient
@given(st.binary())
def test_an_es256_signature_is_always_64_bytes(es256: SigningKey, signing_input: bytes) -> None:
    """
    ES256 signatures are r and s side by side, 32 bytes each, however small the numbers are.
    """
    signature = es256.sign(signing_input)
    assert len(signature) == 64
    assert es256.is_genuine(signature, signing_input)


def test_a_stored_key_comes_back(any_key: SigningKey) -> None:
    """
    A key read back from storage has the same name and verifies what was signed before.
    """
    restored = SigningKey.from_private_bytes(any_key.algorithm, any_key.kid, any_key.to_private_bytes())
    assert (restored.kid, restored.algorithm) == (any_key.kid, any_key.algorithm)
    assert restored.is_genuine(any_key.sign(b"message"), b"message")
    assert any_key.is_genuine(restored.sign(b"message"), b"message")


def _pkcs8(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


_OTHER_KINDS: Final = {
    "rubbish": (Algorithm.ES256, b"rubbish"),
    "P-384 for ES256": (Algorithm.ES256, _pkcs8(ec.generate_private_key(ec.SECP384R1()))),
    "Ed25519 for ES256": (Algorithm.ES256, _pkcs8(ed25519.Ed25519PrivateKey.generate())),
    "P-256 for EdDSA": (Algorithm.EDDSA, _pkcs8(ec.generate_private_key(ec.SECP256R1()))),
    "a short RSA key": (Algorithm.RS256, _pkcs8(rsa.generate_private_key(65537, 1024))),
    "a short secret": (Algorithm.HS256, bytes(31)),
}


@pytest.mark.parametrize("kind", _OTHER_KINDS)
def test_a_stored_key_of_another_kind_is_refused(kind: str) -> None:
    """
    A key that is not for its algorithm, or too short, is refused at start-up.
    """
    algorithm, raw = _OTHER_KINDS[kind]
    with pytest.raises(ConfigurationError):
        SigningKey.from_private_bytes(algorithm, "kid", raw)


def test_what_is_published_holds_nothing_private(any_key: SigningKey) -> None:
    """
    A published key has its public members, kid, alg and use; an HS256 key is not published at all.
    """
    published = any_key.public_jwk()
    if published is None:
        assert any_key.algorithm is Algorithm.HS256
        return
    public = {"ES256": {"crv", "x", "y"}, "EdDSA": {"crv", "x"}, "RS256": {"n", "e"}}[any_key.algorithm]
    assert set(published) == public | {"kty", "kid", "alg", "use"}
    assert read_jwk(published).is_genuine(any_key.sign(b"message"), b"message")


def test_the_kid_is_the_thumbprint(es256: SigningKey) -> None:
    """
    Anybody can compute a key's kid from the key (RFC 7638).
    """
    jwk = es256.public_jwk() or {}
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    assert es256.kid == base64url.encode(hashlib.sha256(canonical.encode()).digest())


def test_the_kid_of_a_secret_key_tells_nothing_about_it(hs256: SigningKey) -> None:
    """
    An HS256 key has a random kid: a thumbprint would let anybody test guesses of the key.
    """
    raw = hs256.to_private_bytes()
    canonical = json.dumps({"k": base64url.encode(raw), "kty": "oct"}, separators=(",", ":"))
    assert hs256.kid != base64url.encode(hashlib.sha256(canonical.encode()).digest())
    assert SigningKey.generate(Algorithm.HS256).kid != hs256.kid


def test_no_repr_shows_a_key(any_key: SigningKey) -> None:
    """
    What is printed of a key is its kid and its algorithm.
    """
    assert repr(any_key) == f"SigningKey(kid={any_key.kid!r}, algorithm={any_key.algorithm!r})"
    assert repr(any_key.verification).startswith("VerificationKey(kid=")
