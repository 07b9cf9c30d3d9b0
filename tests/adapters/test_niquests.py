"""niquests keeps every promise of the suite, in an environment of its own: its urllib3 takes the place of urllib3."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import need

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "niquests" / "bin" / "python"
SUITE = "tests/adapters/niquests_suite.py"
LONGEST_SECONDS = 300


@pytest.mark.parametrize(
    "suite",
    [
        "TestSession",
        "TestAsyncSession",
        "test_the_adapter_for_threads_in_an_async_session_says_what_to_use",
        "test_a_request_that_opts_out_in_the_dialects_words_is_sent_untouched",
    ],
)
def test_niquests_in_its_own_environment_keeps_every_promise(suite: str) -> None:
    """
    `Session` and `AsyncSession` of niquests pass the whole suite of the adapters.
    """
    python = need(str(PYTHON), "niquests runs in an environment of its own")
    options = ["-q", "--tb=short", "-rfE", "--noconftest", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    ran = subprocess.run(
        [python, "-m", "pytest", *options, f"{SUITE}::{suite}"],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_niquests_stays_out_of_the_environment_of_the_other_libraries() -> None:
    """
    requests is tested with the urllib3 that it is made for, not with the one that niquests brings.
    """
    import urllib3

    assert not hasattr(urllib3, "AsyncPoolManager")
