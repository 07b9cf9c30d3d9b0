"""That the comparison with other people's clients runs; what they do is theirs, what ours do is promised."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = 3
THEIRS = 4


def test_the_comparison_with_other_clients_prints_a_cell_for_each() -> None:
    """`python -m bench.peers` plays its situations in threads and in tasks; ours refresh once, and all go on."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.peers", "--only", "expired-threads", "--only", "cancelled"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    head, _, in_threads, in_tasks = (line.strip("|").split("|") for line in ran.stdout.splitlines()[:4])
    for row in (head, in_threads, in_tasks):
        assert len(row) == 1 + OURS + THEIRS
    assert [cell.strip() for cell in in_threads[1 : 1 + OURS]] == ["1 refresh: 8 ok", "1 refresh: 8 ok", "-"]
    survived = "the other ok, the next ok, 1 refresh"
    assert [cell.strip() for cell in in_tasks[1 : 1 + OURS]] == [survived, "-", survived]
    assert all(cell.strip() for row in (in_threads, in_tasks) for cell in row)
    for package in ("google-auth", "Authlib", "requests-oauthlib"):
        assert f"{package} " in ran.stdout.splitlines()[-1]
