"""
Hashes of other libraries, as those libraries made them.

`hashes/vectors.json` was made by Django's, Werkzeug's, passlib's and bcrypt's own code, in the versions that
`made_by` names; most with low costs, so that the tests are quick.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bcrypt import gensalt, hashpw

from evertoken.accounts.hashes import bcrypt, known, pbkdf2
from evertoken.accounts.hashes.cost import HashingParameters
from evertoken.accounts.hashes.family import HashRefused
from evertoken.accounts.passwords import PasswordCheck, PasswordHashing
from evertoken.secret import Secret

VECTORS: list[dict[str, str]] = json.loads((Path(__file__).parent / "hashes" / "vectors.json").read_text("utf-8"))
NOT_TAKEN = {"md5", "unusable", "sha512_crypt", "md5_crypt"}
TAKEN = [vector for vector in VECTORS if vector["kind"] not in NOT_TAKEN]
PASSWORD = "correct-horse-battery"
NO_MATCH = PasswordCheck(matches=False, needs_rehash=False)
WEAK = HashingParameters(3, 512, 1, weak_for_tests=True)


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    pool = PasswordHashing(WEAK)
    yield pool
    pool.close()


def a_hash(made_by: str, kind: str) -> str:
    """One of `PASSWORD`."""
    return next(
        vector["hash"]
        for vector in VECTORS
        if vector["made_by"].startswith(made_by) and vector["kind"] == kind and vector["password"] == PASSWORD
    )


def shown(vector: dict[str, str]) -> str:
    return f"{vector['made_by']} {vector['kind']} {len(vector['password'])}"


@pytest.mark.parametrize("vector", TAKEN, ids=shown)
def test_a_hash_of_another_library_is_matched_by_its_password_and_made_anew(
    vector: dict[str, str], hashing: PasswordHashing
) -> None:
    """Passwords hashed by Django, passlib, Werkzeug or bcrypt go on working, and are hashed by argon2id thereafter."""
    right, hashed = vector["password"], vector["hash"]
    assert hashing.verify_now(Secret(right), hashed) == PasswordCheck(matches=True, needs_rehash=True)
    for wrong in (right + "!", "!" + right, right.swapcase(), "x"):
        if wrong.encode()[:72] != right.encode()[:72] or "bcrypt" not in vector["kind"]:
            assert hashing.verify_now(Secret(wrong), hashed) == NO_MATCH


def test_every_kind_that_is_read_has_a_vector() -> None:
    """No reader is untested by a hash of the library that it is for."""
    kinds = {known._kind(vector["hash"]) for vector in TAKEN}
    assert kinds >= set(known._READERS)
    assert kinds - set(known._READERS) == {"argon2", "$argon2id"}


@pytest.mark.parametrize("vector", [v for v in TAKEN if "default" not in v["made_by"]], ids=shown)
def test_a_hash_that_lost_a_character_anywhere_matches_nothing(
    vector: dict[str, str], hashing: PasswordHashing
) -> None:
    """A hash counts in full or not at all: a digest that was cut short would be matched by many passwords."""
    hashed = vector["hash"]
    for place in (0, 1, len(hashed) // 2, len(hashed) - 3, len(hashed) - 1):
        cut = hashed[:place] + hashed[place + 1 :]
        if cut.rstrip("=") != hashed.rstrip("="):  # padding says nothing
            assert not hashing.verify_now(Secret(vector["password"]), cut).matches
    for more in ("x", "=x", "$", "\n", "\0more"):
        assert not hashing.verify_now(Secret(vector["password"]), hashed + more).matches


@pytest.mark.parametrize(
    ("hashed", "words"),
    [
        (a_hash("Django", "md5"), "MD5"),
        ("md5$$5f4dcc3b5aa765d61d8327deb882cf99", "MD5"),
        ("sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", "SHA-1"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "bare digest"),
        ("crypt$$abJnggxhB/yWI", "DES crypt"),
        (a_hash("passlib", "md5_crypt"), "MD5"),
        (a_hash("passlib", "sha512_crypt"), "sha512-crypt"),
        ("$2x$04$" + "." * 53, "flaw"),
        ("a password in clear", "not of a kind"),
        ("", "not of a kind"),
        ("x" * 2_000, "not a password hash"),
        ("$2b$04$" + "é" * 53, "not a password hash"),
    ],
)
def test_a_hash_that_is_too_weak_or_unknown_is_refused_with_a_reason(
    hashing: PasswordHashing, hashed: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """MD5 and its like are not taken; the message says what to do instead, and shows no part of the hash."""
    with pytest.raises(HashRefused, match=words) as refused:
        known.read_hash(hashed)
    tail = hashed[-12:]
    assert not tail or tail not in str(refused.value)
    with caplog.at_level(logging.WARNING):
        assert hashing.verify_now(Secret(PASSWORD), hashed) == NO_MATCH
    assert str(refused.value) in caplog.text
    assert not tail or tail not in caplog.text


@pytest.mark.parametrize(
    "hashed",
    [
        f"pbkdf2_sha256${pbkdf2.MAX_ITERATIONS + 1}$salt${'A' * 43}=",
        f"$pbkdf2-sha512$9999999999$c2FsdA${'A' * 86}",
        f"pbkdf2:sha256:2147483647$salt${'0' * 64}",
        f"scrypt$1048576$salt$8$1${'A' * 86}==",
        f"scrypt$16384$salt$8$99${'A' * 86}==",
        f"$scrypt$ln=30,r=8,p=1$c2FsdA${'A' * 43}",
        f"scrypt:32768:99999:1$salt${'0' * 128}",
        f"$2b${bcrypt.MAX_COST + 1}${'.' * 53}",
        f"$2y$31${'.' * 53}",
        f"bcrypt_sha256$$2b$31${'.' * 53}",
        f"$bcrypt-sha256$v=2,t=2b,r=31${'.' * 22}${'.' * 31}",
        "argon2$argon2id$v=19$m=2097152,t=64,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
        "$argon2id$v=19$m=65536,t=4294967295,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43,
    ],
)
def test_a_hash_that_would_keep_us_busy_is_refused_before_any_work(hashing: PasswordHashing, hashed: str) -> None:
    """Nobody stops a server by a hash with two thousand million rounds: it is refused at import and at sign-in."""
    with pytest.raises(HashRefused, match="more work"):
        known.read_hash(hashed)
    assert hashing.verify_now(Secret(PASSWORD), hashed) == NO_MATCH


@pytest.mark.parametrize(
    "hashed",
    [
        "pbkdf2_sha256$0$salt$" + "A" * 43,
        "pbkdf2_sha256$-1$salt$" + "A" * 43,
        "pbkdf2_sha256$1e3$salt$" + "A" * 43,
        "pbkdf2_sha256$\u0663$salt$" + "A" * 43,
        "pbkdf2_sha256$1000$$" + "A" * 43,
        "pbkdf2_sha256$1000$salt$QUFB",
        "pbkdf2:md5:1000$salt$" + "0" * 32,
        "scrypt$1000$salt$8$1$" + "A" * 86,
        "scrypt$1$salt$8$1$" + "A" * 86,
        "scrypt$65536$salt$1$1$" + "A" * 86,
        "scrypt$16384$salt$0$1$" + "A" * 86,
        "scrypt:16384:8:1$salt$00",
        "$scrypt$ln=14,r=8,p=1$c2FsdA$!!!!",
        "$2b$03$" + "." * 53,
        "$2b$4$" + "." * 54,
        "$2b$04$" + "." * 52,
        "bcrypt$2b$04$" + "." * 53,
        "$bcrypt-sha256$v=3,t=2b,r=4$" + "." * 22 + "$" + "." * 31,
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$QUFBQQ",
    ],
)
def test_a_damaged_hash_of_a_known_kind_is_refused(hashing: PasswordHashing, hashed: str) -> None:
    """What is not as its library writes it is never handed to that kind's function."""
    with pytest.raises(HashRefused):
        known.read_hash(hashed)
    assert hashing.verify_now(Secret(PASSWORD), hashed) == NO_MATCH


def test_bcrypt_reads_72_bytes_and_nothing_behind_a_nul_is_overlooked(hashing: PasswordHashing) -> None:
    """A long password is cut as it was when it was hashed; a NUL never makes a short password of a long one."""
    hashed = a_hash("bcrypt", "bcrypt")
    for odd in (PASSWORD + "\0", PASSWORD + "\0more", "\0", "\0" + PASSWORD, PASSWORD[:-1] + "?\0"):
        assert hashing.verify_now(Secret(odd), hashed) == NO_MATCH
    marked = hashpw(b"what?", gensalt(4)).decode()
    assert hashing.verify_now(Secret("what?"), marked).matches
    assert hashing.verify_now(Secret("what\0"), marked) == NO_MATCH
    long = next(v for v in VECTORS if v["made_by"].startswith("bcrypt ") and len(v["password"].encode()) > 72)
    first_72 = long["password"].encode()[:72].decode()
    assert hashing.verify_now(Secret(first_72 + " and what nobody read"), long["hash"]).matches
    assert not hashing.verify_now(Secret(first_72[:-1]), long["hash"]).matches


def test_stray_bits_that_some_libraries_leave_in_bcrypt_hashes_do_not_matter(hashing: PasswordHashing) -> None:
    """The last character of salt and digest holds bits that mean nothing; old libraries left dust there."""
    hashed = a_hash("bcrypt", "bcrypt")
    at = len("$2b$04$") + 21
    dusty = [bcrypt._ALPHABET[bcrypt._ALPHABET.index(hashed[place]) | dust] for place, dust in ((at, 5), (-1, 1))]
    assert hashing.verify_now(Secret(PASSWORD), hashed[:at] + dusty[0] + hashed[at + 1 : -1] + dusty[1]).matches


def test_a_bcrypt_hash_without_the_package_says_what_to_install(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the extra, a bcrypt hash is refused at import by name of the extra; at sign-in the log says the same."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(HashRefused, match=r"evertoken\[bcrypt\]"):
        known.read_hash(a_hash("bcrypt", "bcrypt"))
    assert hashing.verify_now(Secret(PASSWORD), a_hash("bcrypt", "bcrypt")) == NO_MATCH
    assert "evertoken[bcrypt]" in caplog.text


def test_hashes_are_read_without_the_package_bcrypt_unless_they_are_bcrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is needed for bcrypt hashes only."""
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    assert known.read_hash(a_hash("Django", "pbkdf2_sha256")).matches(PASSWORD.encode())


@pytest.mark.parametrize("vector", TAKEN, ids=shown)
def test_no_repr_of_a_hash_shows_it(vector: dict[str, str]) -> None:
    """A hash that stands in a traceback or a log by mistake shows neither salt nor digest."""
    read = repr(known.read_hash(vector["hash"]))
    assert vector["hash"][-20:].rstrip("=") not in read
    assert vector["hash"].split("$")[2] not in read or len(vector["hash"].split("$")[2]) < 8


def test_no_memory_for_scrypt_is_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lack of memory is never told as a wrong password."""
    from evertoken.errors import TemporarilyUnavailable

    def fails(*_: Any, **__: Any) -> bytes:
        raise MemoryError

    monkeypatch.setattr("hashlib.scrypt", fails)
    with pytest.raises(TemporarilyUnavailable):
        known.read_hash(a_hash("Django", "scrypt")).matches(b"x")


async def test_a_refusal_takes_as_long_as_the_slowest_kind_of_hash(
    hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a slower hash was checked, refusals for others and for nobody wait; the right password never does."""
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    ours = await hashing.hash(Secret(PASSWORD))
    foreign = next(v["hash"] for v in VECTORS if v["made_by"].startswith("Django") and "default" in v["made_by"])
    await hashing.verify(Secret("wrong"), None)
    assert waits == []
    assert not (await hashing.verify(Secret("wrong"), foreign)).matches
    waits.clear()
    for hashed in (None, ours, "damaged", a_hash("Django", "pbkdf2_sha1")):
        assert not (await hashing.verify(Secret("wrong"), hashed)).matches
    assert len(waits) == 4
    assert all(0 < seconds <= 2 for seconds in waits)
    assert (await hashing.verify(Secret(PASSWORD), ours)).matches
    assert len(waits) == 4
