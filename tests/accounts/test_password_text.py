# ruff: noqa: RUF001 - letters that look alike are what is tested

import sys
import unicodedata
from collections.abc import Iterator

import pytest

from evertoken.accounts.password_text import PasswordRefused
from evertoken.accounts.passwords import (
    MAX_PASSWORD_BYTES,
    HashingParameters,
    PasswordCheck,
    PasswordHashing,
    admit,
    is_too_long,
)
from evertoken.secret import Secret

NO_MATCH = PasswordCheck(matches=False, needs_rehash=False)
PASSWORD = Secret("correct-horse-battery")


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    pool = PasswordHashing(HashingParameters(1, 8, 1, weak_for_tests=True))
    yield pool
    pool.close()


@pytest.mark.parametrize("length", [64, 72, 73, 128, MAX_PASSWORD_BYTES])
async def test_passwords_that_differ_in_the_last_byte_are_different(hashing: PasswordHashing, length: int) -> None:
    """The whole password counts, however long: nothing is cut off at 64 or 72 bytes."""
    hashed = await hashing.hash(Secret("x" * length))
    assert (await hashing.verify(Secret("x" * length), hashed)).matches
    assert not (await hashing.verify(Secret("x" * (length - 1) + "y"), hashed)).matches
    assert not (await hashing.verify(Secret("x" * (length - 1)), hashed)).matches


async def test_a_nul_inside_does_not_end_the_password(hashing: PasswordHashing) -> None:
    """What follows a NUL is part of the password."""
    hashed = await hashing.hash(Secret("one\0two"))
    assert (await hashing.verify(Secret("one\0two"), hashed)).matches
    assert not (await hashing.verify(Secret("one\0three"), hashed)).matches
    assert not (await hashing.verify(Secret("one"), hashed)).matches


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
async def test_the_same_text_in_another_unicode_form_is_the_same_password(hashing: PasswordHashing, form: str) -> None:
    """A password set on one keyboard works on another that composes its letters differently."""
    text = "Ångström ﬁle ２０２６ über"
    hashed = await hashing.hash(Secret(text))
    other = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    assert (await hashing.verify(Secret(other), hashed)).matches


async def test_spaces_at_the_ends_are_part_of_the_password(hashing: PasswordHashing) -> None:
    """Nothing is trimmed from a password."""
    hashed = await hashing.hash(Secret(" a leading space"))
    assert (await hashing.verify(Secret(" a leading space"), hashed)).matches
    assert not (await hashing.verify(Secret("a leading space"), hashed)).matches
    assert not (await hashing.verify(Secret(" a leading space "), hashed)).matches


def test_the_limit_counts_bytes_after_normalisation() -> None:
    """A password may have 1024 bytes of UTF-8, counted once it is normalised."""
    assert not is_too_long(Secret("é" * 512))
    assert is_too_long(Secret("é" * 513))
    assert not is_too_long(Secret("𝐀" * 1024))  # four bytes each, which NFKC makes one
    assert is_too_long(Secret("ﷺ" * 64))  # eighteen code points each
    assert not is_too_long(Secret("\u03b1\u0313\u0300\u0345" * 341))  # NFKC: one code point, three bytes
    assert is_too_long(Secret("\u03b1\u0313\u0300\u0345" * 342))


def test_no_code_point_is_merged_of_more_than_four() -> None:
    """The quick refusal of huge passwords never hits one that normalisation would have made short enough."""
    assert max(len(unicodedata.normalize("NFD", chr(code))) for code in range(sys.maxunicode + 1)) == 4


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\u0301\u0316" * 500_000, "\ud800" * 1_000_000])
async def test_a_megabyte_is_refused_without_hashing(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A huge password costs no hash, and not even the reading of it."""

    def is_called(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("evertoken.accounts.hashes.argon2.verify_secret", is_called)
    monkeypatch.setattr("evertoken.accounts.hashes.argon2.hash_secret", is_called)
    huge = Secret(text)
    assert is_too_long(huge)
    assert await hashing.verify(huge, None) == NO_MATCH
    assert hashing.verify_now(huge, None) == NO_MATCH
    with pytest.raises(PasswordRefused) as refused:
        await hashing.hash(huge)
    assert refused.value.rule == "too_long"


async def test_half_of_a_surrogate_pair_matches_nothing(hashing: PasswordHashing) -> None:
    """Text that is not valid Unicode is a wrong password at sign-in, and refused as a new one."""
    broken = Secret("correct-horse-\ud83d-battery")
    assert not is_too_long(broken)
    assert await hashing.verify(broken, await hashing.hash(PASSWORD)) == NO_MATCH
    with pytest.raises(PasswordRefused) as refused:
        await hashing.hash(broken)
    assert refused.value.rule == "not_text"
    assert "battery" not in repr(refused.value)


def test_admit_lets_through_what_can_be_hashed() -> None:
    """At sign-in nothing is judged but whether the password can be hashed at all."""
    admit(Secret("short"))
    with pytest.raises(PasswordRefused):
        admit(Secret("x" * 1025))
