"""One key of each kind for all tests of this room (an RSA key takes a tenth of a second), and a guard."""

import pytest

from evertoken.errors import TokenError
from evertoken.tokens import access_token
from evertoken.tokens.keyring import KeyRecord, KeyRing
from evertoken.tokens.signing_keys import Algorithm, SigningKey

from .forging import NOW_MS, RULES, Refused

_KEYS = {algorithm: SigningKey.generate(algorithm) for algorithm in Algorithm}


@pytest.fixture(scope="session", params=list(Algorithm))
def any_key(request: pytest.FixtureRequest) -> SigningKey:
    return _KEYS[request.param]


@pytest.fixture(scope="session")
def es256() -> SigningKey:
    return _KEYS[Algorithm.ES256]


@pytest.fixture(scope="session")
def hs256() -> SigningKey:
    return _KEYS[Algorithm.HS256]


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    """All four keys at once; what a token's header picks is up to its kid alone."""
    return KeyRing([KeyRecord(key, signs_from_ms=0) for key in _KEYS.values()])


@pytest.fixture
def refused(ring: KeyRing) -> Refused:
    def check(token: str, error: type[TokenError] = TokenError) -> None:
        with pytest.raises(error):
            access_token.verify(token, keys=ring, rules=RULES, now_ms=NOW_MS)

    return check
