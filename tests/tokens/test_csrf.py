from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.tokens.csrf import is_csrf_valid, mint_csrf

from .forging import NEW_SECRET, OLD_SECRET, patient, secrets


@patient
@given(session_id=st.binary(), other=st.binary())
def test_a_csrf_token_is_good_for_its_own_session_only(session_id: bytes, other: bytes) -> None:
    """
    A page that knows the CSRF token of one session can speak for that session and no other.
    """
    ring = secrets()
    text = mint_csrf(session_id, ring)
    assert is_csrf_valid(text, session_id, ring)
    assert is_csrf_valid(text, other, ring) == (session_id == other)


@patient
@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    """
    Whatever text comes as a CSRF token, the answer is no, and never an error.
    """
    assert not is_csrf_valid(text, b"session", secrets())


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text + "=", lambda text: text[:-1], lambda text: text + "ü"]
)
def test_another_spelling_is_refused(change: Callable[[str], str]) -> None:
    """
    A CSRF token has one spelling.
    """
    ring = secrets()
    assert not is_csrf_valid(change(mint_csrf(b"session", ring)), b"session", ring)


def test_every_secret_of_the_list_is_asked() -> None:
    """
    The place of the secret in the list makes no difference to what it made.
    """
    text = mint_csrf(b"session", secrets(NEW_SECRET))
    assert is_csrf_valid(text, b"session", secrets(NEW_SECRET, OLD_SECRET))
    assert is_csrf_valid(text, b"session", secrets(OLD_SECRET, NEW_SECRET))


def test_a_csrf_token_of_an_earlier_version_is_still_good() -> None:
    """
    An update does not break the pages that are open: this text was minted by version 0.1.
    """
    assert mint_csrf(bytes(range(16)), secrets()) == "nPzj2zbuyTrzeMMcjjGk05TDAl1-HuwY_lNqQF9hNcs"


def test_a_csrf_token_outlives_the_change_of_the_secret() -> None:
    """
    A page that was loaded before the secrets changed places goes on working until the old one is gone.
    """
    text = mint_csrf(b"session", secrets(OLD_SECRET))
    assert is_csrf_valid(text, b"session", secrets(NEW_SECRET, OLD_SECRET))
    assert not is_csrf_valid(text, b"session", secrets(NEW_SECRET))
