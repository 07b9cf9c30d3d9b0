"""
Project Wycheproof's vectors, against the layer that `access_token.verify` stands on.

Nothing of ours is replaced: `read_jwk`, `read_jwks` and `verify_jws` are what guards use. They are told only that
keys for every algorithm of the vectors are welcome (RS384, PS256, ES512, ...), which no guard is: so a vector that
is valid with an algorithm that we do not offer must verify here, under the same strict reading, and one that is
invalid must be refused for what is wrong with it and not for its algorithm.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from evertoken.errors import BadSignature, ConfigurationError, TokenError
from evertoken.tokens import base64url
from evertoken.tokens.jws import Verifies, verify_jws
from evertoken.tokens.verification_keys import SUPPORTED, VerificationKey, read_jwk, read_jwks
from tests.needs import is_missing

VECTORS: Final = Path(__file__).parents[3] / "shared" / "vectors"
WELCOME: Final = SUPPORTED | {"HS384", "HS512", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "ES512"}

# 346 and 350 sign with PS384 under a key for PS256. 367 and 370 are called invalid, but are the very texts of valid
# ones. 372 and 373 are called valid, but hold a character outside the alphabet (RFC 7515 §2).
DEFECTIVE_JWS: Final = frozenset({346, 350, 367, 370, 372, 373})
# 7 asks for a test of RSA keys for one maker's faulty generator. Our keys are made by OpenSSL.
DEFECTIVE_JWK: Final = frozenset({7})


@cache
def _groups(name: str) -> list[dict[str, Any]]:
    path = VECTORS / name
    if not path.exists():
        is_missing(f"{path}: what our JWS layer takes is compared with Project Wycheproof's vectors")
    groups: list[dict[str, Any]] = json.loads(path.read_text())["testGroups"]
    return groups


def _vectors(name: str, skipped: frozenset[int]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in _groups(name):
        for vector in group["tests"]:
            if vector["tcId"] not in skipped:
                yield group, vector


class _Keys:
    def __init__(self, keys: Mapping[str, VerificationKey]) -> None:
        self._keys = keys

    def find(self, kid: str, *, now_ms: int) -> Verifies | None:
        return self._keys.get(kid)


def _is_taken(encoded: str, keys: Mapping[str, VerificationKey]) -> bool:
    try:
        payload = verify_jws(encoded, keys=_Keys(keys), now_ms=0).payload
    except TokenError:
        return False
    assert base64url.encode(payload) == encoded.split(".")[1]
    return True


def _read_key(group: Mapping[str, Any], encoded: str) -> VerificationKey:
    jwk = dict(group.get("public", group["private"]))
    # There is no ES521: the vectors' makers named it after the curve.
    jwk["alg"] = {"ES521": "ES512"}.get(jwk.get("alg", ""), jwk.get("alg"))
    # A key that names no algorithm is read as one for the vector's, so that nothing but its use can be wrong.
    jwk["alg"] = jwk["alg"] or json.loads(base64url.decode(encoded.split(".", maxsplit=1)[0]))["alg"]
    return read_jwk(jwk, algorithms=WELCOME)


def _is_jws_taken(group: Mapping[str, Any], encoded: str) -> bool:
    try:
        key = _read_key(group, encoded)
    except ConfigurationError:
        return False
    return _is_taken(encoded, {key.kid: key})


def _is_jwk_taken(group: Mapping[str, Any], encoded: str) -> bool:
    try:
        return _is_taken(encoded, read_jwks(group.get("public", group["private"]), algorithms=WELCOME))
    except ConfigurationError:
        return False


def test_the_jws_vectors_give_no_disagreement() -> None:
    """
    On each of Wycheproof's JWS vectors, but six defective ones, our layer says what the vector says.
    """
    vectors = list(_vectors("wycheproof_jws.json", DEFECTIVE_JWS))
    wrong = [
        (vector["tcId"], vector["comment"], vector["result"])
        for group, vector in vectors
        if _is_jws_taken(group, vector["jws"]) != (vector["result"] == "valid")
    ]
    assert wrong == []
    assert len(vectors) == 395


def test_the_jwk_vectors_give_no_disagreement() -> None:
    """
    On each of Wycheproof's JWK vectors, but one, our layer says what the vector says. 1 is a matter of policy: ours
    is to refuse a set that mixes public and secret keys.
    """
    vectors = list(_vectors("wycheproof_jwk.json", DEFECTIVE_JWK))
    wrong = [
        (vector["tcId"], vector["comment"], vector["result"])
        for group, vector in vectors
        if _is_jwk_taken(group, vector["jws"]) != (vector["result"] == "valid")
    ]
    assert wrong == []
    assert len(vectors) == 25


def test_a_valid_vector_of_an_algorithm_that_we_do_not_offer_is_refused() -> None:
    """
    A guard reads no key for another algorithm than ours, and our keys take no token of one.
    """
    ours = {"ES256", "EdDSA", "RS256", "HS256"}
    count = 0
    for group, vector in _vectors("wycheproof_jws.json", DEFECTIVE_JWS):
        if vector["result"] == "valid" and _read_key(group, vector["jws"]).algorithm not in ours:
            count += 1
            with pytest.raises(ConfigurationError):
                read_jwk(group.get("public", group["private"]))
    assert count > 20

    rsa = next(group["public"] for group in _groups("wycheproof_jws.json") if group["comment"] == "ps256")
    key = read_jwk(rsa | {"alg": "RS256"})
    for group, vector in _vectors("wycheproof_jws.json", DEFECTIVE_JWS):
        if group["comment"] == "ps256" and vector["result"] == "valid":
            with pytest.raises(BadSignature):
                verify_jws(vector["jws"], keys=_Keys({key.kid: key}), now_ms=0)
