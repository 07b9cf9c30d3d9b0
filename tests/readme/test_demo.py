"""`make demo` and what it prints."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.cli.walkthrough import commands
from tests.needs import need
from tests.support.server import free_port


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo as `make demo` starts it, and what it printed before it served."""
    need("curl", "the walk-through calls it")
    port = free_port()
    command = [str(Path(sys.executable).parent / "evertoken"), "demo", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "data"), "--access", "1.5", "--overlap", "0.3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    printed = ""
    assert process.stdout is not None
    while "# 8" not in printed or not printed.endswith('\\"}"\n'):
        line = process.stdout.readline()
        assert line, printed
        printed += line
    try:
        yield process, printed
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
        process.stdout.close()


def _wait_until_it_serves(url: str) -> None:
    for _ in range(200):
        if subprocess.run(["curl", "-s", f"{url}/readyz"], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)  # a real process starts in real time
    pytest.fail("the demo did not start")


def test_the_walk_through_works_as_printed(demo: tuple[subprocess.Popen[str], str]) -> None:
    """Pasting the demo's lines gives 200, then 401 at expiry, then 200 after a refresh, then a clean sign-out."""
    process, printed = demo
    match = re.search(r"runs at (\S+) with", printed)
    assert match is not None
    _wait_until_it_serves(match[1])
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(commands(printed)), capture_output=True, text=True, timeout=60, check=False
    )
    codes = re.findall(r"^(\d{3})$", done.stdout, flags=re.MULTILINE)
    assert codes == ["200", "401", "200", "200", "204", "401"], done.stdout + done.stderr
    assert "token_expired" in done.stdout
    assert '"reason":"signed_out"' in done.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 0


def test_make_demo_hands_its_four_choices_to_the_demo() -> None:
    """make demo PORT= DATA= ACCESS= OVERLAP= reach the command as they were given."""
    make = need("make", "runs the README's commands")
    dry = subprocess.run(
        [make, "-n", "demo", "PORT=9000", "DATA=folder", "ACCESS=15", "OVERLAP=3"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "evertoken demo --port '9000' --data 'folder' --access '15' --overlap '3'" in dry.stdout
