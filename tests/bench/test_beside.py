"""That refreshes are compared with other libraries only where those do the same work, and that the comparison runs."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from bench.beside.checks import NotTheSameWork, check
from bench.beside.servers import SIMPLEJWT, PeerServer

from tests.needs import is_missing

ROOT = Path(__file__).resolve().parents[2]


class _Library:
    """A server as the check sees it: rotates, remembers and refuses unless told otherwise."""

    peer = SIMPLEJWT

    def __init__(
        self, *, rotates: bool = True, refuses: bool = True, algorithm: str = "HS256", durable: str = "2"
    ) -> None:
        self._rotates = rotates
        self._refuses = refuses
        self._header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
        self._durable = durable
        self._used: set[str] = set()
        self._made = 0

    def sign_in(self, _user: int) -> str:
        return self._token()

    def _token(self) -> str:
        self._made += 1
        return f"{self._header}.{self._made}.signature"

    def ask(self, request: bytes) -> tuple[int, dict[str, Any]]:
        token = json.loads(request.partition(b"\r\n\r\n")[2])["refresh"]
        if token in self._used and self._refuses:
            return 401, {}
        self._used.add(token)
        return 200, {"access": self._token(), "refresh": self._token() if self._rotates else token}

    def durable(self) -> str:
        return self._durable


def test_a_library_that_rotates_remembers_and_keeps_its_word_is_compared() -> None:
    """A library that makes a new refresh token and refuses the old one, on the disk, is compared with ours."""
    check(cast("PeerServer", _Library()), 0)
    check(cast("PeerServer", _Library(durable="on")), 0)


@pytest.mark.parametrize(
    ("library", "why"),
    [
        (_Library(rotates=False), "does not rotate"),
        (_Library(refuses=False), "takes a token that was used"),
        (_Library(algorithm="RS256"), "HS256"),
        (_Library(durable="1"), "not on the disk"),
        (_Library(durable="off"), "not on the disk"),
    ],
)
def test_a_library_that_does_less_is_not_compared(library: _Library, why: str) -> None:
    """The bench stops when another library keeps its refresh token, takes one twice, signs otherwise or may lose it."""
    with pytest.raises(NotTheSameWork, match=why):
        check(cast("PeerServer", library), 0)


@pytest.mark.soak
# Nothing could be installed elsewhere, so with CI=true it is skipped there too.
@pytest.mark.skipif(sys.platform != "linux", reason="the bench pins processes to cores, which Linux alone can do")
def test_refreshes_are_compared_with_other_libraries_on_both_databases() -> None:
    """`python -m bench --only http` refreshes on simplejwt, flask-jwt-extended and ours, and lets nobody be refused."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", "--only", "http"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    if "cannot be installed" in ran.stdout or "not installed" in ran.stdout:
        is_missing(f"the other libraries or PostgreSQL: {ran.stdout}")
    for database, promise in (("SQLite", "synchronous=FULL"), ("PostgreSQL", "synchronous_commit=on")):
        section = ran.stdout.partition(f"other libraries, {database} (")[2].partition("##")[0]
        assert promise in section
        assert "every refresh of ours counted as ADVANCE" in section
        assert [row.split("  ")[0] for row in section.splitlines()[2:8]] == [
            "djangorestframework-simplejwt with rotation and blacklist",
            f"... evertoken, HS256, {database}",
            f"... evertoken, ES256, {database}",
            "flask-jwt-extended with rotation and a blocklist",
            f"... evertoken, HS256, {database}",
            f"... evertoken, ES256, {database}",
        ]
    assert "REFUSED" not in ran.stdout
