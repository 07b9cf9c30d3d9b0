from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import HookFailed, MalformedToken
from evertoken.tokens.claims import RESERVED, AccessTokenClaims, check_extra

from .forging import CLAIMS, patient

_WORD = st.text("abcXYZ019:/-._", min_size=1)
_CLAIMS = st.builds(
    AccessTokenClaims,
    iss=_WORD,
    sub=_WORD,
    aud=st.lists(_WORD, min_size=1).map(tuple),
    client_id=_WORD,
    exp=st.integers(),
    iat=st.integers(),
    jti=_WORD,
    sid=_WORD,
    roles=st.lists(_WORD).map(tuple),
    scope=st.lists(_WORD).map(tuple),
    extra=st.dictionaries(_WORD.filter(lambda name: name not in RESERVED), st.integers() | _WORD),
)


@patient
@given(_CLAIMS)
def test_claims_written_and_read_come_back(claims: AccessTokenClaims) -> None:
    """
    What a token's claims say is what is read from them.
    """
    assert AccessTokenClaims.from_payload(claims.to_payload()) == claims


def test_empty_lists_are_left_out() -> None:
    """
    A token says nothing about roles or scope where there are none; it travels with every request.
    """
    payload = replace(CLAIMS, roles=(), scope=(), aud=("a", "b"), extra={}).to_payload()
    assert "roles" not in payload and "scope" not in payload
    assert payload["aud"] == ["a", "b"]


def test_an_extra_claim_never_replaces_one_of_ours() -> None:
    """
    Even unchecked, what an application adds cannot make the token say another user.
    """
    assert replace(CLAIMS, extra={"sub": "root"}).to_payload()["sub"] == "u-1"


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_very_long_number_is_a_date(value: int) -> None:
    """
    A date of any length is compared, not converted.
    """
    assert AccessTokenClaims.from_payload(CLAIMS.to_payload() | {"exp": value}).exp == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_no_date(value: float) -> None:
    """
    NaN and infinity are refused whoever parsed them.
    """
    with pytest.raises(MalformedToken):
        AccessTokenClaims.from_payload(CLAIMS.to_payload() | {"exp": value})


@pytest.mark.parametrize("scope", [" read", "read ", "read  write", " "])
def test_a_scope_with_stray_spaces_is_malformed(scope: str) -> None:
    """
    A scope is words with one space between them (RFC 6749 §3.3).
    """
    with pytest.raises(MalformedToken):
        AccessTokenClaims.from_payload(CLAIMS.to_payload() | {"scope": scope})


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_hook_may_not_set_a_claim_of_ours(name: str) -> None:
    """
    An application adds claims, but never says who the caller is or until when.
    """
    with pytest.raises(HookFailed, match=name):
        check_extra({name: "x"})


@pytest.mark.parametrize(
    "extra",
    [
        {"a": object()},
        {"a": "\0"},
        {"a": "\ud800"},
        {"a": float("1e308") * 10, "b": 1j},
        {"a": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]},
        {"a": "x" * 5000},
        {1: {2: object()}},
    ],
)
def test_a_hook_may_not_add_what_a_guard_would_refuse(extra: Any) -> None:
    """
    What our own guards would refuse is found when the token is made, not when its owner is locked out.
    """
    with pytest.raises(HookFailed):
        check_extra(extra)


def test_ordinary_extra_claims_pass() -> None:
    """
    Texts, numbers, lists and objects may be added.
    """
    check_extra(CLAIMS.extra)
    check_extra({})
