"""Runs what a reader would run, where port 8000 is nobody else's."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.needs import need


def run_in_own_network(script: str, folder: Path, **environment: str) -> dict[str, str]:
    """
    Run a script where port 8000 is nobody else's: in a network namespace of its own.

    Returns the output of each block by its mark.
    """
    need("unshare", "gives the README's port 8000 a network of its own")
    need("ip", "brings that network up")
    need("curl", "the README calls it")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERTOKEN_")}
    done = subprocess.run(
        ["unshare", "-n", "bash", "-c", f"ip link set lo up && exec bash -c {_quoted(script)}"],
        cwd=folder,
        env={**kept, **environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    parts = re.split(r"^=== (.*)$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
