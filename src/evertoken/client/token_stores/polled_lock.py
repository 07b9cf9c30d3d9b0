"""A lock that threads queue for, that processes poll for, and that a forked child does not inherit."""

import contextlib
import math
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager

from evertoken.clock import monotonic_seconds
from evertoken.errors import TokenStoreUnavailable

_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.05


class _Forks:
    """
    Makes forking wait while a lock opens or closes its descriptor, and tells every lock in the child.

    Without the wait a child could inherit a descriptor that nobody has noted yet: it would keep the kernel's lock
    alive after its holder was killed.
    """

    def __init__(self) -> None:
        self.held_off = threading.RLock()  # not a Lock: a signal handler may fork while its own thread is in here
        self.locks = weakref.WeakSet["PolledLock"]()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _before(self) -> None:
        self.held_off.acquire()

    def _in_parent(self) -> None:
        self.held_off.release()

    def _in_child(self) -> None:
        self.held_off = threading.RLock()
        for lock in list(self.locks):
            lock.forget()


_forks = _Forks()


class _Hold:
    """The lease that `PolledLock.hold` gives; it lasts until an instant on the monotonic clock."""

    def __init__(self) -> None:
        self.ends_at = -math.inf

    def seconds_left(self) -> float:
        """Seconds that it still lasts: `math.inf` for a kernel lock, 0.0 once it is over or in a forked child."""
        return max(0.0, self.ends_at - monotonic_seconds())


class PolledLock(ABC):
    """
    Excludes threads by a lock of this process, and processes by whatever `_take` takes.

    A child forked while its parent holds or awaits it starts with a lock that it does not hold; leaving the parent's
    context in the child does nothing to the parent's hold.
    """

    def __init__(self) -> None:
        self._threads = threading.Lock()
        self._held: _Hold | None = None
        with _forks.held_off:
            _forks.locks.add(self)

    @contextlib.contextmanager
    def hold(self, *, timeout_seconds: float) -> Iterator[_Hold]:
        """
        Wait until it is free, and hold it until the context ends. Not reentrant.

        Args:
            timeout_seconds: How long to wait, for threads and for processes together; 0 tries once.

        Raises:
            TokenStoreUnavailable: Somebody else held it for that long.
        """
        deadline = monotonic_seconds() + timeout_seconds
        threads = self._threads
        if not threads.acquire(timeout=min(max(timeout_seconds, 0), threading.TIMEOUT_MAX)):
            raise TokenStoreUnavailable(
                f"{self._name()} has been held for {timeout_seconds:g} s by another thread of this process: try again"
            )
        held = self._held = _Hold()
        try:
            held.ends_at = self._wait(deadline, timeout_seconds)
            yield held
        finally:
            held.ends_at = -math.inf
            # After a fork the child has another lock in this place: what is released here is the parent's.
            if self._threads is threads:
                try:
                    self._let_go()
                finally:
                    threads.release()

    def forget(self) -> None:
        """Drop what was inherited; called in a forked child, before anything else runs there."""
        self._threads = threading.Lock()
        if self._held is not None:
            self._held.ends_at = -math.inf
        self._held = None
        self._forget()

    def _wait(self, deadline: float, timeout_seconds: float) -> float:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while (ends_at := self._take()) is None:
            left_seconds = deadline - monotonic_seconds()
            if left_seconds <= 0:
                raise TokenStoreUnavailable(
                    f"{self._name()} has been held for {timeout_seconds:g} s by another process, "
                    f"or by another store object of this one: {self._advice()}"
                )
            time.sleep(min(pause_seconds, left_seconds))
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        return ends_at

    @abstractmethod
    def _name(self) -> str:
        """Name what is waited for, for the error."""

    def _advice(self) -> str:
        return "try again"

    @abstractmethod
    def _take(self) -> float | None:
        """Take it from among the processes; None if another has it, else the monotonic second at which it ends."""

    @abstractmethod
    def _let_go(self) -> None:
        """Give it back; also called after a `_take` that did not take it, or that raised."""

    @abstractmethod
    def _forget(self) -> None:
        """Close what a forked child has inherited, without giving back what is its parent's."""


def fork_held_off() -> AbstractContextManager[bool]:
    """A lock to hold while a descriptor is opened and noted, or closed and forgotten."""
    return _forks.held_off
