# ruff: noqa: RUF001 - letters that look alike are what is tested

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.accounts.usernames import MAX_KEY_CODE_POINTS, UsernameRefused, check_new_username, username_key

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # with halves of surrogate pairs


def rule_broken_by(username: str) -> str | None:
    try:
        check_new_username(username)
    except UsernameRefused as refused:
        return refused.rule
    return None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "aLICE"),
        ("straße", "STRASSE"),
        ("alice", "ａｌｉｃｅ"),
        ("ﬁona", "Fiona"),
        ("é", "e\u0301"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("  alice ", "alice"),
        ("al  ice", "Al ice"),
        ("al\u00a0ice", "al ice"),
        ("ᾳ", "\u0391\u0345"),
    ],
)
def test_forms_of_one_name_have_one_key(one: str, other: str) -> None:
    """Names that differ in case, width, composition or spaces at the ends are one name."""
    assert username_key(one) == username_key(other)


@pytest.mark.parametrize(("one", "other"), [("alice", "alicé"), ("alice", "ali ce"), ("paypal", "p\u0430ypal")])
def test_different_letters_have_different_keys(one: str, other: str) -> None:
    """Accents count; letters of another script that look alike count too, as the docs say."""
    assert username_key(one) != username_key(other)


@given(ANY_TEXT)
def test_a_key_can_always_be_stored(text: str) -> None:
    """Whatever is typed at sign-in, looking it up neither crashes nor breaks the database."""
    key = username_key(text)
    assert key.encode("utf-8").decode("utf-8") == key
    assert "\0" not in key
    assert len(key) <= MAX_KEY_CODE_POINTS
    assert username_key(key) == key


def test_the_key_of_every_code_point_is_stable() -> None:
    """The key of a key is that key, for every character that Unicode has, and folding at most doubles a name."""
    for character in map(chr, range(sys.maxunicode + 1)):
        key = username_key(character)
        assert username_key(key) == key
        assert len(key) <= 2 * len(unicodedata.normalize("NFKC", character))


@pytest.mark.parametrize("text", ["x" * 10_000, "\u0301\u0316" * 500_000, "a" * 129 + "\ufdfa" * 300, "\0", "\ud800"])
def test_a_text_that_cannot_be_a_name_is_nobodys(text: str) -> None:
    """A 10 kB name, a NUL, half of a surrogate pair: no user has that key, and it costs nothing to find out."""
    assert rule_broken_by(text) is not None
    assert "\ufffd" in username_key(text)
    assert rule_broken_by(username_key(text)) == "unassigned_character"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Alice", "Alice"),
        ("  Alice Smith ", "Alice Smith"),
        ("Ａlice", "Alice"),
        ("e\u0301va", "éva"),
        ("ann@example.com", "ann@example.com"),
        ("Мария", "Мария"),
        ("' OR 1=1 --", "' OR 1=1 --"),
        ("*)(uid=*", "*)(uid=*"),
        ("x" * 128, "x" * 128),
    ],
)
def test_a_good_name_is_kept_as_typed(typed: str, kept: str) -> None:
    """A name keeps its case and its signs; only its form and spare spaces change."""
    assert check_new_username(typed) == kept
    assert check_new_username(kept) == kept


@pytest.mark.parametrize(
    ("username", "rule"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("\u3000", "empty"),
        ("x" * 129, "too_long"),
        ("x" * 10_000, "too_long"),
        ("ﷺ" * 8, "too_long"),
        ("alice\r\nSet-Cookie: a=b", "control_character"),
        ("alice\n", "control_character"),
        ("ali\0ce", "control_character"),
        ("ali\x7fce", "control_character"),
        ("ali\x85ce", "control_character"),
        ("ali\u2028ce", "control_character"),
        ("\u202eecila", "invisible_character"),
        ("\u2067alice", "invisible_character"),
        ("alice\u200f", "invisible_character"),
        ("ali\u200bce", "invisible_character"),
        ("ali\u200dce", "invisible_character"),
        ("ali\ufeffce", "invisible_character"),
        ("ali\u00adce", "invisible_character"),
        ("ali\u3164ce", "invisible_character"),
        ("alice\ufe0f", "invisible_character"),
        ("alice\U000e0041", "invisible_character"),
        ("ali\ud83dce", "not_text"),
        ("ali\ufffdce", "unassigned_character"),
        ("ali\ue000ce", "unassigned_character"),
        ("ali\uffffce", "unassigned_character"),
    ],
)
def test_a_name_that_could_deceive_is_refused(username: str, rule: str) -> None:
    """Empty, over-long, invisible, reversed or broken names are refused, with the rule that they break."""
    assert rule_broken_by(username) == rule


@given(ANY_TEXT)
def test_the_kept_form_has_the_key_of_what_was_typed(text: str) -> None:
    """Whoever registers a name signs in with what they typed then."""
    try:
        kept = check_new_username(text)
    except UsernameRefused:
        return
    assert username_key(kept) == username_key(text)
    assert "\ufffd" not in username_key(text)
    assert check_new_username(kept) == kept
