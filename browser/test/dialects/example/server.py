"""examples/nest_pair in this process, on a clock that can be moved: a number of seconds per line, each is answered."""
# ruff: noqa: INP001

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

EXAMPLE = Path(__file__).parents[4] / "examples" / "nest_pair"


class _MovedClock:
    """This machine's time, and what a test has let pass besides."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


def _running(port: str, clock: _MovedClock) -> tuple[uvicorn.Server, threading.Thread]:
    sys.path.insert(0, str(EXAMPLE))
    os.environ["PEOPLE"] = str(Path.cwd() / "people.db")
    import app  # noqa: PLC0415 - the example, once its table has a place
    from people import people  # noqa: PLC0415

    from evertoken.edge import logs  # noqa: PLC0415
    from evertoken.edge.serving import uvicorn_config  # noqa: PLC0415

    logs.configure(level="error", as_json=False)
    people.add("ada", "correct-horse-battery")
    environment: dict[str, Any] = {"EVERTOKEN_PORT": port, "EVERTOKEN_ISSUER": f"http://127.0.0.1:{port}"}
    application, server = app.make(environment, clock)
    running = uvicorn.Server(uvicorn_config(application, server.services.settings))
    thread = threading.Thread(target=running.run, name="server")
    thread.start()
    while not running.started:
        if not thread.is_alive():
            raise RuntimeError("the example did not start")
        time.sleep(0.005)
    return running, thread


def main() -> None:
    clock = _MovedClock()
    with tempfile.TemporaryDirectory(prefix="evertoken-nest-pair-") as folder:
        os.chdir(folder)
        running, thread = _running(sys.argv[1], clock)
        try:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            for line in sys.stdin:
                clock.ahead_ms += int(line) * 1000
                sys.stdout.write("moved\n")
                sys.stdout.flush()
        finally:
            running.should_exit = True
            thread.join(20)


if __name__ == "__main__":
    main()
