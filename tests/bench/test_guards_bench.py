"""That the bench of guards runs, and compares what it says it compares. Never how fast anything is."""

import socket
import subprocess
import sys
import threading
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any, cast

import pytest
from bench.guards import _check
from bench.guards_load import CONNECTIONS, Load
from bench.guards_wsgi import Inline
from bench.processes import ServerProcess

ROOT = Path(__file__).resolve().parents[2]

FORMS = (
    "Starlette GuardMiddleware",
    "Starlette @requires",
    "FastAPI Depends",
    "Litestar TokenAuth",
    "Flask @guarded",
    "Django @guarded",
    "Django REST AccessTokenAuthentication",
)
PEERS = {
    "fastapi-users in FastAPI": "FastAPI",
    "flask-jwt-extended in Flask": "Flask",
    "simplejwt in Django REST": "Django REST",
}
GOALS = (">= 8x", ">= 25x", "<= 1.1x", "<= 1.25x")

# Nothing could be installed elsewhere, so with CI=true they are skipped there too.
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the bench pins processes to cores and waits with epoll: Linux alone can"
)


@linux
@pytest.mark.slow
def test_the_bench_of_guards_prints_every_framework_and_every_other_library() -> None:
    """`python -m bench --only guards` measures six frameworks and three other libraries, and lets nobody be refused."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", "--only", "guards"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for form in FORMS:
        for algorithm in ("ES256", "HS256"):
            for sight in ("seen before", "first sight"):
                assert f"{form}, {algorithm}, guarded, {sight}" in ran.stdout
    rows = ran.stdout.splitlines()
    for peer, framework in PEERS.items():
        at = next(number for number, row in enumerate(rows) if row.startswith(peer))
        assert [row.split("  ")[0] for row in rows[at + 1 : at + 7]] == [
            "... evertoken on Starlette, seen before",
            "... evertoken on Starlette, first sight",
            f"... evertoken in {framework}, seen before",
            f"... evertoken in {framework}, first sight",
            f"... the guard alone in {framework}, seen before",
            f"... the guard alone in {framework}, first sight",
        ]
    for goal in GOALS:
        assert goal in ran.stdout
    assert "REFUSED" not in ran.stdout


class _Answers:
    """A server as the check sees it: each path answers a request without a token with a status."""

    def __init__(self, statuses: dict[str, int]) -> None:
        self._statuses = statuses

    def get(self, path: str) -> str:
        if self._statuses[path] != 200:
            raise urllib.error.HTTPError(path, self._statuses[path], "", Message(), None)
        return "{}"


@pytest.mark.parametrize(("plain", "guarded"), [(200, 200), (401, 401), (200, 404), (200, 500)])
def test_a_route_that_is_not_guarded_is_not_compared(plain: int, guarded: int) -> None:
    """The bench stops when the open route is closed, or the guarded one answers a request without a token."""
    server = cast("ServerProcess", _Answers({"/plain": plain, "/guarded": guarded}))
    with pytest.raises(RuntimeError, match="without a token"):
        _check(server, "/plain", "/guarded")


def test_an_open_and_a_guarded_route_are_compared() -> None:
    """The bench goes on when only the guarded route demands a token."""
    _check(cast("ServerProcess", _Answers({"/plain": 200, "/guarded": 401})), "/plain", "/guarded")


@linux
def test_the_load_waits_for_answers_in_pieces_and_counts_refusals() -> None:
    """Every answer is waited for until it is whole, and one that is not a 2xx is counted as a refusal."""
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno"
    seen: list[bytes] = []
    counted = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as listener:

        def serve() -> None:
            opened = [listener.accept()[0] for _ in range(CONNECTIONS)]
            for number, connection in enumerate(opened[:3]):
                connection.settimeout(20)
                seen.append(connection.recv(4096))
                if number == 0:
                    connection.sendall(good[:20])
                    opened[1].settimeout(20)
                    opened[1].recv(4096, socket.MSG_PEEK)  # the load goes on meanwhile
                    connection.sendall(good[20:])
                else:
                    connection.sendall(good if number == 1 else refusal)
            counted.wait(20)  # who hangs up earlier is a server that failed
            for connection in opened:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        load = Load(listener.getsockname()[1], "/here", ["one", "two", "three"], lambda: 0.0)
        try:
            tally = load.run(requests=3)
        finally:
            counted.set()
            load.close()
            thread.join(timeout=20)
    assert (tally.answers, tally.refused) == (3, 1)
    for token, request in zip((b"one", b"two", b"three"), seen, strict=True):
        assert b"authorization: Bearer " + token + b"\r\n" in request


async def test_a_wsgi_application_answers_on_the_server_of_the_others() -> None:
    """What a WSGI application says arrives as it was said, and its answer is closed."""
    asked: list[dict[str, Any]] = []
    closed: list[bool] = []

    class Answer(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, Any], start_response: Any) -> Answer:
        asked.append(environ)
        start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
        return Answer([b"no", b"!"])

    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/here",
        "query_string": b"a=b",
        "headers": [(b"authorization", b"Bearer x"), (b"user-agent", b"test")],
    }
    await Inline(application)(scope, None, send)
    assert sent == [
        {"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]},
        {"type": "http.response.body", "body": b"no!"},
    ]
    assert closed == [True]
    assert asked[0]["HTTP_AUTHORIZATION"] == "Bearer x"
    assert (asked[0]["REQUEST_METHOD"], asked[0]["PATH_INFO"], asked[0]["QUERY_STRING"]) == ("GET", "/here", "a=b")
