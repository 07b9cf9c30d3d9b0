"""Programs for Node.js that a test tells what to do, a line of JSON at a time."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.needs import is_missing, need

FOLDER = Path(__file__).parent
SECONDS = 30


class NodeError(Exception):
    """What a JavaScript library threw; its properties are attributes here, None where it has none."""

    def __init__(self, thrown: dict[str, Any]) -> None:
        super().__init__(f"{thrown['name']}: {thrown['message']}")
        self.name: str = thrown["name"]
        self.code: str | None = thrown.get("code")
        self.error: str | None = thrown.get("error")
        self.status: int | None = thrown.get("status")
        self.retry_after: str | None = thrown.get("retry_after")
        self.challenge: str | None = thrown.get("challenge")


class NodeProgram:
    """A running program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, action: str, **options: Any) -> Any:
        """
        Let it do something and return the result.

        Raises:
            NodeError: The library threw.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        watchdog = threading.Timer(SECONDS, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps({"do": action, **options}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
            watchdog.join()
        assert line, "the program ended; its last words are on stderr"
        reply = json.loads(line)
        if "error" in reply:
            raise NodeError(reply["error"])
        return reply["result"]


@contextlib.contextmanager
def node_program(name: str, *, library: str) -> Iterator[NodeProgram]:
    """Start a program of this folder; it is ended at the end. Skipped, or failed under CI=true, where it cannot run."""
    node = need("node", f"it runs {library}")
    if not (FOLDER / "node_modules" / library).is_dir():
        is_missing(f"{library} is not installed: run npm ci in tests/oauth_clients, as make test does")
    process = subprocess.Popen(
        [node, name], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        try:
            yield NodeProgram(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
