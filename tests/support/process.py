"""The real command `evertoken` as a process of its own: started, watched, interrupted and killed by its id."""

import asyncio
import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.users import User
from evertoken.assembly import open_store
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from tests.support.server import PASSWORD

COMMAND = Path(sys.executable).with_name("evertoken")
BYTECODE = Path(__file__).parents[2] / ".pytest_cache" / "bytecode"
READY_WITHIN_SECONDS = 60.0
STOPPED_WITHIN_SECONDS = 20.0


def lasting_port() -> int:
    """
    A free port that stays free between two runs of a server.

    Not from the range of outgoing connections: one of them would take it sooner or later, and a client that keeps
    knocking at a port of that range ends up connected to itself.
    """
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment_of(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    An environment without anybody else's settings.

    Bytecode is kept between starts even where PYTHONDONTWRITEBYTECODE is set: without it a start takes twice as long.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EVERTOKEN_", "PROMETHEUS_", "COV_", "PYTEST_"))
    }
    if kept.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept["PYTHONPYCACHEPREFIX"] = str(BYTECODE)
    return kept | dict(given or {})


def flags_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as they stand on the command line: `access_lifetime="2s"` is `--access-lifetime 2s`."""
    arguments: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            arguments += [f"--{flag}", str(value)]
    return arguments


def run_evertoken(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    stdin: str = "",
    timeout_seconds: float = 60,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `options` are those of subprocess.run."""
    return subprocess.run(
        [*prefix, COMMAND, *arguments],
        env=environment_of(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
        **options,
    )


class ServerProcess:
    """
    `evertoken serve` (or `demo`) on a free port, as a process; a context manager that starts and stops it.

    It may be started again after it has ended: same port, same flags, same database.

    Args:
        folder: Where the database lies, unless `store` or `data` says otherwise, and where standard error is kept.
        prefix: A command in front, such as strace's; it must leave the server its process id.
        settings: Flags by setting name.
    """

    def __init__(
        self,
        folder: Path,
        *,
        command: str = "serve",
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        where = {"data": folder} if command == "demo" else {"store": folder / "evertoken.db"}
        self.settings: dict[str, Any] = {"port": lasting_port(), **where, **settings}
        self.port = int(self.settings["port"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = Path(self.settings.get("store") or Path(self.settings["data"]) / "evertoken.db")
        self._arguments = [*prefix, str(COMMAND), command, *flags_of(self.settings)]
        self._environment = environment_of(environment)
        self._stderr = folder / "stderr.txt"
        self._stdout = folder / "stdout.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._seen_workers: dict[int, str] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.launched())
        try:
            self.wait_until_ready()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def launched(self) -> Iterator[None]:
        """Launch it, ready or not, and see to it that nothing of it is left in the end."""
        self.launch()
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        try:
            if self.is_running():
                self.interrupt()
                self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.stderr[-4000:]}") from None
        finally:
            for pid in self.living_workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process id of the server; of the parent where there are workers."""
        assert self._process is not None
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What all runs have written to standard error so far."""
        return self._stderr.read_text("utf-8", "replace") if self._stderr.exists() else ""

    @property
    def stdout(self) -> str:
        """What all runs have written to standard output so far."""
        return self._stdout.read_text("utf-8", "replace") if self._stdout.exists() else ""

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Launch it and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C here reaches us and not it."""
        assert not self.is_running()
        with self._stderr.open("ab") as stderr, self._stdout.open("ab") as stdout:
            self._process = subprocess.Popen(
                self._arguments,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until /readyz says so."""
        give_up_at = time.monotonic() + READY_WITHIN_SECONDS
        while not self._is_ready():
            if not self.is_running():
                raise AssertionError(f"the server ended while starting:\n{self.stderr[-4000:]}")
            if time.monotonic() > give_up_at:
                raise AssertionError(f"the server is not ready:\n{self.stderr[-4000:]}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def interrupt(self) -> None:
        """Press Ctrl-C: SIGINT to the server and its workers, as a terminal does."""
        self.workers()
        if self.is_running():
            os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM to the server alone, as a supervisor does."""
        self.workers()
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self._process is not None
        self.workers()
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout_seconds: float = STOPPED_WITHIN_SECONDS) -> int:
        """
        Wait for the end and give the exit status; negative for a signal.

        Raises:
            subprocess.TimeoutExpired: It has not ended by then.
        """
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def workers(self) -> list[int]:
        """The process ids of the workers there are now; needs /proc."""
        if not self.is_running():
            return []
        found = {pid: began for pid, began in children(self.pid) if "spawn_main" in _command_line(pid)}
        self._seen_workers |= found
        return sorted(found)

    def worker_serving(self, local_port: int) -> int | None:
        """The worker that holds the other end of a connection from this port of ours; None before it is accepted."""
        inode = _inode(self.port, local_port)
        for pid in self.workers():
            with contextlib.suppress(OSError):
                if any(entry.readlink().name == f"socket:[{inode}]" for entry in Path(f"/proc/{pid}/fd").iterdir()):
                    return pid
        return None

    def living_workers(self) -> list[int]:
        """Which of the workers that were ever seen still run, whoever is their parent now."""
        return [pid for pid, began in self._seen_workers.items() if _began(pid) == began]


def children(parent: int) -> Iterator[tuple[int, str]]:
    """The living children of a process, each with when it began; needs /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        fields = _stat(pid)
        if fields and int(fields[1]) == parent and (began := _began(pid)):
            yield pid, began


def is_living(pid: int, began: str) -> bool:
    """Whether this process, and no later one of the same id, runs still."""
    return bool(began) and _began(pid) == began


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _began(pid: int) -> str:
    """When a living process began, which with its id tells it from any later one; empty where it has ended."""
    fields = _stat(pid)
    return "" if not fields or fields[0] in "ZX" else fields[19]


def _inode(local_port: int, remote_port: int) -> str:
    """The socket between two ports of this machine, as /proc names it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(end.rpartition(":")[2], 16) for end in fields[1:3]] == [local_port, remote_port]:
            return fields[9]
    return ""


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    except OSError:
        return ""


def add_users(database: Path, *usernames: str, password: str = PASSWORD) -> None:
    """Users who can sign in, written before the server starts; one hash for all, since hashing takes its time."""
    hashing = PasswordHashing()
    hashed = hashing.hash_now(Secret(password))
    hashing.close()

    async def add() -> None:
        store = open_store(Settings(store=str(database)))
        try:
            for name in usernames:
                await store.add_user(User(f"usr_{name}", name, hashed, 0, False, (), system_clock()))
        finally:
            store.close()

    asyncio.run(add())
