"""
Machines without hardware: network namespaces of this one, each with an address and a link of its own, on one switch.

Processes are started inside a machine by a thread that is inside; there they and the test reach it as 127.0.0.1. The
test itself moves to a namespace that is on the switch too, so that it reaches everybody by his address. This machine's
own has no link more than before: a browser gives its requests up when it sees one come or go.
"""

import contextlib
import ctypes
import os
import random
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from tests.needs import is_missing, need

_WHY: Final = "makes machines of their own out of network namespaces (Debian: apt-get install iproute2)"
_WITHIN_SECONDS: Final = 20
_NAMESPACES: Final = Path("/run/netns")
_OURS: Final = re.compile(r"evertoken-(\d+)-[0-9a-f]{6}-[a-z0-9]+")
_CLONE_NEWNET: Final = 0x40000000
_NOBODY: Final = "02:00:00:00:00:01"
"""A hardware address that no machine has: what is sent there is lost on the way, and nobody is told."""


def _ip(*arguments: str) -> str:
    """
    Run `ip`.

    Raises:
        OSError: it failed; with what it said.
    """
    done = subprocess.run(
        [need("ip", _WHY), *arguments], capture_output=True, text=True, timeout=_WITHIN_SECONDS, check=False
    )
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


class Machine:
    """
    One machine.

    Args:
        namespace: Its name for `ip netns`.
        address: Under which the others reach it.
        switch: The namespace of the switch, and `port` is the name of its end of our link there.
    """

    def __init__(self, namespace: str, address: str, switch: str, port: str) -> None:
        self.namespace = namespace
        self.address = address
        self._switch = switch
        self._port = port

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """
        Be there: sockets that this thread opens, and processes that it starts, belong to that machine.

        Only for a thread, and not over an `await`.
        """
        with open("/proc/thread-self/ns/net", "rb") as home, (_NAMESPACES / self.namespace).open("rb") as there:  # noqa: PTH123
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def unplug(self) -> None:
        """Pull the cable: nothing goes in or out, and nobody is told."""
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def plug_in(self) -> None:
        """Put it back."""
        _ip("-n", self._switch, "link", "set", self._port, "up")

    def cut_off(self, other: "Machine") -> None:
        """Lose all that is sent to one other machine, from connections that are open and from new ones."""
        _ip(
            "-n",
            self.namespace,
            "neigh",
            "replace",
            other.address,
            "lladdr",
            _NOBODY,
            "nud",
            "permanent",
            "dev",
            "eth0",
        )

    def reconnect(self, other: "Machine") -> None:
        """Let it through again."""
        _ip("-n", self.namespace, "neigh", "del", other.address, "dev", "eth0")


class Network:
    """
    A switch, to which machines are added, and a place on it for the thread of the test. A context manager; needs root,
    else the test is left.

    Every name holds this process's id and chance; what an earlier run left behind because it was killed is removed.
    """

    def __init__(self) -> None:
        self._name = f"evertoken-{os.getpid()}-{secrets.token_hex(3)}"
        self._switch = f"{self._name}-switch"
        # RFC 2544 §C.2.2: addresses for tests of networks, which nobody else has.
        self._net = f"198.{random.choice((18, 19))}.{random.randrange(256)}"
        self._made: list[str] = []
        self._machines = 0
        self._home: int | None = None

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            is_missing("network namespaces are made by root")
        try:
            _remove_what_is_left_over()
            self._make(self._switch)
            _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "switch", "up")
            self._move_to(self.machine("outside"))
        except OSError as error:
            self.__exit__()
            is_missing(f"network namespaces cannot be made here: {error}")
        return self

    def _move_to(self, outside: Machine) -> None:
        """Be there from now on; so are the threads that this one starts."""
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        with (_NAMESPACES / outside.namespace).open("rb") as there:
            _enter(there.fileno())

    def __exit__(self, *_: object) -> None:
        if self._home is not None:
            _enter(self._home)
            os.close(self._home)
            self._home = None
        # With a namespace goes whatever is in it: the switch, its links, and so their other ends.
        for name in reversed(self._made):
            with contextlib.suppress(OSError):
                _ip("netns", "delete", name)
        self._made.clear()

    def machine(self, role: str) -> Machine:
        """
        One machine more, plugged in.

        Args:
            role: Letters and digits, once in a network.
        """
        self._machines += 1
        name, port = f"{self._name}-{role}", f"port{self._machines}"
        address = f"{self._net}.{10 + self._machines}"
        self._make(name)
        _ip("link", "add", port, "netns", self._switch, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        self._connect(port)
        return Machine(name, address, self._switch, port)

    def _make(self, name: str) -> None:
        _ip("netns", "add", name)
        self._made.append(name)

    def _connect(self, port: str) -> None:
        _ip("-n", self._switch, "link", "set", port, "master", "switch")
        _ip("-n", self._switch, "link", "set", port, "up")


def _remove_what_is_left_over() -> None:
    """Of runs that were killed. A network of a run that goes on is left alone."""
    for entry in _NAMESPACES.glob("evertoken-*") if _NAMESPACES.exists() else ():
        found = _OURS.fullmatch(entry.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            with contextlib.suppress(OSError):
                _ip("netns", "delete", entry.name)
