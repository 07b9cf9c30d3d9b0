"""The examples that hold the whole server, as their readers run them: a process of its own."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support.process import environment_of, lasting_port, run_evertoken
from tests.support.server import PASSWORD

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
WITHIN_SECONDS: Final = 60.0


@contextlib.contextmanager
def running_whole(module: str, folder: Path) -> Iterator[str]:
    """Do what the example's first lines say, with the users ada, and grace, who is an admin; gives the URL."""
    settings = {"EVERTOKEN_PORT": str(lasting_port()), "EVERTOKEN_STORE": str(folder / "app.db")}
    for user in (["ada"], ["grace", "--role", "admin"]):
        added = run_evertoken("users", "add", *user, "--password-stdin", environment=settings, stdin=PASSWORD + "\n")
        assert added.returncode == 0, added.stderr
    with running(module, EXAMPLES, settings, folder / "output.txt") as url:
        yield url


@contextlib.contextmanager
def running(module: str, where: Path, settings: Mapping[str, str], told: Path) -> Iterator[str]:
    """Run the example by uvicorn until it is ready, in that folder; what it says is in `told`. Gives the URL."""
    port = int(settings["EVERTOKEN_PORT"])
    command = ["uvicorn", f"{module}:app", "--port", str(port), "--no-proxy-headers", "--no-access-log"]
    with told.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=where,
            env=environment_of(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while not _is_ready(port):
            assert process.poll() is None, told.read_text("utf-8", "replace")
            assert time.monotonic() < give_up_at, told.read_text("utf-8", "replace")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
    written = told.read_text("utf-8", "replace")
    assert "Traceback" not in written, written
    assert PASSWORD not in written


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
