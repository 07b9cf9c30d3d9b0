import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from argon2 import extract_parameters
from argon2.exceptions import HashingError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from evertoken.accounts.passwords import (
    OWASP_MINIMUM,
    HashingParameters,
    PasswordCheck,
    PasswordHashing,
)
from evertoken.errors import ConfigurationError, Overloaded, TemporarilyUnavailable
from evertoken.secret import Secret

WEAK = HashingParameters(1, 8, 1, weak_for_tests=True)
STRONGER = HashingParameters(2, 16, 1, weak_for_tests=True)
VERIFY_SECRET = "evertoken.accounts.hashes.argon2.verify_secret"
PASSWORD = Secret("correct-horse-battery")
NO_MATCH = PasswordCheck(matches=False, needs_rehash=False)


@dataclass
class Primitive:
    """The seam: every call of argon2, with the hash that it was given; it can be made to wait."""

    real: Callable[[bytes, bytes, Type], bool]
    checked: list[bytes] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    threads: list[int] = field(default_factory=list)

    def __call__(self, hashed: bytes, secret: bytes, kind: Type) -> bool:
        self.checked.append(hashed)
        self.threads.append(threading.get_native_id())
        self.started.set()
        assert self.may_go_on.wait(10)
        return self.real(hashed, secret, kind)


@pytest.fixture
def primitive(monkeypatch: pytest.MonkeyPatch) -> Primitive:
    seam = Primitive(verify_secret)
    seam.may_go_on.set()
    monkeypatch.setattr(VERIFY_SECRET, seam)
    return seam


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    pool = PasswordHashing(WEAK)
    yield pool
    pool.close()


async def a_turn_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestParameters:
    def test_the_defaults_are_the_owasp_minimum(self) -> None:
        """New hashes are argon2id with 19 MiB, two passes and one lane, unless more is set."""
        assert HashingParameters(time_cost=2, memory_kib=19456, parallelism=1) == OWASP_MINIMUM
        with_defaults = PasswordHashing()
        found = extract_parameters(with_defaults.hash_now(PASSWORD))
        with_defaults.close()
        assert (found.type, found.time_cost, found.memory_cost, found.parallelism) == (Type.ID, 2, 19456, 1)
        assert (found.salt_len, found.hash_len) == (16, 32)

    @pytest.mark.parametrize(
        ("cost", "setting"),
        [
            ((1, 19456, 1), "time_cost"),
            ((2, 19455, 1), "memory_kib"),
            ((2, 2**21 + 1, 1), "memory_kib"),
            ((65, 19456, 1), "time_cost"),
            ((2, 19456, 0), "parallelism"),
            ((2, 19456, 65), "parallelism"),
        ],
    )
    def test_parameters_out_of_range_are_refused_at_startup(self, cost: tuple[int, int, int], setting: str) -> None:
        """A server with weaker hashing than OWASP's minimum, or with hashes it would not read back, does not start."""
        with pytest.raises(ConfigurationError) as refused:
            HashingParameters(*cost)
        assert refused.value.setting == setting

    def test_weak_parameters_are_taken_when_named_weak(self) -> None:
        """Tests may ask for cheap hashes by name, within what argon2 can do."""
        assert WEAK.memory_kib == 8
        with pytest.raises(ConfigurationError):
            HashingParameters(1, 8, 2, weak_for_tests=True)

    @pytest.mark.parametrize(("workers", "queue_limit"), [(0, 1), (1, -1)])
    def test_a_pool_without_room_is_refused_at_startup(self, workers: int, queue_limit: int) -> None:
        """A pool that could never hash anything is a mistake in the settings."""
        with pytest.raises(ConfigurationError):
            PasswordHashing(WEAK, workers=workers, queue_limit=queue_limit)


class TestVerifying:
    async def test_the_right_password_matches_and_a_wrong_one_does_not(self, hashing: PasswordHashing) -> None:
        """A hash is matched by its password alone."""
        hashed = await hashing.hash(PASSWORD)
        assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert await hashing.verify(PASSWORD, hashed) == PasswordCheck(matches=True, needs_rehash=False)
        assert await hashing.verify(Secret("correct-horse-batterz"), hashed) == NO_MATCH
        assert hashing.verify_now(PASSWORD, hashing.hash_now(PASSWORD)).matches

    async def test_the_same_password_never_has_the_same_hash(self, hashing: PasswordHashing) -> None:
        """Every hash has a salt of its own."""
        assert await hashing.hash(PASSWORD) != await hashing.hash(PASSWORD)

    async def test_an_unknown_user_costs_the_same_work(self, hashing: PasswordHashing, primitive: Primitive) -> None:
        """A sign-in under a name that nobody has costs one hash with the same parameters, like any other."""
        known = await hashing.hash(PASSWORD)
        await hashing.verify(Secret("wrong"), known)
        assert await hashing.verify(PASSWORD, None) == NO_MATCH
        of_known, of_nobody = (extract_parameters(hashed.decode()) for hashed in primitive.checked)
        assert of_known == of_nobody

    async def test_nothing_matches_the_hash_of_nobody(
        self, hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody signs in as nobody, even if the dummy hash were matched."""
        monkeypatch.setattr(VERIFY_SECRET, lambda *_: True)
        assert await hashing.verify(PASSWORD, None) == NO_MATCH

    @pytest.mark.parametrize(
        "hashed",
        [
            "",
            "plain text",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=8,t=1,p=1$!!!!$!!!!",
            "$argon2id$v=19$m=8,t=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=1_0,t=1,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=8,t=99999999,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=" + "9" * 10_000 + ",t=1,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$\ud800é",
        ],
    )
    async def test_a_damaged_hash_is_nobodys(self, hashing: PasswordHashing, primitive: Primitive, hashed: str) -> None:
        """A hash that is damaged or of another kind is matched by nothing, breaks nothing, and costs the usual work."""
        assert await hashing.verify(PASSWORD, hashed) == NO_MATCH
        assert extract_parameters(primitive.checked[-1].decode()).memory_cost == WEAK.memory_kib

    async def test_text_behind_a_nul_spoils_a_hash(self, hashing: PasswordHashing) -> None:
        """A stored hash counts in full or not at all."""
        assert await hashing.verify(PASSWORD, await hashing.hash(PASSWORD) + "\0more") == NO_MATCH

    @pytest.mark.parametrize("message", ["Memory allocation error", "Threading failure"])
    async def test_a_lack_of_memory_is_not_a_wrong_password(
        self, hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch, message: str
    ) -> None:
        """When argon2 gets no memory, that is our fault and says so, whoever is signing in."""

        def fails(*_: object, **__: object) -> bool:
            raise VerificationError(message)

        monkeypatch.setattr(VERIFY_SECRET, fails)
        hashed = await hashing.hash(PASSWORD)
        for of_whom in (hashed, None):
            with pytest.raises(TemporarilyUnavailable):
                await hashing.verify(PASSWORD, of_whom)

    async def test_a_lack_of_memory_for_a_new_hash_is_our_fault(
        self, hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A new password that cannot be hashed now may be tried again."""

        def fails(*_: object, **__: object) -> bytes:
            raise HashingError("Memory allocation error")

        monkeypatch.setattr("evertoken.accounts.hashes.argon2.hash_secret", fails)
        with pytest.raises(TemporarilyUnavailable):
            await hashing.hash(PASSWORD)


class TestRehashing:
    async def test_a_hash_with_lower_parameters_needs_rehashing(self, hashing: PasswordHashing) -> None:
        """When the cost is raised, old hashes still match and are reported as outdated, for the right password only."""
        stronger = PasswordHashing(STRONGER)
        old = await hashing.hash(PASSWORD)
        assert await stronger.verify(PASSWORD, old) == PasswordCheck(matches=True, needs_rehash=True)
        assert await stronger.verify(Secret("wrong"), old) == NO_MATCH
        stronger.close()

    async def test_a_hash_with_higher_parameters_is_left_alone(self, hashing: PasswordHashing) -> None:
        """During a rollout, a server with the old settings does not weaken what one with the new ones has written."""
        stronger = PasswordHashing(STRONGER)
        assert await hashing.verify(PASSWORD, await stronger.hash(PASSWORD)) == PasswordCheck(
            matches=True, needs_rehash=False
        )
        stronger.close()

    @pytest.mark.parametrize(("kind", "salt", "length"), [(Type.I, 16, 32), (Type.ID, 8, 32), (Type.ID, 16, 16)])
    async def test_a_hash_of_an_older_shape_needs_rehashing(
        self, hashing: PasswordHashing, kind: Type, salt: int, length: int
    ) -> None:
        """Hashes brought from elsewhere match if argon2 reads them, and are made anew."""
        brought = hash_secret(PASSWORD.reveal().encode(), b"s" * salt, 1, 8, 1, length, kind).decode()
        assert await hashing.verify(PASSWORD, brought) == PasswordCheck(matches=True, needs_rehash=True)


class TestPool:
    async def test_more_callers_than_the_bound_are_turned_away_at_once(self, primitive: Primitive) -> None:
        """A flood of sign-ins waits up to a bound; what exceeds it is refused at once and may come again."""
        pool = PasswordHashing(WEAK, workers=1, queue_limit=2)
        primitive.may_go_on.clear()
        waiting = [asyncio.create_task(pool.verify(PASSWORD, None)) for _ in range(3)]
        await a_turn_of_the_loop()
        with pytest.raises(Overloaded) as refused:
            await pool.verify(PASSWORD, None)
        assert refused.value.retry_after_seconds >= 1
        primitive.may_go_on.set()
        assert await asyncio.gather(*waiting) == [NO_MATCH] * 3
        assert await pool.verify(PASSWORD, None) == NO_MATCH
        pool.close()

    async def test_a_caller_who_leaves_the_queue_gives_back_the_place(self, primitive: Primitive) -> None:
        """Whoever is cancelled while waiting is not hashed for, and the place is free again."""
        pool = PasswordHashing(WEAK, workers=1, queue_limit=1)
        primitive.may_go_on.clear()
        running = asyncio.create_task(pool.verify(PASSWORD, None))
        for _ in range(50):
            leaving = asyncio.create_task(pool.verify(PASSWORD, None))
            await a_turn_of_the_loop()
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await a_turn_of_the_loop()
        primitive.may_go_on.set()
        assert await running == NO_MATCH
        assert len(primitive.checked) == 1
        pool.close()

    async def test_a_caller_who_leaves_during_the_hash_keeps_the_place_until_it_is_done(
        self, primitive: Primitive
    ) -> None:
        """A hash under way cannot be stopped, so it counts until it is done: the bound on memory holds."""
        pool = PasswordHashing(WEAK, workers=1, queue_limit=0)
        primitive.may_go_on.clear()
        leaving = asyncio.create_task(pool.verify(PASSWORD, None))
        await asyncio.to_thread(primitive.started.wait, 10)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        with pytest.raises(Overloaded):
            await pool.verify(PASSWORD, None)
        primitive.may_go_on.set()
        pool.close()  # waits for the hash
        assert pool._slots.acquire(blocking=False)

    async def test_a_failed_hash_gives_back_its_place(
        self, hashing: PasswordHashing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many hashes fail, the next caller finds room."""

        def fails(*_: object, **__: object) -> bool:
            raise RuntimeError("a bug")

        pool = PasswordHashing(WEAK, workers=1, queue_limit=0)
        monkeypatch.setattr(VERIFY_SECRET, fails)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="a bug"):
                await pool.verify(PASSWORD, None)
            # The place comes back in the worker, just after the answer.
            assert await asyncio.to_thread(pool._slots.acquire, timeout=10)
            pool._slots.release()
        pool.close()

    async def test_closing_answers_those_who_wait(self, primitive: Primitive) -> None:
        """When the server stops, the hash under way is finished, and everybody behind it is told to come again."""
        pool = PasswordHashing(WEAK, workers=1, queue_limit=3)
        primitive.may_go_on.clear()
        first, *others = [asyncio.create_task(pool.verify(PASSWORD, None)) for _ in range(3)]
        await asyncio.to_thread(primitive.started.wait, 10)
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        while not pool._is_closed:
            await asyncio.sleep(0)
        primitive.may_go_on.set()
        await closing
        assert await first == NO_MATCH
        for other in others:
            with pytest.raises(TemporarilyUnavailable):
                await other
        for _ in range(10):
            with pytest.raises(TemporarilyUnavailable):
                await pool.hash(PASSWORD)
        pool.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
    async def test_hashing_threads_let_everything_else_go_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hashes are made by threads of the lowest priority, so that sign-ins do not slow down refreshes."""
        seen = []

        def look(*_: object) -> bool:
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return True

        monkeypatch.setattr(VERIFY_SECRET, look)
        pool = PasswordHashing(WEAK)
        before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        await pool.verify(PASSWORD, None)
        pool.close()
        assert seen == [19]
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before

    async def test_a_system_that_forbids_lower_priority_is_no_obstacle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a thread may not lower its priority, it works all the same."""

        def forbidden(*_: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "setpriority", forbidden)
        pool = PasswordHashing(WEAK)
        assert await pool.verify(PASSWORD, None) == NO_MATCH
        pool.close()

    async def test_no_more_hashes_run_at_once_than_there_are_workers(self, primitive: Primitive) -> None:
        """A hundred sign-ins at once use the memory of as many hashes as there are workers."""
        pool = PasswordHashing(WEAK, workers=2, queue_limit=128)
        assert await asyncio.gather(*(pool.verify(PASSWORD, None) for _ in range(100))) == [NO_MATCH] * 100
        assert len(primitive.checked) == 100
        assert len(set(primitive.threads)) <= 2
        pool.close()
