"""A program that ends while its refresh is under way."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from evertoken.client import FileStore, Session
from evertoken.testing import FakeServer, Fault
from tests.client.staging import WITHIN_SECONDS
from tests.token_stores.peer import PROJECT

PROGRAM = """
import sys
from evertoken.client import FileStore, Session
session = Session(sys.argv[1], store=FileStore(sys.argv[2]))
print(session.token(), flush=True)
"""

FAILING = PROGRAM + "raise SystemExit(3)"


@pytest.mark.parametrize(("program", "status"), [(PROGRAM, 0), (FAILING, 3)], ids=["ends", "exits with a status"])
@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
def test_a_program_that_ends_in_mid_refresh_still_stores_the_new_pair(
    tmp_path: Path, program: str, status: int, lost: bool
) -> None:
    """
    A refresh begun in the background by a program's last request is finished and stored before the program is gone.
    """
    store = FileStore(tmp_path / "session.json")
    with FakeServer() as server:
        pair = server.sign_in()
        # 10 seconds before its end the token still goes with a request, and is renewed beside it.
        begun = time.time() - 1790
        Session(server.url, store=store, clock=lambda: (begun, 0.0)).adopt(
            **{name: pair[name] for name in ("access_token", "refresh_token", "expires_in", "session_id")}
        )
        if lost:
            server.script_refresh(Fault(lose_answer=True))
        with (
            server.hold_refreshes() as gate,
            subprocess.Popen(
                [sys.executable, "-c", program, server.url, str(tmp_path / "session.json")],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                assert process.stdout is not None
                assert process.stdout.readline().strip() == pair["access_token"]
                gate.wait_for_arrival()
                gate.release()
                assert process.wait(WITHIN_SECONDS) == status
            finally:
                process.kill()
        afterwards = Session(server.url, store=store)
        assert afterwards.token() != pair["access_token"]
        assert server.refresh_count == 1 + lost
        assert server.reuses == 0
