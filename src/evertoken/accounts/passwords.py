"""
Password hashing with argon2id, in threads of its own.

A hash takes tens of milliseconds and 19 MiB. So hashes are made by few threads of low priority, in front of
which a bounded number of callers may wait: a flood of sign-ins must neither fill the memory nor slow down the
refreshes of everybody who is signed in already.
"""

import asyncio
import base64
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Final, TypeVar

from argon2 import Parameters, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type, error_to_str, hash_secret, verify_secret

from evertoken.accounts.password_text import (
    MAX_PASSWORD_BYTES,
    PasswordRefused,
    admit,
    is_too_long,
    password_bytes,
)
from evertoken.errors import ConfigurationError, Overloaded, TemporarilyUnavailable
from evertoken.secret import Secret

__all__ = [
    "MAX_PASSWORD_BYTES",
    "OWASP_MINIMUM",
    "HashingParameters",
    "PasswordCheck",
    "PasswordHashing",
    "admit",
    "is_too_long",
]

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
"""Both as RFC 9106 §4 recommends."""

_OWASP_TIME_COST: Final = 2
_OWASP_MEMORY_KIB: Final = 19456

# The most that a stored hash may ask for. One damaged digit must not make us allocate 90 GiB. The memory is that
# of the first recommended option of RFC 9106 §4.
_MAX_TIME_COST: Final = 64
_MAX_MEMORY_KIB: Final = 2**21
_MAX_PARALLELISM: Final = 64

# By number, since argon2-cffi has one exception for "the hash is damaged" and for these.
_OUR_FAULT: Final = frozenset(error_to_str(code) for code in (-22, -33))  # no memory, no thread

_T = TypeVar("_T")


def _check_range(setting: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigurationError(setting, f"must be at least {least} and at most {most}, not {value}")


@dataclass(frozen=True, slots=True)
class HashingParameters:
    """
    What one argon2id hash costs. The defaults are the minimum of the OWASP Password Storage Cheat Sheet.

    OWASP also lists mixtures with less time and more memory, or the reverse. They are not taken, because two
    plain lower bounds are easier to check than a curve.

    Args:
        time_cost: Passes over the memory, 2 to 64.
        memory_kib: Memory per hash in KiB, 19456 to 2 GiB. All workers together need this times their number.
        parallelism: Lanes, 1 to 64; argon2 starts a thread for each beyond the first.
        weak_for_tests: Accept less than the minimum, so that a test suite need not wait.

    Raises:
        ConfigurationError: Weaker than the minimum, or beyond what we would read back from a stored hash.

    Source: OWASP Password Storage Cheat Sheet, "Argon2id"; RFC 9106 §3.1 for the bounds.
    """

    time_cost: int = _OWASP_TIME_COST
    memory_kib: int = _OWASP_MEMORY_KIB
    parallelism: int = 1
    weak_for_tests: InitVar[bool] = field(default=False, kw_only=True)

    def __post_init__(self, weak_for_tests: bool) -> None:
        min_time_cost = 1 if weak_for_tests else _OWASP_TIME_COST
        min_memory_kib = max(8 * self.parallelism, 0 if weak_for_tests else _OWASP_MEMORY_KIB)
        _check_range("time_cost", self.time_cost, min_time_cost, _MAX_TIME_COST)
        _check_range("parallelism", self.parallelism, 1, _MAX_PARALLELISM)
        _check_range("memory_kib", self.memory_kib, min_memory_kib, _MAX_MEMORY_KIB)


OWASP_MINIMUM: Final = HashingParameters()
"""The OWASP Password Storage Cheat Sheet's minimum for argon2id: 19 MiB, 2 passes, 1 lane."""


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """
    Whether a password is right, and whether its hash should be made anew.

    Args:
        matches: It is the password of this hash.
        needs_rehash: It matches, and the hash was made with less than today's parameters.
    """

    matches: bool
    needs_rehash: bool


_NO_MATCH: Final = PasswordCheck(matches=False, needs_rehash=False)


class PasswordHashing:
    """
    Makes and checks password hashes, without blocking the event loop.

    Args:
        parameters: The cost of new hashes, and of the work done for users who do not exist.
        workers: Threads, and so hashes under way at once. Memory is `workers` times `memory_kib`.
        queue_limit: How many more calls may wait for a thread before `Overloaded` is raised.

    Raises:
        ConfigurationError: `workers` below 1 or `queue_limit` below 0.
    """

    def __init__(
        self, parameters: HashingParameters = OWASP_MINIMUM, *, workers: int = 1, queue_limit: int = 128
    ) -> None:
        _check_range("workers", workers, 1, sys.maxsize)
        _check_range("queue_limit", queue_limit, 0, sys.maxsize)
        self._parameters = parameters
        self._dummy_hash = _unmatchable_hash(parameters)
        self._slots = threading.BoundedSemaphore(workers + queue_limit)
        self._threads = ThreadPoolExecutor(workers, "evertoken-passwords", initializer=_lower_own_priority)
        self._is_closed = False

    async def hash(self, password: Secret) -> str:
        """
        A new hash of this password, in the encoded form that names its own parameters.

        Raises:
            PasswordRefused: `too_long` or `not_text`. The other rules are `check_new_password`'s.
            Overloaded: `queue_limit` calls are waiting already.
            TemporarilyUnavailable: There is no memory for a hash, or this object has been closed.
        """
        return await self._in_thread(partial(self._hash, password_bytes(password)))

    async def verify(self, password: Secret, hashed: str | None) -> PasswordCheck:
        """
        Check a password against a stored hash.

        A password that is too long or not text matches nothing and costs nothing: that depends on the password
        alone, so the time tells nothing about the user. Use `is_too_long` before, to answer it as a bad request.

        Args:
            hashed: The stored hash. None where there is no such user: the same work is done against a hash that
                nothing matches, so that the time does not tell. A hash that is damaged or of an unknown kind
                is treated as None. (One made with other parameters does take another time, until its owner signs
                in and it is made anew.)

        Raises:
            Overloaded: `queue_limit` calls are waiting already.
            TemporarilyUnavailable: There is no memory for a hash, or this object has been closed.
            Anything else is a bug: please report it.
        """
        try:
            secret = password_bytes(password)
        except PasswordRefused:
            return _NO_MATCH
        return await self._in_thread(partial(self._verify, secret, hashed))

    def hash_now(self, password: Secret) -> str:
        """As `hash`, in the calling thread: for the command line."""
        return self._hash(password_bytes(password))

    def verify_now(self, password: Secret, hashed: str | None) -> PasswordCheck:
        """As `verify`, in the calling thread: for the command line."""
        try:
            secret = password_bytes(password)
        except PasswordRefused:
            return _NO_MATCH
        return self._verify(secret, hashed)

    def close(self) -> None:
        """End the threads. Waits for the hashes under way; callers in the queue get `TemporarilyUnavailable`."""
        self._is_closed = True
        # Not cancel_futures: it would raise CancelledError in tasks that nobody cancelled.
        self._threads.shutdown(wait=True)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        if not self._slots.acquire(blocking=False):
            raise Overloaded("too many passwords are waiting to be hashed")
        try:
            future = self._threads.submit(self._unless_closed, work)
        except RuntimeError as error:  # closed, or the system has no thread to give
            self._slots.release()
            raise TemporarilyUnavailable("passwords cannot be hashed now") from error
        # The slot belongs to the work, not to the caller: it comes back when the work is done or was cancelled
        # in the queue, and not before, since a hash under way goes on when its caller has left.
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future)

    def _unless_closed(self, work: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise TemporarilyUnavailable("the server is closing")
        return work()

    def _hash(self, secret: bytes) -> str:
        cost = self._parameters
        try:
            encoded = hash_secret(
                secret,
                os.urandom(SALT_BYTES),
                time_cost=cost.time_cost,
                memory_cost=cost.memory_kib,
                parallelism=cost.parallelism,
                hash_len=HASH_BYTES,
                type=Type.ID,
            )
        except HashingError as error:
            raise TemporarilyUnavailable("a password could not be hashed") from error
        return encoded.decode("ascii")

    def _verify(self, secret: bytes, hashed: str | None) -> PasswordCheck:
        parameters = _readable_parameters(hashed)
        if hashed is not None and parameters is not None:
            matches = _matches(secret, hashed, parameters.type)
            if matches is not None:
                return PasswordCheck(matches, matches and self._is_outdated(parameters))
        _matches(secret, self._dummy_hash, Type.ID)
        return _NO_MATCH

    def _is_outdated(self, parameters: Parameters) -> bool:
        # Lower than ours, not other than ours: while a change is rolled out, servers with the old settings must
        # not undo what those with the new ones have done.
        return (
            parameters.type is not Type.ID
            or parameters.version < ARGON2_VERSION
            or parameters.time_cost < self._parameters.time_cost
            or parameters.memory_cost < self._parameters.memory_kib
            or parameters.salt_len < SALT_BYTES
            or parameters.hash_len < HASH_BYTES
        )


def _matches(secret: bytes, hashed: str, kind: Type) -> bool | None:
    """Whether this is the password of this hash; None where the hash is damaged, and then no work was done."""
    try:
        return verify_secret(hashed.encode("ascii"), secret, kind)
    except VerifyMismatchError:
        return False
    except VerificationError as error:
        if str(error) in _OUR_FAULT:
            raise TemporarilyUnavailable("a password could not be checked") from error
        return None


def _readable_parameters(hashed: str | None) -> Parameters | None:
    """The parameters of a hash that argon2 may be given, or None."""
    # argon2 reads up to the first NUL, so what stands behind one would go unseen.
    if hashed is None or not hashed.isascii() or "\0" in hashed:
        return None
    try:
        found = extract_parameters(hashed)
    except InvalidHashError:
        return None
    is_bearable = (
        found.time_cost <= _MAX_TIME_COST
        and found.memory_cost <= _MAX_MEMORY_KIB
        and found.parallelism <= _MAX_PARALLELISM
    )
    return found if is_bearable else None


def _unmatchable_hash(cost: HashingParameters) -> str:
    """A well-formed hash of no known password: random where the digest should be. Costs as much to check as any."""
    salt, digest = (base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (SALT_BYTES, HASH_BYTES))
    settings = f"m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${settings}${salt}${digest}"


def _lower_own_priority() -> None:
    """
    Let everything else go first. Linux alone has a priority per thread; elsewhere this would hit a process.

    SCHED_BATCH besides: a thread that has just been woken does not push aside the one that answers refreshes.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
