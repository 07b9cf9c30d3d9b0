"""What a guard takes, and until when. What it refuses is in test_access_token_attacks.py."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import ClaimMismatch, ConfigurationError, TokenError, TokenExpired, TokenNotYetValid
from evertoken.tokens import access_token, base64url, strict_json
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.keyring import KeyRing
from evertoken.tokens.signing_keys import SigningKey
from evertoken.tokens.verification_keys import VerificationKey, read_jwks

from .forging import CLAIMS, NOW, NOW_MS, RULES, forge, patient


def _verify(token: str, ring: KeyRing, *, now_ms: int = NOW_MS, leeway_seconds: int = 0) -> AccessTokenClaims:
    rules = replace(RULES, leeway_seconds=leeway_seconds)
    return access_token.verify(token, keys=ring, rules=rules, now_ms=now_ms)


def test_a_signed_token_is_taken(any_key: SigningKey, ring: KeyRing) -> None:
    """
    With each algorithm, a guard reads from a token what the server wrote into it.
    """
    assert _verify(access_token.sign(CLAIMS.to_payload(), any_key), ring) == CLAIMS


def test_the_header_says_three_things(any_key: SigningKey) -> None:
    """
    The header of an access token holds alg, kid and typ, and nothing else.
    """
    header = strict_json.parse_object(base64url.decode(access_token.sign({}, any_key).split(".")[0]))
    assert header == {"alg": any_key.algorithm.value, "kid": any_key.kid, "typ": "at+jwt"}


def test_a_guard_elsewhere_takes_it_too(es256: SigningKey, ring: KeyRing) -> None:
    """
    A guard that has read the JWK set takes what the server signed.
    """

    class Published:
        keys = read_jwks(ring.jwks(now_ms=NOW_MS))

        def find(self, kid: str, *, now_ms: int) -> VerificationKey | None:
            return self.keys.get(kid)

    token = access_token.sign(CLAIMS.to_payload(), es256)
    assert access_token.verify(token, keys=Published(), rules=RULES, now_ms=NOW_MS) == CLAIMS


def test_at_its_expiry_a_token_is_expired(hs256: SigningKey, ring: KeyRing) -> None:
    """
    A token is good until the millisecond before `exp`, and expired at `exp` (RFC 7519 §4.1.4).
    """
    token = forge(hs256, payload={"exp": NOW})
    assert _verify(token, ring, now_ms=NOW_MS - 1).jti == CLAIMS.jti
    with pytest.raises(TokenExpired):
        _verify(token, ring, now_ms=NOW_MS)


@pytest.mark.parametrize("leeway_seconds", [1, 60])
def test_the_leeway_forgives_exactly_so_much(hs256: SigningKey, ring: KeyRing, leeway_seconds: int) -> None:
    """
    The leeway moves both edges, `exp` and `nbf`, by just its seconds.
    """
    expired = forge(hs256, payload={"exp": NOW - leeway_seconds})
    assert _verify(expired, ring, now_ms=NOW_MS - 1, leeway_seconds=leeway_seconds).jti == CLAIMS.jti
    with pytest.raises(TokenExpired):
        _verify(expired, ring, leeway_seconds=leeway_seconds)

    early = forge(hs256, payload={"nbf": NOW + leeway_seconds})
    assert _verify(early, ring, leeway_seconds=leeway_seconds).jti == CLAIMS.jti
    with pytest.raises(TokenNotYetValid):
        _verify(early, ring, now_ms=NOW_MS - 1, leeway_seconds=leeway_seconds)


def test_a_server_clock_may_be_a_minute_ahead(hs256: SigningKey, ring: KeyRing) -> None:
    """
    A token issued up to a minute in the future is taken, because no two clocks agree.
    """
    token = forge(hs256, payload={"iat": NOW + 60})
    assert _verify(token, ring).jti == CLAIMS.jti
    with pytest.raises(TokenNotYetValid):
        _verify(token, ring, now_ms=NOW_MS - 1)


def test_fractions_of_seconds_count(hs256: SigningKey, ring: KeyRing) -> None:
    """
    RFC 7519 allows fractions in a date, and they are compared to the millisecond.
    """
    token = forge(hs256, payload={"exp": NOW + 0.5})
    assert _verify(token, ring, now_ms=NOW_MS + 499).jti == CLAIMS.jti
    with pytest.raises(TokenExpired):
        _verify(token, ring, now_ms=NOW_MS + 500)


def test_an_expired_token_for_somebody_else_is_not_called_expired(hs256: SigningKey, ring: KeyRing) -> None:
    """
    "Expired" means good but for that: only then does a refresh help.
    """
    token = forge(hs256, payload={"exp": NOW - 5, "aud": "https://other.example"})
    with pytest.raises(ClaimMismatch) as refusal:
        _verify(token, ring)
    assert refusal.value.claim == "aud"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_the_type_may_be_spelled_as_a_media_type(hs256: SigningKey, ring: KeyRing, typ: Any) -> None:
    """
    `at+jwt` and `application/at+jwt` are the same type, in any case (RFC 9068 §4).
    """
    assert _verify(forge(hs256, header={"typ": typ}), ring).jti == CLAIMS.jti


def test_an_audience_among_several_is_taken(hs256: SigningKey, ring: KeyRing) -> None:
    """
    A token for several resources is good for each of them.
    """
    assert _verify(forge(hs256, payload={"aud": ["https://x.example", "https://api.example"]}), ring).jti == CLAIMS.jti


def test_a_header_member_that_nobody_knows_is_ignored(hs256: SigningKey, ring: KeyRing) -> None:
    """
    Unknown header members mean nothing to us (RFC 7515 §4).
    """
    assert _verify(forge(hs256, header={"note": "hello", "cty": "JWT", "x5t": "AAAA"}), ring).jti == CLAIMS.jti


@pytest.mark.parametrize(
    "rules",
    [
        {"issuer": ""},
        {"audience": ""},
        {"leeway_seconds": -1},
        {"leeway_seconds": 61},
    ],
)
def test_a_guard_that_would_take_anything_is_refused(rules: dict[str, Any]) -> None:
    """
    A guard names an issuer and an audience, and forgives at most a minute.
    """
    with pytest.raises(ConfigurationError):
        AccessTokenRules(**({"issuer": "https://auth.example", "audience": "api"} | rules))


@patient
@given(st.data())
def test_any_changed_bit_is_refused(any_key: SigningKey, ring: KeyRing, data: st.DataObject) -> None:
    """
    An access token with one bit changed anywhere in its header, payload or signature is refused.
    """
    parts = [bytearray(base64url.decode(part)) for part in access_token.sign(CLAIMS.to_payload(), any_key).split(".")]
    part = data.draw(st.sampled_from(parts))
    bit = data.draw(st.integers(0, len(part) * 8 - 1))
    part[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TokenError):
        _verify(".".join(base64url.encode(bytes(part)) for part in parts), ring)


@patient
@given(st.data())
def test_any_other_text_near_a_token_is_refused(hs256: SigningKey, ring: KeyRing, data: st.DataObject) -> None:
    """
    One character replaced, taken out, put in or cut off: one token has one spelling.
    """
    token = access_token.sign(CLAIMS.to_payload(), hs256)
    at = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters() | st.sampled_from("=.\n +/"))
    for near in (
        token[:at] + character + token[at + 1 :],
        token[:at] + character + token[at:],
        token[:at],
        token[at + 1 :],
    ):
        if near != token:
            with pytest.raises(TokenError):
                _verify(near, ring)


@patient
@given(st.one_of(st.text(), st.lists(st.binary().map(base64url.encode), min_size=3, max_size=3).map(".".join)))
def test_any_text_is_refused_as_a_token_error(ring: KeyRing, text: str) -> None:
    """
    Whatever is presented as an access token, the refusal is a TokenError.
    """
    with pytest.raises(TokenError):
        _verify(text, ring)


@patient
@given(header=st.binary(), payload=st.binary())
def test_any_signed_bytes_are_refused_as_a_token_error(
    hs256: SigningKey, ring: KeyRing, header: Any, payload: Any
) -> None:
    """
    Even under a genuine signature, what is not a token is refused as such.
    """
    for token in (forge(hs256, header=header), forge(hs256, payload=payload)):
        with pytest.raises(TokenError):
            _verify(token, ring)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@patient
@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "cty"]), _ANYTHING, max_size=2),
    payload=st.dictionaries(st.sampled_from([*CLAIMS.to_payload(), "nbf", "cnf"]), _ANYTHING, max_size=3),
    now_ms=st.integers(0, 2**60),
)
def test_any_signed_claims_are_read_or_refused(
    hs256: SigningKey, ring: KeyRing, header: Any, payload: Any, now_ms: int
) -> None:
    """
    Whatever values the claims have, they are taken or refused as a TokenError, never anything else.
    """
    try:
        claims = _verify(forge(hs256, header=header, payload=payload), ring, now_ms=now_ms)
    except TokenError:
        return
    assert claims.iss == RULES.issuer and RULES.audience in claims.aud
