"""The client on a Python that has nothing installed."""

import json
import subprocess
import sys
from pathlib import Path

from tests.client.staging import WITHIN_SECONDS
from tests.token_stores.peer import PROJECT

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])

from evertoken import Session, SignedOut
from evertoken.client import FileStore, MemoryStore, Session as SameSession, oauth_session
from evertoken.testing import FakeServer

assert SameSession is Session
with FakeServer() as server:
    for store in (FileStore(sys.argv[2]), MemoryStore()):
        session = Session(server.url, store=store)
        session.login("ada", "correct-horse-battery")
        old = session.token()
        session.refresh()
        assert session.token() != old
        session.logout()
        try:
            session.token()
        except SignedOut as error:
            assert error.reason == "signed_out"
    pair = server.sign_in()
    found = oauth_session(server.url, client_id="evertoken", issuer=server.url)
    found.adopt(access_token=pair["access_token"], refresh_token=pair["refresh_token"])
    found.refresh()

import json, sysconfig
own = [sys.argv[1], sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
foreign = [
    name
    for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and not any(module.__file__.startswith(place) for place in own)
]
print(json.dumps({"foreign": foreign, "site": "site" in sys.modules, "cryptography": "cryptography" in sys.modules}))
"""


def test_a_session_needs_nothing_but_python(tmp_path: Path) -> None:
    """
    Sign-in, refresh, sign-out and OAuth discovery, over a file and in memory, with the standard library alone.
    """
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-W",
            "error",
            "-c",
            PROGRAM,
            str(PROJECT / "src"),
            str(tmp_path / "session.json"),
        ],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"foreign": [], "site": False, "cryptography": False}
