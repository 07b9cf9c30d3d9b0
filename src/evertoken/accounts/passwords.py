"""
Password hashing with argon2id, in threads of its own.

A hash takes tens of milliseconds and 19 MiB. So hashes are made by few threads of low priority, in front of
which a bounded number of callers may wait: a flood of sign-ins must neither fill the memory nor slow down the
refreshes of everybody who is signed in already.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from evertoken.accounts.hashes import argon2
from evertoken.accounts.hashes.cost import OWASP_MINIMUM, HashingParameters, check_range
from evertoken.accounts.hashes.family import HashRefused
from evertoken.accounts.hashes.known import read_hash
from evertoken.accounts.password_text import (
    MAX_PASSWORD_BYTES,
    PasswordRefused,
    admit,
    is_too_long,
    password_bytes,
)
from evertoken.clock import thread_cpu_seconds
from evertoken.errors import Overloaded, TemporarilyUnavailable
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

MAX_PAUSE_SECONDS: Final = 2.0
"""The longest that a refusal waits so as to take as long as the slowest kind of hash."""

_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """
    Whether a password is right, and whether its hash should be made anew.

    Args:
        matches: It is the password of this hash.
        needs_rehash: It matches, and the hash was made with less than today's parameters, or by another library.
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
        check_range("workers", workers, 1, sys.maxsize)
        check_range("queue_limit", queue_limit, 0, sys.maxsize)
        self._parameters = parameters
        self._hash_of_nobody = argon2.unmatchable(parameters)
        self._slowest_seconds = 0.0
        self._slots = threading.BoundedSemaphore(workers + queue_limit)
        self._threads = ThreadPoolExecutor(workers, "evertoken-passwords", initializer=_lower_own_priority)
        self._is_closed = False

    @property
    def parameters(self) -> HashingParameters:
        """The cost of new hashes."""
        return self._parameters

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
        Check a password against a stored hash, of any kind that `hashes.known` reads.

        A password that is too long or not text matches nothing and costs nothing: that depends on the password
        alone, so the time tells nothing about the user. Use `is_too_long` before, to answer it as a bad request.

        Args:
            hashed: The stored hash. None where there is no such user: the same work is done against a hash that
                nothing matches, so that the time does not tell. A hash that is damaged, too dear or of an unknown
                kind is treated as None, and the log says why.

        A hash of another kind or cost takes another time. So once this process has checked slower ones than ours, every
        refusal waits until it has taken as long as the slowest of them, at most `MAX_PAUSE_SECONDS`.

        Raises:
            Overloaded: `queue_limit` calls are waiting already.
            TemporarilyUnavailable: There is no memory for a hash, or this object has been closed.
            Anything else is a bug: please report it.
        """
        try:
            secrets = _candidates(password)
        except PasswordRefused:
            return _NO_MATCH
        check, took_seconds = await self._in_thread(partial(self._timed_verify, secrets, hashed))
        if not check.matches and took_seconds < self._slowest_seconds:
            await asyncio.sleep(min(self._slowest_seconds - took_seconds, MAX_PAUSE_SECONDS))
        return check

    def hash_now(self, password: Secret) -> str:
        """As `hash`, in the calling thread: for the command line."""
        return self._hash(password_bytes(password))

    def verify_now(self, password: Secret, hashed: str | None) -> PasswordCheck:
        """As `verify`, in the calling thread: for the command line."""
        try:
            secrets = _candidates(password)
        except PasswordRefused:
            return _NO_MATCH
        return self._verify(secrets, hashed)

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
        return argon2.make(secret, self._parameters)

    def _timed_verify(self, secrets: tuple[bytes, ...], hashed: str | None) -> tuple[PasswordCheck, float]:
        began = thread_cpu_seconds()
        return self._verify(secrets, hashed), thread_cpu_seconds() - began

    def _verify(self, secrets: tuple[bytes, ...], hashed: str | None) -> PasswordCheck:
        try:
            if hashed is not None:
                known = read_hash(hashed, self._parameters)
                began = thread_cpu_seconds()
                matches = any(known.matches(secret) for secret in secrets)
                if not known.costs_as(self._parameters):
                    # Per candidate, or one odd password would slow down everybody's refusals.
                    took_seconds = (thread_cpu_seconds() - began) / len(secrets)
                    self._slowest_seconds = max(self._slowest_seconds, took_seconds)
                return PasswordCheck(matches, matches and known.is_weaker_than(self._parameters))
        except HashRefused as error:
            _log.warning("a stored password_hash %s", error)
        for secret in secrets:
            self._hash_of_nobody.matches(secret)
        return _NO_MATCH


def _candidates(password: Secret) -> tuple[bytes, ...]:
    """
    The bytes that a hash may have been made of: after NFKC, as we make them, and as typed, as other libraries do.

    For nearly all passwords that is one and the same. How many there are depends on the password alone.

    Raises:
        PasswordRefused: As `password_bytes`.
    """
    ours, as_typed = password_bytes(password), password.reveal().encode("utf-8")
    return (ours,) if as_typed == ours else (ours, as_typed)


def _lower_own_priority() -> None:
    """
    Let everything else go first. Linux alone has a priority per thread; elsewhere this would hit a process.

    SCHED_BATCH besides: a thread that has just been woken does not push aside the one that answers refreshes.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
