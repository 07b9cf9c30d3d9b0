"""Another process that uses a token store: forked from this one, or a program of its own, told what to do by a pipe."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from evertoken.client.token_stores.file import FileStore
from evertoken.client.token_stores.protocol import Lease, TokenStore
from evertoken.errors import EvertokenError

ANSWERS_WITHIN_SECONDS = 30.0
PROJECT = Path(__file__).parents[2]

Spec = list[str]
"""How another program opens the same store: its kind, and where it is."""


def opened(spec: Spec) -> TokenStore:
    """The store that a spec names."""
    kind, where, *rest = spec
    if kind == "file":
        return FileStore(where)
    if kind == "keyring":
        from tests.token_stores.keyrings import plaintext_store

        return plaintext_store(Path(where))
    from evertoken.client.token_stores.redis import RedisStore

    return RedisStore(where, lease_seconds=float(rest[0]))


def count_up(store: TokenStore, times: int) -> None:
    """Add one to the number that is the document, as often; whoever else does so loses nothing."""
    for _ in range(times):
        while True:
            found = store.load()
            if store.swap(found, str(int(found or "0") + 1)):
                break


def tally(store: TokenStore, path: str, times: int) -> None:
    """Add one to the number in a file, as often, in a way that only the lease makes safe."""
    for _ in range(times):
        with store.lease(timeout_seconds=ANSWERS_WITHIN_SECONDS):
            Path(path).write_text(str(int(Path(path).read_text()) + 1))


class _Worker:
    """What runs in the other process."""

    def __init__(self, store: TokenStore, inherited: contextlib.ExitStack | None) -> None:
        self.store = store
        self.inherited = inherited
        self.held = contextlib.ExitStack()
        self.lease_held: Lease | None = None

    def load(self) -> str | None:
        return self.store.load()

    def swap(self, expected: str | None, document: str | None) -> bool:
        return self.store.swap(expected, document)

    def prepare(self) -> None:
        self.store.prepare()

    def lease(self, timeout_seconds: float) -> None:
        self.lease_held = self.held.enter_context(self.store.lease(timeout_seconds=timeout_seconds))

    def seconds_left(self) -> float:
        return self.lease_held.seconds_left() if self.lease_held else 0.0

    def release(self) -> None:
        self.held.close()

    def leave_inherited(self) -> None:
        assert self.inherited is not None
        self.inherited.close()

    def count_up(self, times: int) -> None:
        count_up(self.store, times)

    def tally(self, path: str, times: int) -> None:
        tally(self.store, path, times)

    def fork_one_that_lives(self) -> None:
        """A child that does nothing, and lives until our caller goes: it waits for the end of the commands."""
        if os.fork() == 0:
            while os.read(0, 1000):
                pass
            os._exit(0)


def _serve(worker: _Worker, commands: int, answers: int) -> None:
    with open(commands, closefd=False) as lines:
        for line in lines:
            name, *arguments = json.loads(line)
            if name == "flip":
                _flip(worker.store, *arguments, answers=answers)
            try:
                answer = [None, getattr(worker, name)(*arguments)]
            except EvertokenError as error:
                answer = [type(error).__name__, str(error)]
            os.write(answers, json.dumps(answer).encode() + b"\n")


def _flip(store: TokenStore, one: str, other: str, *, answers: int) -> NoReturn:
    """Replace one document by the other and back, and tell each time, until killed."""
    while True:
        found = store.load()
        # Not asserted: what a client sent to Redis before it was killed may arrive in between.
        store.swap(found, other if found == one else one)
        os.write(answers, b"[null, null]\n")


class PeerRefused(Exception):
    """The other process got this error of ours."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class PeerEnded(Exception):
    """The other process ended before it answered."""


class Peer:
    """The handle of the other process, in this one."""

    def __init__(self, pid: int, commands: int, answers: int) -> None:
        self.pid = pid
        self._commands = commands
        self._answers = answers
        self._unread = b""
        self._ended = False

    def ask(self, name: str, *arguments: Any) -> Any:
        """Have it do something, and give what came of it."""
        self.begin(name, *arguments)
        return self.answer()

    def begin(self, name: str, *arguments: Any) -> None:
        """Have it begin, and do not wait."""
        os.write(self._commands, json.dumps([name, *arguments]).encode() + b"\n")

    def answer(self) -> Any:
        """Wait for what came of what was begun."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], ANSWERS_WITHIN_SECONDS)
            assert ready, "the other process does not answer: it is deadlocked"
            got = os.read(self._answers, 65536)
            if not got:
                raise PeerEnded
            self._unread += got
        line, _, self._unread = self._unread.partition(b"\n")
        refusal, result = json.loads(line)
        if refusal:
            raise PeerRefused(refusal, result)
        return result

    def kill(self) -> None:
        """End it as the kernel would when memory runs out: at once, wherever it is."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self._ended = True

    def suspend(self) -> None:
        """Stop it, as a closed lid does, and wait until it is."""
        os.kill(self.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, and whatever waits for the end of its commands."""
        self.kill()
        os.close(self._commands)
        os.close(self._answers)


class Peers:
    """Starts other processes, and ends them all."""

    def __init__(self, store: TokenStore, spec: Spec | None) -> None:
        self._store = store
        self._spec = spec
        self._all: list[Peer] = []

    def other(self) -> Peer:
        """A process that has the store in common with us; a program of its own where the store can be named to one."""
        if self._spec is None:
            return self.forked()
        command = [sys.executable, "-m", "tests.token_stores.peer", *self._spec]
        program = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert program.stdin is not None and program.stdout is not None
        program.returncode = 0  # it is waited for by its id, in Peer.kill
        commands, answers = os.dup(program.stdin.fileno()), os.dup(program.stdout.fileno())
        program.stdin.close()
        program.stdout.close()
        return self._added(Peer(program.pid, commands, answers))

    def forked(self, inherited: contextlib.ExitStack | None = None) -> Peer:
        """A child that goes on with the very store object of this process, and with a context it may leave."""
        ours, theirs = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: forking beside threads is what we test
            pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(ours[0], 0)
                for descriptor in (*ours, theirs[0]):
                    os.close(descriptor)
                _serve(_Worker(self._store, inherited), 0, theirs[1])
                status = 0
            finally:
                os._exit(status)
        os.close(ours[0])
        os.close(theirs[1])
        return self._added(Peer(pid, ours[1], theirs[0]))

    def close(self) -> None:
        for peer in self._all:
            peer.close()

    def _added(self, peer: Peer) -> Peer:
        self._all.append(peer)
        return peer


@contextlib.contextmanager
def peers_of(store: TokenStore, spec: Spec | None) -> Iterator[Peers]:
    """Other processes for a store, ended with the context."""
    peers = Peers(store, spec)
    try:
        yield peers
    finally:
        peers.close()


if __name__ == "__main__":
    _serve(_Worker(opened(sys.argv[1:]), None), 0, 1)
