"""The forgeries of SECURITY.md, by their numbers there: 20 to 33, which a guard refuses for what they say."""

import json
from typing import Any

import pytest

from evertoken.errors import ClaimMismatch, MalformedToken, TokenExpired, TokenNotYetValid
from evertoken.tokens import access_token, refresh_token
from evertoken.tokens.csrf import mint_csrf
from evertoken.tokens.keyring import KeyRing
from evertoken.tokens.refresh_token import Delivery
from evertoken.tokens.signing_keys import SigningKey

from .forging import ABSENT, CLAIMS, NOW, NOW_MS, RULES, Refused, forge, secrets


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000])
def test_a_date_that_is_not_finite_is_refused(hs256: SigningKey, refused: Refused, name: str, value: Any) -> None:
    """
    Attack 20: NaN compares with nothing, and infinity never comes.
    """
    payload = json.dumps(CLAIMS.to_payload() | {name: "?"}).encode()
    refused(forge(hs256, payload=payload.replace(b'"?"', value)), MalformedToken)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["9999999999", True, False, None, [NOW + 9], {"a": 1}, ABSENT])
def test_a_date_of_another_type_is_refused(
    hs256: SigningKey, refused: Refused, ring: KeyRing, name: str, value: Any
) -> None:
    """
    Attack 20: a date is a number; no text of digits, no truth, no list.
    """
    token = forge(hs256, payload={name: value})
    if name == "nbf" and value is ABSENT:
        assert access_token.verify(token, keys=ring, rules=RULES, now_ms=NOW_MS).jti == CLAIMS.jti
    else:
        refused(token, MalformedToken)


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, -1, -(10**90), -1e308])
def test_an_expiry_that_has_come_is_expired(hs256: SigningKey, refused: Refused, exp: float) -> None:
    """
    Attack 20: from `exp` on, and for every date before now.
    """
    refused(forge(hs256, payload={"exp": exp}), TokenExpired)


@pytest.mark.parametrize(
    "claims", [{"nbf": NOW + 1}, {"nbf": 10**90}, {"nbf": 1e308}, {"iat": NOW + 61}, {"iat": 1e308}]
)
def test_a_token_from_the_future_is_refused(hs256: SigningKey, refused: Refused, claims: Any) -> None:
    """
    Attack 21: not before `nbf`, and not before it was issued.
    """
    refused(forge(hs256, payload=claims), TokenNotYetValid)


@pytest.mark.parametrize(
    "aud",
    [
        "https://api.example/",
        "https://api.exampl",
        "https://api.example.evil",
        "HTTPS://API.EXAMPLE",
        ["https://other.example"],
        [["https://api.example"]],
        ["https://api.example", 1],
        {"https://api.example": 1},
        1,
        None,
        "",
        [],
        ABSENT,
    ],
)
def test_a_token_for_somebody_else_is_refused(hs256: SigningKey, refused: Refused, aud: Any) -> None:
    """
    Attack 22: the audience is ours to the letter, by itself or in a plain list.
    """
    refused(forge(hs256, payload={"aud": aud}))


@pytest.mark.parametrize(
    "iss",
    [
        "https://auth.example/",
        "HTTPS://auth.example",
        "https://auth.example.evil",
        "",
        ["https://auth.example"],
        None,
        ABSENT,
    ],
)
def test_a_token_of_another_issuer_is_refused(hs256: SigningKey, refused: Refused, iss: Any) -> None:
    """
    Attack 23: the issuer is ours to the letter.
    """
    refused(forge(hs256, payload={"iss": iss}))


@pytest.mark.parametrize(
    "typ",
    ["JWT", "dpop+jwt", "logout+jwt", "at+jwt ", "application/jwt", "at", "", "ﬆ", ["at+jwt"], 1, None, ABSENT],
)
def test_a_token_of_another_type_is_refused(hs256: SigningKey, refused: Refused, typ: Any) -> None:
    """
    Attack 24: a JWT that the same key signed for something else is not an access token.
    """
    refused(forge(hs256, header={"typ": typ}), ClaimMismatch)


def test_our_other_tokens_are_no_access_tokens(es256: SigningKey, refused: Refused) -> None:
    """
    Attack 25: refresh tokens, CSRF tokens and ID tokens open nothing.
    """
    ring = secrets()
    first = refresh_token.first(session_id=bytes(16), delivery=Delivery.BODY, now_ms=NOW_MS)
    refused(refresh_token.mint(first, ring), MalformedToken)
    refused(mint_csrf(bytes(16), ring), MalformedToken)
    refused(forge(es256, header={"typ": "JWT"}, payload={"nonce": "n", "aud": "web"}), ClaimMismatch)


def test_an_access_token_is_no_refresh_token(es256: SigningKey) -> None:
    """
    Attack 25: nor does an access token renew anything.
    """
    with pytest.raises(MalformedToken):
        refresh_token.parse(forge(es256), secrets())


@pytest.mark.parametrize("name", ["sub", "client_id", "jti", "sid"])
@pytest.mark.parametrize("value", [1, True, None, "", ["u-1"], {"a": 1}, ABSENT])
def test_a_claim_that_names_somebody_must_be_a_text(hs256: SigningKey, refused: Refused, name: str, value: Any) -> None:
    """
    Attack 27: a number that some database takes for a user id, or nothing at all, names nobody.
    """
    refused(forge(hs256, payload={name: value}), MalformedToken)


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": ["read"]},
        {"scope": 1},
        {"scope": None},
        {"roles": "admin"},
        {"roles": [1]},
        {"roles": {"admin": 1}},
        {"roles": None},
    ],
)
def test_rights_of_another_type_are_refused(hs256: SigningKey, refused: Refused, claims: dict[str, Any]) -> None:
    """
    Attack 28: a scope is a text and roles are a list of texts; nothing is read into anything else.
    """
    refused(forge(hs256, payload=claims), MalformedToken)


@pytest.mark.parametrize("cnf", [{"jkt": "AAAA"}, {}, None])
def test_a_token_bound_to_a_key_is_refused(hs256: SigningKey, refused: Refused, cnf: Any) -> None:
    """
    Attack 33: a token that is good only with a proof is not taken without one.
    """
    refused(forge(hs256, payload={"cnf": cnf}), ClaimMismatch)
