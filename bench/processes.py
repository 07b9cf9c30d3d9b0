"""Starting the servers under measurement, and reading what they cost."""

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.serve import Plan, Ready

_ROOT = Path(__file__).resolve().parent.parent
_REFRESHES = re.compile(r'^evertoken_refreshes_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)


def cpu_of(pid: int) -> float:
    """
    CPU seconds that a process has used, all threads and its living children included, to the nanosecond.

    Linux gives every process a clock of its own. What a child used that has ended since is not in it.
    """
    with contextlib.suppress(OSError):  # it ended just now
        return time.clock_gettime(~pid << 3 | 2) + sum(map(cpu_of, children_of(pid)))
    return 0.0


def children_of(pid: int) -> list[int]:
    """The living processes that a process has started, from whichever of its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


class ServerProcess:
    """A server that runs; `told` is what it said when it was ready."""

    def __init__(self, process: "subprocess.Popen[str]", told: Ready) -> None:
        self._process = process
        self.told = told

    def cpu_seconds(self) -> float:
        """CPU that all its threads have used, to the nanosecond: Linux gives every process a clock of its own."""
        return cpu_of(self._process.pid)

    def get(self, path: str) -> str:
        """What it answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.told.port}{path}", timeout=10) as answer:
            return str(answer.read(), "utf-8")

    def refreshes(self) -> dict[str, float]:
        """What it has counted: refreshes by outcome."""
        return {outcome: float(count) for outcome, count in _REFRESHES.findall(self.get("/metrics"))}


@contextlib.contextmanager
def running(plan: Plan, module: str = "bench.serve") -> Iterator[ServerProcess]:
    """Start a server, which is that module as a program; it is gone at the end, whatever happens."""
    with program(module, plan, Path(plan.folder) / f"{plan.kind}-{plan.algorithm}.log") as (process, told):
        yield ServerProcess(process, Ready(**told))


@contextlib.contextmanager
def program(module: str, plan: Any, log: Path) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """Start a module as a program that is given a plan, a dataclass, and says a line of JSON when it is ready."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(dataclasses.asdict(plan))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=_ROOT,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")
        yield process, json.loads(line)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
