# ruff: noqa: RUF001 - letters that look alike are what is tested

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.accounts.password_rules import PasswordRefused, check_new_password, common_passwords
from evertoken.secret import Secret


def rule_broken_by(
    password: str, *, username: str = "ann@example.com", service_name: str = "Evertoken Demo", min_length: int = 15
) -> str | None:
    try:
        check_new_password(Secret(password), username=username, service_name=service_name, min_length=min_length)
    except PasswordRefused as refused:
        return refused.rule
    return None


@pytest.mark.parametrize(
    "password",
    [
        "correct-horse-battery",
        "correct horse battery staple",
        "  spaces at both ends  ",
        "all lower case letters",
        "83920174659283017465",
        "kühlschrank im regen",
        "一二三四五六七八九十百千万亿兆",
        "🐎🔋📎✅ horse battery",
        "9b1deb4d-3b7d-4bad-9bdd",
        "xK9-don7qT2mZ5pW",
        "x" * 40 + " eleven other things " + "y" * 40,
        "overstuffed property",
    ],
)
def test_a_long_password_that_nobody_foresees_passes(password: str) -> None:
    """Words, spaces, any script, digits alone: all are good when they are long and not foreseeable."""
    assert rule_broken_by(password) is None


def test_length_counts_code_points_after_normalisation() -> None:
    """A password has at least 15 characters, whatever their bytes, counted once they are composed."""
    assert rule_broken_by("zebra-quilt-ox") == "too_short"
    assert rule_broken_by("zebra-quilt-oxe") is None
    assert rule_broken_by("zebra-quilt-u\u0308x") == "too_short"
    assert rule_broken_by("🐎🔋📎✅🦓🧵🐂🧲🪐🥨🎻🛶🧭🌵") == "too_short"
    assert rule_broken_by("🐎🔋📎✅🦓🧵🐂🧲🪐🥨🎻🛶🧭🌵🪁") is None
    assert rule_broken_by("") == "too_short"


def test_the_minimum_can_be_set() -> None:
    """Where there is a second factor, 8 characters do."""
    assert rule_broken_by("ox-quilt", min_length=8) is None
    assert rule_broken_by("ox-quil", min_length=8) == "too_short"
    assert rule_broken_by("dragon99", min_length=8) == "too_common"


def test_a_password_that_cannot_be_hashed_is_refused() -> None:
    """Over-long text and halves of surrogate pairs are refused before anything reads them."""
    assert rule_broken_by("x" * 1_000_000) == "too_long"
    assert rule_broken_by("correct-horse-\udc80-battery") == "not_text"


@pytest.mark.parametrize(
    "password", ["1q2w3e4r5t6y7u8i9o0p", "1Q2W3E4R5T6Y7U8I", " Friend of Emily ", "mega_pizdetz666"]
)
def test_a_listed_password_is_refused_in_any_case(password: str) -> None:
    """A password that everybody tries first stays one in capitals and between spaces."""
    assert rule_broken_by(password) == "too_common"


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "password-password-password",
        "Password2024!!!!",
        "2024-2025-2026 Dragon",
        "p4$$w0rd2024!!!!",
        "P@ssw0rd-P@ssw0rd",
        "trustno1 trustno1 2024",
        "123password456password",
        "qwerty2024qwerty2024",
        "passwordaaaaaaaa",
        "ｐａｓｓｗｏｒｄ２０２４！！！！",
        "dragon 8391740265 7",
        "пароль2024пароль!",
        "ann.password.1999",
    ],
)
def test_one_listed_word_with_padding_is_refused(password: str) -> None:
    """A common word does not become a password by repetition, years, punctuation or digits for letters."""
    assert rule_broken_by(password) == "too_common"


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("catherine.miller1", "contains_username"),
        ("CATHERINE-2024-05-17", "contains_username"),
        ("millermillermiller", "contains_username"),
        ("c4therine-c4therine", "contains_username"),
        ("catherine1234567890", "contains_username"),
        ("bluebirdbank!!2024", "contains_service_name"),
        ("Bluebird Bank 2026 xy", "contains_service_name"),
        ("bluebird-bluebird", "contains_service_name"),
        ("catherine likes green tea", None),
        ("bluebird in the chimney", None),
    ],
)
def test_a_name_with_padding_is_refused(password: str, rule: str | None) -> None:
    """The user's or the service's own name is no password; it may occur in one."""
    assert rule_broken_by(password, username="Catherine.Miller", service_name="Bluebird Bank") == rule


def test_very_short_names_are_not_held_against_a_password() -> None:
    """Somebody called `a` may have passwords with an a in them."""
    assert rule_broken_by("correct-horse-battery", username="a", service_name="") is None


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("a" * 15, "repetitive"),
        ("a" * 64, "repetitive"),
        ("abababababababab", "repetitive"),
        ("zug!zug!zug!zug!", "repetitive"),
        ("blorp-blorp-blorp", "repetitive"),
        ("01101001100101101001", "repetitive"),
        ("123456789012345", "sequential"),
        ("987654321098765", "sequential"),
        ("abcdefghijklmnop", "sequential"),
        ("ZYXWVUTSRQPONMLK", "sequential"),
        ("qwertyuiopasdfgh", "sequential"),
        ("poiuytrewqlkjhgf", "sequential"),
        ("qwertzuiopasdfgh!", "sequential"),
        ("abcd1234efgh5678", "sequential"),
        ("!@#$%^&*()!@#$%^", "sequential"),
        ("йцукенгшщзхъфыва", "sequential"),
        ("aaaaaaa1111111zz", "repetitive"),
        ("aaaaaxxxxx11111!?", "sequential"),
        ("2wsx3edc4rfv5tgb6yhn", "sequential"),
    ],
)
def test_a_pattern_is_refused(password: str, rule: str) -> None:
    """One character, one short piece or one row of keys, however long, is refused."""
    assert rule_broken_by(password) == rule


def test_a_refusal_tells_what_to_do_and_nothing_of_the_password() -> None:
    """The message helps the person and shows no part of the password."""
    with pytest.raises(PasswordRefused) as refused:
        check_new_password(Secret("zanzibar"), username="ann", service_name="demo")
    assert str(refused.value) == "Use at least 15 characters; this has 8."


def test_the_list_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of common passwords is unpacked when first needed and kept."""
    first = common_passwords()
    assert len(first) > 19_000
    assert {"password", "iloveyou", "пароль"} <= first

    def unpacked_again(_: bytes) -> bytes:
        raise AssertionError

    monkeypatch.setattr(gzip, "decompress", unpacked_again)
    assert common_passwords() is first


@given(st.text(), st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_judged_without_a_crash(password: str, username: str, service_name: str) -> None:
    """Whatever is typed, a password is refused with a rule or passes."""
    rule_broken_by(password, username=username, service_name=service_name, min_length=1)


@given(st.sampled_from(sorted(common_passwords())), st.sampled_from(["2024!", "-", "1", " !?"]))
def test_no_listed_password_becomes_good_by_repetition(listed: str, glue: str) -> None:
    """No common password passes by being typed three times."""
    assert rule_broken_by(listed * 3) is not None
    if listed.isalpha() and len(listed) >= 4:
        assert rule_broken_by(glue.join([listed] * 3)) is not None
