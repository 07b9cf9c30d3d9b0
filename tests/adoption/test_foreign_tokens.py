"""Reading refresh tokens of other libraries: what passes, and every way in which one does not."""

import json
from typing import Any

import pytest

from evertoken.errors import (
    BadSignature,
    ClaimMismatch,
    ConfigurationError,
    MalformedToken,
    TokenExpired,
    TokenNotYetValid,
)
from evertoken.secret import Secret
from evertoken.tokens import foreign
from evertoken.tokens.foreign import USER_CLAIM, ForeignRules, ForeignToken, Library
from tests.adoption.tokens import DAY, ISSUED, KEY, KEYS, VECTORS, Vector, changed, part, signed, vector

NOW_MS = (ISSUED + 60) * 1000


def verify(
    token: str,
    library: str = "simplejwt",
    algorithm: str = "HS256",
    *,
    now_ms: int = NOW_MS,
    issuer: str = "",
    audience: str = "",
) -> ForeignToken:
    rules = ForeignRules(Library(library), USER_CLAIM[Library(library)], issuer, audience)
    key = foreign.read_key(algorithm, Secret(KEYS[algorithm]))
    return foreign.verify(token, key=key, rules=rules, now_ms=now_ms)


@pytest.mark.parametrize("real", VECTORS, ids=lambda v: f"{v.library} {v.algorithm} {v.kind}")
def test_refresh_tokens_that_the_libraries_made_are_read_and_access_tokens_are_not(real: Vector) -> None:
    """Real tokens of simplejwt and Flask-JWT-Extended pass by HS256, RS256 and ES256; their access tokens never do."""
    wants_issuer = "issuer" in real.kind
    issuer, audience = ("https://old.example", "web") if wants_issuer else ("", "")
    if real.kind == "access":
        with pytest.raises(ClaimMismatch, match="type"):
            verify(real.token, real.library)
        return
    read = verify(real.token, real.library, real.algorithm, issuer=issuer, audience=audience)
    assert (read.user, read.expires_at_ms) == ("17", real.claims["exp"] * 1000)
    assert len(read.fingerprint) == 32
    other = "flask-jwt-extended" if real.library == "simplejwt" else "simplejwt"
    with pytest.raises(ClaimMismatch):
        verify(real.token, other, real.algorithm, issuer=issuer, audience=audience)


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        ({"alg": "none"}, BadSignature),
        ({"alg": "None", "typ": "JWT"}, BadSignature),
        ({"alg": "HS512"}, BadSignature),
        ({"alg": "RS256"}, BadSignature),
        ({"alg": ["HS256"]}, BadSignature),
        ({}, BadSignature),
        ({"alg": "HS256", "typ": "at+jwt"}, ClaimMismatch),
        ({"alg": "HS256", "typ": 1}, ClaimMismatch),
        ({"alg": "HS256", "crit": []}, MalformedToken),
        ({"alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}}, MalformedToken),
        ({"alg": "HS256", "jku": "https://evil.example"}, MalformedToken),
        (b'{"alg":"HS256","alg":"HS256"}', MalformedToken),
        (b"[]", MalformedToken),
    ],
)
def test_the_header_decides_nothing(header: Any, refusal: type[Exception]) -> None:
    """The algorithm is the setting's: a token that names none, another, or a key of its own is refused."""
    with pytest.raises(refusal):
        verify(signed(vector().claims, header=header))


def test_a_public_key_cannot_be_used_as_a_secret() -> None:
    """Signing with the public key's text as an HMAC secret gains nothing: the algorithm is the setting's."""
    forged = signed(vector().claims, header={"alg": "HS256"}, key=KEYS["RS256"])
    for algorithm in ("RS256", "ES256"):
        with pytest.raises(BadSignature):
            verify(forged, algorithm=algorithm)
        lying = signed(vector().claims, header={"alg": algorithm}, key=KEYS[algorithm])
        with pytest.raises(BadSignature):
            verify(lying, algorithm=algorithm)


def test_no_signature_no_entry() -> None:
    """A signature that is missing, cut short, another token's or another key's is refused."""
    head, payload, signature = vector().token.split(".")
    for bad in ("", signature[:-2], vector(kind="access").token.split(".")[2]):
        with pytest.raises((BadSignature, MalformedToken)):
            verify(f"{head}.{payload}.{bad}")
    with pytest.raises(BadSignature):
        verify(signed(vector().claims, key=KEY + "x"))
    with pytest.raises(BadSignature):
        verify(f"{head}.{part({**vector().claims, 'user_id': '1'})}.{signature}")


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"exp": None}, MalformedToken),
        ({"exp": "1900000000"}, MalformedToken),
        ({"exp": True}, MalformedToken),
        ({"exp": ISSUED + 60}, TokenExpired),
        ({"exp": -1}, TokenExpired),
        ({"iat": ISSUED + 121}, TokenNotYetValid),
        ({"nbf": ISSUED + 121}, TokenNotYetValid),
        ({"nbf": "soon"}, MalformedToken),
        ({"jti": None}, MalformedToken),
        ({"jti": ""}, MalformedToken),
        ({"jti": 17}, MalformedToken),
        ({"jti": ["a"]}, MalformedToken),
        ({"jti": "x" * 257}, MalformedToken),
        ({"user_id": None}, MalformedToken),
        ({"user_id": ""}, MalformedToken),
        ({"user_id": True}, MalformedToken),
        ({"user_id": 1.5}, MalformedToken),
        ({"user_id": {"id": 17}}, MalformedToken),
        ({"user_id": "x" * 257}, MalformedToken),
        ({"user_id": "17\0"}, MalformedToken),
        ({"token_type": None}, ClaimMismatch),
        ({"token_type": "access"}, ClaimMismatch),
        ({"token_type": "Refresh"}, ClaimMismatch),
        ({"token_type": ["refresh"]}, ClaimMismatch),
        ({"token_type": None, "type": "refresh"}, ClaimMismatch),
        ({"iss": "https://other.example"}, ClaimMismatch),
        ({"aud": "other"}, ClaimMismatch),
        ({"aud": ["other"]}, ClaimMismatch),
        ({"aud": ""}, ClaimMismatch),
    ],
)
def test_a_claim_that_is_missing_wrong_or_of_another_type_is_refused(
    claims: dict[str, Any], refusal: type[Exception]
) -> None:
    """Every claim that counts is demanded, with its type; an issuer or audience that no setting names is refused."""
    with pytest.raises(refusal):
        verify(changed(**claims))


def test_an_issuer_and_audience_that_are_set_are_demanded() -> None:
    """With adopt_issuer and adopt_audience set, tokens without them or with others are refused."""
    good = changed(iss="https://old.example", aud=["web", "app"])
    assert verify(good, issuer="https://old.example", audience="app").user == "17"
    for issuer, audience in (("https://old.example/", "app"), ("https://old.example", "ap"), ("", "app")):
        with pytest.raises(ClaimMismatch):
            verify(good, issuer=issuer, audience=audience)
    for bare in (changed(iss="https://old.example"), changed(aud="app")):
        with pytest.raises(ClaimMismatch):
            verify(bare, issuer="https://old.example", audience="app")


def test_a_number_as_user_id_is_its_digits() -> None:
    """Older versions of simplejwt write the primary key as a number."""
    assert verify(changed(user_id=17)).user == "17"


def test_a_token_that_never_expires_is_remembered_for_as_long_as_a_store_can_say() -> None:
    """An `exp` beyond every calendar breaks nothing."""
    for exp in (10**30, 1e300):
        assert verify(changed(exp=exp)).expires_at_ms == 2**53
    assert verify(changed(exp=ISSUED + 61.0005)).expires_at_ms == ISSUED * 1000 + 61_001


def test_the_same_jti_of_another_library_is_another_token() -> None:
    """Tokens are remembered by library and jti."""
    one = verify(changed(jti="a"))
    other = verify(signed({**vector("flask-jwt-extended").claims, "jti": "a"}), "flask-jwt-extended")
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == verify(changed(jti="a", exp=ISSUED + DAY)).fingerprint


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "." * 9000, "x" * 9000, "é.é.é", "eyJhbGciOiJIUzI1NiJ9.e30."])
def test_what_is_no_token_is_malformed(text: str) -> None:
    """Any text is answered, none breaks anything."""
    with pytest.raises((MalformedToken, BadSignature)):
        verify(text)


@pytest.mark.parametrize(
    ("algorithm", "key", "words"),
    [
        ("HS256", "hunter2", "at least 32 bytes"),
        ("HS256", KEYS["RS256"], "takes a secret"),
        ("RS256", KEY, "public key in PEM"),
        ("RS256", KEYS["ES256"], "RS256"),
        ("ES256", KEYS["RS256"], "ES256"),
        ("ES256", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "public key"),
        ("RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "RS256"),
    ],
)
def test_a_key_that_does_not_fit_its_algorithm_is_refused_at_start(algorithm: str, key: str, words: str) -> None:
    """A weak secret, a public key as a secret or a key of another kind is a mistake in the settings, and not shown."""
    with pytest.raises(ConfigurationError, match=words) as refused:
        foreign.read_key(algorithm, Secret(key))
    assert key not in str(refused.value)


def test_no_repr_shows_the_claims() -> None:
    """A verified token in a traceback shows neither its jti nor what else it says."""
    shown = repr(verify(vector().token))
    assert vector().claims["jti"] not in shown
    assert json.dumps(vector().claims)[1:20] not in shown
