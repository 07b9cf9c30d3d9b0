"""The Nest-style pair: public /aaa, guarded /bbb, users in a SQL table of its own, 30 minutes and 7 days."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.needs import is_missing
from tests.support.process import environment_of, lasting_port, run_evertoken
from tests.support.server import client_at

EXAMPLE = Path(__file__).parents[2] / "examples" / "nest_pair"
PASSWORD = "correct-horse-battery"
WITHIN_SECONDS = 30
SEVEN_DAYS = 7 * 86_400


class Pair:
    """The example as a process, started as its README says, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        port = lasting_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self._log = folder / "log.txt"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(EXAMPLE / "app.py")],
                cwd=folder,
                env=environment_of({"EVERTOKEN_PORT": str(port), "EVERTOKEN_ISSUER": self.url}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def wait(self) -> None:
        """Wait until it answers."""
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while True:
            assert self.process.poll() is None, self.log
            try:
                httpx2.get(f"{self.url}/aaa")
            except httpx2.TransportError:
                assert time.monotonic() < give_up_at, self.log
                time.sleep(0.02)  # Node does not tell when it listens
            else:
                return


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The running example."""
    if not (EXAMPLE / "node_modules" / "axios").is_dir():
        is_missing("axios is not installed: run npm ci in examples/nest_pair, as make test does")
    running = Pair(tmp_path_factory.mktemp("pair"))
    try:
        running.wait()
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)  # Ctrl-C
        assert running.process.wait(WITHIN_SECONDS) == 0


@pytest.fixture(scope="module")
def http(pair: Pair) -> Iterator[httpx2.Client]:
    """A plain HTTP client for it."""
    with client_at(pair.url, timeout=WITHIN_SECONDS) as client:
        yield client


def _sign_in(http: httpx2.Client) -> dict[str, object]:
    answer = http.post("/user/login", json={"username": "ada", "password": PASSWORD})
    assert answer.is_success, answer.text
    tokens: dict[str, object] = answer.json()
    return tokens


def test_aaa_is_for_everybody_and_bbb_for_whoever_is_signed_in(http: httpx2.Client) -> None:
    """/aaa answers without a token; /bbb answers 401 as a Nest service says it, and its text with a token."""
    assert http.get("/aaa").text == "aaa"
    refused = http.get("/bbb")
    assert (refused.status_code, refused.json()["statusCode"]) == (401, 401)
    assert refused.json()["message"]
    token = _sign_in(http)["access_token"]
    assert http.get("/bbb", headers={"Authorization": f"Bearer {token}"}).text == "bbb for user 1"


def test_the_tokens_live_for_30_minutes_and_7_days(http: httpx2.Client) -> None:
    """POST /user/login and GET /user/refresh answer both tokens, and how long they live."""
    tokens = _sign_in(http)
    renewed = http.get("/user/refresh", params={"refresh_token": str(tokens["refresh_token"])}).json()
    for answer in (tokens, renewed):
        assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (1800, SEVEN_DAYS)
    bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert http.get("/bbb", headers=bearer).status_code == 200


def test_a_wrong_password_is_401_and_no_password_is_kept(http: httpx2.Client, pair: Pair) -> None:
    """The table holds argon2id hashes; what was typed stands in no file of the example."""
    refused = http.post("/user/login", json={"username": "ada", "password": "wrong-horse-battery"})
    assert (refused.status_code, refused.json()["statusCode"]) == (401, 401)
    kept = b"".join(file.read_bytes() for file in pair.folder.iterdir())
    assert b"$argon2id$" in kept
    assert PASSWORD.encode() not in kept
    assert b"wrong-horse" not in kept


def test_the_refresh_token_in_the_url_stands_in_no_log(http: httpx2.Client, pair: Pair) -> None:
    """evertoken writes no URL down, and says at start that others will."""
    token = str(_sign_in(http)["refresh_token"])
    http.get("/user/refresh", params={"refresh_token": token})
    assert token not in pair.log
    assert "carries the refresh token in the URL" in pair.log


def test_the_pair_speaks_as_its_dialect_says(pair: Pair, tmp_path: Path) -> None:
    """`evertoken dialect check nest` finds nothing that differs, guarded calls and all."""
    done = run_evertoken(
        *("dialect", "check", "nest", "--url", pair.url, "--username", "ada", "--password-stdin"),
        *("--resource", "/bbb"),
        stdin=PASSWORD + "\n",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith(" 0 differ, 0 not checked\n")
    assert "ok       guarded call with a bad access token: 401 with " in done.stdout


def test_the_page_and_axios_come_from_the_example_itself(http: httpx2.Client) -> None:
    """The page loads nothing from anywhere else: its scripts, axios and evertoken's client are all served here."""
    assert http.get("/").headers["location"] == "/page/index.html"
    for path in ("/page/index.html", "/page/page.html", "/page/page.js", "/axios.js", "/auth/client.js"):
        assert http.get(path).status_code == 200, path
    for file in (EXAMPLE / "page").iterdir():
        assert "://" not in file.read_text("utf-8"), file.name
