from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import BadSignature, MalformedToken, TokenError
from evertoken.sessions.rotation import Outcome, Presented, RotationPolicy, Row, decide
from evertoken.tokens import base64url, refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken

from .forging import NEW_SECRET, NOW_MS, OLD_SECRET, patient, secrets

_SIXTEEN = st.binary(min_size=16, max_size=16)
_TOKENS = st.builds(
    RefreshToken,
    session_id=_SIXTEEN,
    generation=st.integers(0, 2**32 - 1),
    tag=_SIXTEEN,
    parent=_SIXTEEN,
    issued_at_ms=st.integers(0, 2**48 - 1),
    delivery=st.sampled_from(Delivery),
)
_TOKEN = refresh_token.first(session_id=bytes(16), delivery=Delivery.COOKIE, now_ms=NOW_MS)


@patient
@given(_TOKENS)
def test_a_minted_token_is_read_as_it_was_meant(token: RefreshToken) -> None:
    """
    Whatever a refresh token says is read again, with the id of the secret that signed it.
    """
    ring = secrets()
    text = refresh_token.mint(token, ring)
    assert refresh_token.parse(text, ring) == replace(token, key_id=ring.minting.key_id)
    assert text.startswith("etr_") and len(text) < 160


@patient
@given(_TOKENS, st.data())
def test_any_changed_bit_makes_it_a_forgery(token: RefreshToken, data: st.DataObject) -> None:
    """
    A refresh token with one bit changed anywhere is refused.
    """
    ring = secrets()
    raw = bytearray(base64url.decode(refresh_token.mint(token, ring)[4:]))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BadSignature, MalformedToken)):
        refresh_token.parse("etr_" + base64url.encode(bytes(raw)), ring)


@patient
@given(st.data())
def test_any_other_text_near_a_token_is_refused(data: st.DataObject) -> None:
    """
    One character replaced, taken out, put in or cut off at the end: one token has one spelling.
    """
    ring = secrets()
    text = refresh_token.mint(_TOKEN, ring)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters())
    for near in (text[:at] + character + text[at + 1 :], text[:at] + character + text[at:], text[:at], text[at + 1 :]):
        if near != text:
            with pytest.raises(TokenError):
                refresh_token.parse(near, ring)


@patient
@given(
    st.one_of(st.text(), st.text(min_size=128, max_size=128).map("etr_".__add__), st.binary(min_size=96, max_size=96))
)
def test_any_text_is_refused_as_a_token_error(presented: str | bytes) -> None:
    """
    Whatever is presented as a refresh token, the refusal is a TokenError.
    """
    text = presented if isinstance(presented, str) else "etr_" + base64url.encode(b"\x01\x01" + presented[2:])
    with pytest.raises(TokenError):
        refresh_token.parse(text, secrets())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "etr_",
        "etr_" + "A" * 128,
        "ETR_" + "A" * 128,
        "e" * 1_000_000,
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
        "\ud800" * 132,
    ],
)
def test_what_is_no_refresh_token_is_malformed(text: str) -> None:
    """
    Prefix only, zeros, a megabyte, or an access token: none is a refresh token.
    """
    with pytest.raises(MalformedToken):
        refresh_token.parse(text, secrets())


def test_a_token_outlives_the_change_of_the_secret() -> None:
    """
    A token signed by the old secret is good while that secret is in the list, and a forgery once it is gone.
    """
    old, both, new = secrets(OLD_SECRET), secrets(NEW_SECRET, OLD_SECRET), secrets(NEW_SECRET)
    text = refresh_token.mint(_TOKEN, old)
    token = refresh_token.parse(text, both)
    assert token.key_id == old.minting.key_id
    with pytest.raises(BadSignature):
        refresh_token.parse(text, new)

    renewed = refresh_token.mint(token, both)
    assert refresh_token.parse(renewed, new).key_id == new.minting.key_id


def test_a_token_of_an_earlier_version_is_still_good() -> None:
    """
    An update signs nobody out: this text was minted by version 0.1.
    """
    text = (
        "etr_AQIc8aODAAECAwQFBgcICQoLDA0ODwAAAAcQERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLwGgxFBsAM27WW2WVBorta3dDcQ1"
        "mKFpPCNnk8KjPMPJS1e8yhiT"
    )
    token = RefreshToken(
        session_id=bytes(range(16)),
        generation=7,
        tag=bytes(range(16, 32)),
        parent=bytes(range(32, 48)),
        issued_at_ms=NOW_MS,
        delivery=Delivery.COOKIE,
        key_id=secrets().minting.key_id,
    )
    assert refresh_token.parse(text, secrets()) == token
    assert refresh_token.mint(token, secrets()) == text


def test_a_key_id_under_another_secrets_mac_is_a_forgery() -> None:
    """
    Naming a secret is not knowing it.
    """
    both = secrets(NEW_SECRET, OLD_SECRET)
    raw = bytearray(base64url.decode(refresh_token.mint(_TOKEN, secrets(OLD_SECRET))[4:]))
    raw[2:6] = both.minting.key_id
    with pytest.raises(BadSignature):
        refresh_token.parse("etr_" + base64url.encode(bytes(raw)), both)


@pytest.mark.parametrize("purpose", ["csrf", "lookup"])
def test_a_mac_for_another_purpose_does_not_sign_a_token(purpose: str) -> None:
    """
    No other MAC that the server hands out can be made into a refresh token's.
    """
    ring = secrets()
    body = base64url.decode(refresh_token.mint(_TOKEN, ring)[4:])[:-32]
    with pytest.raises(BadSignature):
        refresh_token.parse("etr_" + base64url.encode(body + getattr(ring.minting, purpose).of(body)), ring)


@pytest.mark.parametrize(("at", "value"), [(0, 0), (0, 2), (1, 0), (1, 3)])
def test_another_version_is_malformed_even_when_signed(at: int, value: int) -> None:
    """
    A version or a delivery that we do not know is not guessed at.
    """
    ring = secrets()
    body = bytearray(base64url.decode(refresh_token.mint(_TOKEN, ring)[4:])[:-32])
    body[at] = value
    with pytest.raises(MalformedToken):
        refresh_token.parse("etr_" + base64url.encode(bytes(body) + ring.minting.refresh_token.of(bytes(body))), ring)


def test_a_child_follows_its_parent() -> None:
    """
    A child is one generation further, names its parent, and travels the same way; each has its own tag.
    """
    child, sibling = (refresh_token.child_of(_TOKEN, now_ms=NOW_MS + 5) for _ in range(2))
    assert (child.session_id, child.delivery) == (_TOKEN.session_id, Delivery.COOKIE)
    assert (child.generation, child.parent, child.issued_at_ms) == (1, _TOKEN.tag, NOW_MS + 5)
    assert len({child.tag, sibling.tag, _TOKEN.tag}) == 3


def test_rotation_decides_on_a_parsed_token() -> None:
    """
    What a refresh token says is all that the rotation asks of it.
    """
    ring = secrets()
    row = Row(_TOKEN.tag, None, 0, NOW_MS, idle_expires_at_ms=NOW_MS + 10**9)
    presented: Presented = refresh_token.parse(refresh_token.mint(_TOKEN, ring), ring)
    policy = RotationPolicy(overlap_ms=60_000, idle_ms=10**9)
    assert decide(row, presented, now_ms=NOW_MS + 1, policy=policy).outcome is Outcome.REISSUE
