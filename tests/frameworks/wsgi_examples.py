"""The examples as their readers run them: a process of its own, which knows the issuer's address and a credential."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx2

from evertoken.accounts.clients import new_client
from evertoken.clock import system_clock
from tests.edge.attacking import Answer, bearer, get
from tests.support.process import environment_of, lasting_port
from tests.support.server import LiveServer

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
WITHIN_SECONDS: Final = 60.0


def environment(live: LiveServer) -> dict[str, str]:
    """What the examples read: the issuer's address and a credential of theirs."""
    client, secret = new_client("orders", now_ms=system_clock())
    live.run(live.server.store.remove_client("orders"))
    assert live.run(live.server.store.add_client(client))
    return {"ISSUER": live.url, "CLIENT_ID": "orders", "CLIENT_SECRET": secret.reveal()}


@contextlib.contextmanager
def running(arguments: Sequence[str], *, env: dict[str, str], folder: Path, within: Path = EXAMPLES) -> Iterator[str]:
    """
    Run a command of Python's until the context is left; gives the URL once something listens there.

    Args:
        arguments: `{port}` stands for the port.
        folder: Where its output is kept, for the message of a failure.
        within: Where it runs.
    """
    told, port = folder / "output.txt", lasting_port()
    command = [sys.executable, *(argument.replace("{port}", str(port)) for argument in arguments)]
    with told.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=within, env=environment_of(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while not _listens(port):
            assert process.poll() is None, told.read_text("utf-8", "replace")
            assert time.monotonic() < give_up_at, told.read_text("utf-8", "replace")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
    written = told.read_text("utf-8", "replace")
    assert "Traceback" not in written, written
    assert env["CLIENT_SECRET"] not in written


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def guards_as_promised(
    live: LiveServer, url: str, *, opened: str | None, plain: Sequence[str], for_admins: Sequence[str]
) -> None:
    """Assert what both examples are there to show; ada has no role, grace is an admin."""
    assert opened is None or get(url, opened).status == 200
    with live.client() as client:
        ada, grace = live.sign_in(client, "ada"), live.sign_in(client, "grace")
        for path in (*plain, *for_admins):
            assert get(url, path).status == 401, path
            assert once_followed(url, path, grace["access_token"]).status == 200, path
            assert get(url, path, bearer("x")).status == 401, path  # 503 while the keys are on their way
            expected = 403 if path in for_admins else 200
            assert get(url, path, bearer(ada["access_token"])).status == expected, path
        _ended_everywhere(client, url, (*plain, *for_admins), grace["access_token"])
    assert get(url, plain[0], bearer(ada["access_token"])).status == 200


def once_followed(url: str, path: str, token: str) -> Answer:
    """The first answer that is no 503: the keys are fetched with the first token."""
    give_up_at = time.monotonic() + WITHIN_SECONDS
    while (answer := get(url, path, bearer(token))).status == 503:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    return answer


def _ended_everywhere(client: httpx2.Client, url: str, paths: Sequence[str], token: str) -> None:
    answer = client.post("/auth/logout", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 204
    give_up_at = time.monotonic() + WITHIN_SECONDS
    for path in paths:
        while get(url, path, bearer(token)).status != 401:
            assert time.monotonic() < give_up_at, f"{path} has not heard that the session ended"
            time.sleep(0.02)
