"""A user's shell with a home of its own: runs `evertoken` as a process, and looks at the session that it keeps."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evertoken.client.refresher import record as records
from evertoken.client.refresher.record import Record
from evertoken.client.token_stores.file import FileStore
from evertoken.clock import system_clock
from tests.support.process import COMMAND, environment_of, run_evertoken

PASSWORD = "correct-horse-battery"
SECOND = 1.0

Ended = subprocess.CompletedProcess[str]


class Shell:
    """
    Where commands are typed.

    Args:
        folder: Its home; the session is in `.config/evertoken/session.json` there.
    """

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.file = folder / ".config" / "evertoken" / "session.json"
        self.environment = {"HOME": str(folder), "XDG_CONFIG_HOME": "", "NO_PROXY": "*"}

    def run(self, *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None, **options: Any) -> Ended:
        """Type a command and wait for its end."""
        environment = self.environment | dict(more or {})
        return run_evertoken(*arguments, stdin=stdin, environment=environment, cwd=self.home, **options)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command; its outputs are pipes."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=environment_of(self.environment),
            cwd=self.home,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def login(self, url: str, *more: str) -> Ended:
        """Sign ada in."""
        done = self.run("login", url, "--username", "ada", "--password-stdin", *more, stdin=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr
        return done

    @property
    def record(self) -> Record:
        """What the session file holds."""
        return records.parse(self.file.read_text("utf-8"))

    def keep(self, record: Record) -> None:
        """Put a session into the file, as another program of the user would."""
        store = FileStore(self.file)
        assert store.swap(store.load(), records.render(record))

    def keep_token(self, url: str) -> None:
        """A session at a server that gives no tokens itself, with one that lives for an hour."""
        now = system_clock() / 1000
        self.keep(
            Record(
                server=url,
                version=1,
                access_token="the-token",
                refresh_token="r",
                obtained_at=now,
                expires_at=now + 3600,
            )
        )

    def let_end(self, *, in_seconds: float = -SECOND) -> None:
        """Have the access token end then, as far as the file knows."""
        now = system_clock() / 1000
        self.keep(replace(self.record, obtained_at=now - 1800, expires_at=now + in_seconds))


def one_line(done: Ended) -> str:
    """What a failed command said: one line, on standard error alone."""
    assert done.stdout == ""
    assert done.stderr.startswith("evertoken: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    return done.stderr
