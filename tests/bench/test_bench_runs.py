"""That the bench runs and says everything it is asked for. Never how fast anything is."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from bench.__main__ import PARTS

ROOT = Path(__file__).resolve().parents[2]

REFRESHES_AND_STORES = (
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
    "synchronous=FULL; every refresh counted as ADVANCE",
)
THE_REST = (
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
SHORT = {"refreshing", "stores"}
ELSEWHERE = {"http"}
"""What needs other libraries in an environment of its own is in test_beside.py."""


@pytest.mark.slow
# Nothing could be installed elsewhere, so with CI=true it is skipped there too.
@pytest.mark.skipif(sys.platform != "linux", reason="the bench pins processes to cores, which Linux alone can do")
@pytest.mark.parametrize(
    ("parts", "rows"),
    [
        (SHORT, REFRESHES_AND_STORES),
        pytest.param(set(PARTS) - SHORT - ELSEWHERE, THE_REST, marks=pytest.mark.soak),
    ],
    ids=["refreshes and stores", "the rest"],
)
def test_the_bench_prints_every_row(parts: set[str], rows: Sequence[str]) -> None:
    """`python -m bench` measures refreshes, stores, guards, clients, the flood and revocations, with a row for each."""
    only = [argument for part in PARTS if part in parts for argument in ("--only", part)]
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", *only],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for row in rows:
        assert row in ran.stdout
    assert "REFUSED" not in ran.stdout
