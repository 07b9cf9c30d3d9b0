"""That the bench runs and says everything it is asked for. Never how fast anything is."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import PARTS

ROOT = Path(__file__).resolve().parents[2]

ROWS = (
    "POST that does nothing (ES256 server)",
    "refresh, ADVANCE, ES256",
    "refresh, ADVANCE, HS256",
    "ES256 store: the UPDATE",
    "HS256 access token with joserfc",
    "SQLite, a lone caller, sqlite3's own statement each",
    "SQLite, 64 callers, group commit",
    "SQLite, 256 callers, group commit",
    "one bare commit (sqlite3)",
    "Store operations (PostgreSQL",
    "Store operations (MariaDB",
    "Store operations (Redis",
    "a lone caller's rotation, beyond it",
    "Starlette, unguarded",
    "Starlette GuardMiddleware, ES256, guarded, seen before",
    "Django REST AccessTokenAuthentication, HS256, guarded, first sight",
    "flask-jwt-extended in Flask",
    "httpx2, SilentAuth",
    "aiohttp, 32 at once, SilentAuth",
    "requests: 100 refused, refreshed, sent again",
    "refresh p99, quiet, server on one core",
    "refresh p99, flooded, server on one core",
    "one sign-out, heard by all",
    "all cut, and back",
)


@pytest.mark.slow
# Nothing could be installed elsewhere, so with CI=true it is skipped there too.
@pytest.mark.skipif(sys.platform != "linux", reason="the bench pins processes to cores, which Linux alone can do")
def test_the_bench_prints_every_row() -> None:
    """`python -m bench` measures refreshes, stores, guards, clients, the flood and revocations, with a row for each."""
    # What needs other libraries in an environment of its own is in test_beside.py, under soak.
    parts = [argument for part in PARTS if part != "http" for argument in ("--only", part)]
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for row in ROWS:
        assert row in ran.stdout
    assert "synchronous=FULL; every refresh counted as ADVANCE" in ran.stdout
    assert "REFUSED" not in ran.stdout
