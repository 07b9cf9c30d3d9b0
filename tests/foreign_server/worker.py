"""
`python -m tests.foreign_server.worker`: one process of an application, with many threads over one session.

Told what to do by lines of JSON on standard input, each answered by one on standard output. It knows the session by
its store alone, as any second process does.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
import requests

from evertoken.client import httpx2 as for_httpx2
from evertoken.client import requests as for_requests
from evertoken.client.oauth import oauth_session
from evertoken.client.session import Session
from evertoken.client.token_stores.file import FileStore
from evertoken.errors import SignedOut
from tests.foreign_server.server import ForeignServer

PROJECT = Path(__file__).parents[2]
LOST = "lost"
PAUSE_SECONDS = 0.05
"""Between two requests of a thread: fifty of them would keep two cores busy for a thousand requests a second."""

Ask = Callable[[], int]


@dataclass(frozen=True)
class Told:
    """
    What a worker says of what it did.

    Args:
        outcomes: How many requests ended how: a status, LOST, or `SignedOut: reason`; any other error as its text.
        endings: The reasons that `on_signed_out` has told so far.
    """

    outcomes: dict[str, int]
    endings: list[str]


class WorkerProcess:
    """A running worker, as the test sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self, seconds: float) -> None:
        """Let every thread make one request, and go on until that many seconds have passed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(seconds) + "\n")
        self._process.stdin.flush()

    def told(self, *, within_seconds: float) -> Told:
        """Wait for the end of what was begun."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(within_seconds, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
            watchdog.join()
        assert line, "the worker ended, or was ended because it took too long; its last words are on stderr"
        return Told(**json.loads(line))


@contextlib.contextmanager
def workers(server: ForeignServer, store: Path, *, threads: list[int]) -> Iterator[list[WorkerProcess]]:
    """Processes of the public client that share a store, one for each number of threads; ended at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with contextlib.ExitStack() as stack:
        started = []
        for count in threads:
            arguments = json.dumps({"server": asdict(server), "store": str(store), "threads": count})
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.foreign_server.worker", arguments],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
            started.append(WorkerProcess(process))
        yield started


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()


def through_requests(session: Session, url: str) -> Ask:
    """GET over requests, in one thread."""
    client = requests.Session()
    client.trust_env = False
    client.auth = for_requests.SilentAuth(session)

    def ask() -> int:
        try:
            return int(client.get(url, timeout=60).status_code)
        except requests.ConnectionError as error:
            raise ConnectionError from error

    return ask


def through_httpx2(client: httpx2.Client, url: str) -> Ask:
    """GET over httpx2, with the client that all threads share."""

    def ask() -> int:
        try:
            return client.get(url).status_code
        except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
            raise ConnectionError from error

    return ask


def run(ask: Ask, until: float, outcomes: "Counter[str]", lock: threading.Lock) -> None:
    """What one thread does."""
    pause = threading.Event()
    while True:
        try:
            outcome = str(ask())
        except ConnectionError:
            outcome = LOST
        except SignedOut as error:
            outcome = f"SignedOut: {error.reason}"
        except Exception as error:  # noqa: BLE001 - the test wants to know
            outcome = repr(error)
        with lock:
            outcomes[outcome] += 1
        if time.monotonic() >= until:
            return
        pause.wait(PAUSE_SECONDS)


def hammer(asks: list[Ask], seconds: float) -> dict[str, int]:
    """Let every thread ask until the time is over; gives what came of all requests."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=run, args=(ask, until, outcomes, lock)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(outcomes)


def wait_for_listeners() -> None:
    """A listener is called after those who wait have been told, from the thread of the refresh."""
    for thread in threading.enumerate():
        if thread.name == "evertoken-refresh":
            thread.join(timeout=20)


def main(arguments: dict[str, Any]) -> None:
    """The program."""
    server = ForeignServer(**arguments["server"])
    store = FileStore(arguments["store"])
    session = oauth_session(server.api_url, issuer=server.url, client_id=server.public_id, store=store)
    endings: list[str] = []
    session.on_signed_out(endings.append)
    url = f"{server.api_url}/things"
    with httpx2.Client(auth=for_httpx2.SilentAuth(session), timeout=60, trust_env=False) as client:
        asks = [
            through_requests(session, url) if number % 2 else through_httpx2(client, url)
            for number in range(arguments["threads"])
        ]
        for line in sys.stdin:
            outcomes = hammer(asks, json.loads(line))
            wait_for_listeners()
            print(json.dumps(asdict(Told(outcomes, endings))), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
