"""examples/nest_pair in this process, on a clock that can be moved: a number of seconds per line, each is answered."""
# ruff: noqa: INP001

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from serving import MovedClock, Serving

EXAMPLE = Path(__file__).parents[4] / "examples" / "nest_pair"


def _running(port: str, clock: MovedClock) -> Serving:
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
    return Serving(uvicorn_config(application, server.services.settings))


def main() -> None:
    clock = MovedClock()
    with tempfile.TemporaryDirectory(prefix="evertoken-nest-pair-") as folder:
        os.chdir(folder)
        running = _running(sys.argv[1], clock)
        try:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            for line in sys.stdin:
                clock.ahead_ms += int(line) * 1000
                sys.stdout.write("moved\n")
                sys.stdout.flush()
        finally:
            running.stop()


if __name__ == "__main__":
    main()
