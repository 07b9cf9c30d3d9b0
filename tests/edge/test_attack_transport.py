"""Requests that never end, are not HTTP, or go round about the routes, by their numbers in the list of attacks."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx2
import pytest

from evertoken.edge import protocol
from tests.edge.attacking import (
    FORM,
    JSON,
    Answer,
    bearer,
    connected,
    get,
    post_json,
    read_answer,
    request,
    send,
    sent_or_hung_up,
)
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

LOGIN: Final = json.dumps({"username": "ada", "password": PASSWORD})
TOO_LONG_SECONDS: Final = protocol.REQUEST_MUST_ARRIVE_WITHIN_SECONDS - 1
"""Where a quarter of a second is set, a busy machine may be late; so late only a server that does not heed it."""
CHUNKED: Final = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all of these: none of them leaves a trace."""
    with live_server(tmp_path_factory.mktemp("transport"), clock=MovingClock()) as running:
        running.add_user("ada")
        yield running


@pytest.fixture
def impatient(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> LiveServer:
    """A server that gives a request a quarter of a second to arrive."""
    monkeypatch.setattr(protocol, "REQUEST_MUST_ARRIVE_WITHIN_SECONDS", 0.25)
    return live


def trickle(live: LiveServer, start: bytes, drop: bytes, *, every_seconds: float = 0.03) -> tuple[bytes, float]:
    """Send `start`, then drop after drop for as long as the server takes them; what it said, and after how long."""
    began = time.monotonic()
    with connected(live.url) as connection:
        connection.sendall(start)
        connection.settimeout(every_seconds)
        said = b""
        while time.monotonic() - began < TOO_LONG_SECONDS:
            try:
                received = connection.recv(65536)
            except TimeoutError:
                try:
                    connection.sendall(drop)
                except ConnectionError:
                    break
                continue
            except ConnectionError:
                break
            said += received
            if not received:
                break
        return said, time.monotonic() - began


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"G"),
        (b"GET /auth/me HTTP/1.1\r\n", b"a"),
        (b"GET /auth/me HTTP/1.1\r\nX: ", b"a: b\r\n"),
        (request("POST", "/auth/login", JSON)[:-4] + b"\r\nContent-Length: 900\r\n\r\n", b" "),
        (CHUNKED + b"\r\n", b"1\r\n \r\n"),
        (CHUNKED + b"\r\n1;a=", b"b"),
        (CHUNKED + b"\r\n0\r\nX: ", b"b"),
    ],
)
def test_a_request_that_trickles_in_is_cut_off(impatient: LiveServer, start: bytes, drop: bytes) -> None:
    """Attack 79: a slow head, body, chunk or trailer gets 408 or 400 when its time is over, however it keeps going."""
    said, seconds = trickle(impatient, start.replace(b"Content-Length: 0\r\n", b""), drop)
    assert said.split(b" ")[1] in {b"408", b"400"}, said
    assert b"application/problem+json" in said
    assert seconds < TOO_LONG_SECONDS


@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"", b""), (b"", b"\r\n"), (b"", b"\n"), (request("GET", "/healthz"), b"\r\n"), (b"\r\n", b"")],
)
def test_a_connection_that_asks_for_nothing_is_closed(impatient: LiveServer, start: bytes, drop: bytes) -> None:
    """Attack 79: silence is no request, and neither are empty lines, before the first request or after one."""
    said, seconds = trickle(impatient, start, drop)
    assert said.count(b"HTTP/1.1") == start.count(b"GET")
    assert seconds < TOO_LONG_SECONDS


def test_hundreds_of_idle_connections_keep_nobody_waiting(impatient: LiveServer) -> None:
    """Attack 79: while three hundred connections say nothing, others are served; then they are closed."""
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(impatient.url)) for _ in range(300)]
        began = time.monotonic()
        assert get(impatient.url, "/healthz").status == 200
        assert time.monotonic() - began < TOO_LONG_SECONDS
        assert {connection.recv(1) for connection in idle} == {b""}


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"GET /auth/me HTTP/1.1\r\n", b"X-Header: value\r\n"),
        (b"GET /auth/me HTTP/1.1\r\nX: ", b"a"),
        (b"GET /", b"a"),
        (b"", b"\r\n"),
        (CHUNKED + b"\r\n1;a=", b"b"),
        (CHUNKED + b"\r\n0\r\n", b"X-Trailer: value\r\n"),
        (CHUNKED + b"\r\n0\r\nX: ", b"a"),
    ],
)
def test_endless_headers_chunks_and_trailers_are_bounded(live: LiveServer, start: bytes, endless: bytes) -> None:
    """Attack 79: a hundred thousand bytes that are no body are refused at 32 KiB, before they fill any memory."""
    began = time.monotonic()
    answer = sent_or_hung_up(live.url, start + endless * (100_000 // len(endless)))
    assert answer is None or (answer.status, answer.code) in {(431, "too_large"), (400, "invalid_request")}
    assert time.monotonic() - began < protocol.REQUEST_MUST_ARRIVE_WITHIN_SECONDS
    assert get(live.url, "/healthz").status == 200


def test_a_body_without_end_is_bounded(live: LiveServer) -> None:
    """Attack 79: a chunked body is refused at its limit, wherever it is sent and whether or not anybody reads it."""
    flood = CHUNKED + b"\r\n" + b"4000\r\n" + b" " * 0x4000 + b"\r\n4000\r\n" + b" " * 0x4000 + b"\r\n"
    for path in (b"/auth/login", b"/auth/refresh", b"/oauth/token"):
        answer = sent_or_hung_up(
            live.url, flood.replace(b"/auth/login", path).replace(*(JSON[1].encode(), _media(path)))
        )
        assert answer is None or (answer.status, answer.one("Connection")) == (413, "close")
    assert send(live.url, flood.replace(b"/auth/login", b"/nothing")).status == 404


def _media(path: bytes) -> bytes:
    return FORM[1].encode() if path.startswith(b"/oauth") else JSON[1].encode()


def test_a_compressed_body_is_not_unpacked(live: LiveServer) -> None:
    """Attack 79: a gzip bomb stays packed: it is not JSON, and that is all."""
    bomb = gzip.compress(b" " * 10_000_000)
    assert len(bomb) < 16_384
    answer = send(live.url, request("POST", "/auth/login", JSON, ("Content-Encoding", "gzip"), body=bomb))
    assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"GET / HTTP/9.9\r\n\r\n",
        b"get /auth/me HTTP/1.1\r\n\r\n",
        b"GET /auth/me\xff HTTP/1.1\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /auth/me HTTP/1.1\r\nX : y\r\n\r\n",
        b"GET /auth/me HTTP/1.1\r\nA: b\0c\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /auth/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        CHUNKED + b"\r\nxyz\r\n",
        CHUNKED + b"\r\nffffffffffffffffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem_too(live: LiveServer, raw: bytes) -> None:
    """Attack 83: noise, smuggled lengths and odd request lines get a problem document and the connection's end."""
    with connected(live.url) as connection:
        connection.sendall(raw)
        answer = read_answer(connection)
        assert (answer.status, answer.code) in {
            (400, "invalid_request"),
            (405, "method_not_allowed"),
            (404, "not_found"),
        }
        assert answer.one("Content-Type") == "application/problem+json"
        if answer.status == 400:
            assert connection.recv(1) == b""


def test_an_upgrade_is_ignored(live: LiveServer) -> None:
    """A request that offers another protocol is answered in this one, and so is the next on the connection."""
    for upgrade in ("websocket", "h2c"):
        with connected(live.url) as connection:
            offer = (("Connection", "Upgrade"), ("Upgrade", upgrade), ("Sec-WebSocket-Key", "AAAA"))
            connection.sendall(request("GET", "/auth/me", *offer))
            assert read_answer(connection).status == 401
            connection.sendall(request("GET", "/healthz"))
            assert read_answer(connection).status == 200


@pytest.mark.parametrize("length", [b"Content-Length: 33", b"Content-Length: 0033", b"Transfer-Encoding: chunked"])
def test_no_request_is_smuggled_in_behind_an_upgrade(live: LiveServer, length: bytes) -> None:
    """A body after an Upgrade header is never read as the next request: the connection ends instead."""
    head = b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" + length
    with connected(live.url) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert read_answer(connection).status == 400
        with pytest.raises(ConnectionError):
            _go_on(connection, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")


def _go_on(connection: socket.socket, raw: bytes) -> None:
    """Send on and on; nothing may be answered."""
    for _ in range(100):
        connection.sendall(raw)
        assert not connection.recv(1)
        # The reset that answers what a closed connection is sent takes a moment, and no event tells it.
        time.sleep(0.01)


def test_pipelined_requests_are_answered_in_order(live: LiveServer) -> None:
    """Several requests in one write are several requests: none is lost, none gets another one's answer."""
    with connected(live.url) as connection:
        connection.sendall(
            request("POST", "/auth/login", JSON, body=LOGIN)
            + request("GET", "/healthz")
            + request("POST", "/auth/refresh", JSON, body="{}")
            + request("GET", "/nothing")
        )
        said = b""
        while said.count(b"HTTP/1.1 ") < 4 or not said.endswith(b"}"):
            said += connection.recv(65536)
        assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"401", b"404"]


@pytest.mark.parametrize("host", ["evil.example", "localhost:1", "evil.example\r\nX-Forwarded-Host: evil.example", ""])
def test_the_host_header_decides_nothing(live: LiveServer, host: str) -> None:
    """Attack 80: whatever Host says, metadata and tokens name the configured issuer."""
    for target in ("/.well-known/oauth-authorization-server", "http://evil.example/.well-known/openid-configuration"):
        answer = send(
            live.url, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nForwarded: host=evil.example\r\n\r\n".encode()
        )
        assert answer.json()["issuer"] == live.url
        assert b"evil" not in answer.body


def test_the_method_is_what_the_request_line_says(live: LiveServer, http: httpx2.Client) -> None:
    """Attack 81: X-HTTP-Method-Override and its kin turn no GET into a DELETE."""
    tokens = live.sign_in(http)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answer = get(live.url, "/auth/sessions?_method=DELETE", bearer(tokens["access_token"]), (name, "DELETE"))
        assert answer.status == 200 and tokens["session_id"] in {one["id"] for one in answer.json()["sessions"]}


@pytest.mark.parametrize(
    "path",
    [
        "/auth/login/",
        "//auth/login",
        "/auth//login",
        "/%61uth/login",
        "/auth%2flogin",
        "/auth/./login",
        "/auth/x/../login",
        "/AUTH/LOGIN",
        "/auth/login;a=b",
        "/auth/login%00",
        "/auth/login%0a",
        "/auth/login%20",
        "/auth\\login",
        "/auth/login?x=/auth/me",
        "http://localhost/auth/login",
    ],
)
def test_another_spelling_of_a_path_is_no_way_round(live: LiveServer, path: str) -> None:
    """Attack 81: each is either not there or meets the very same rules; none is redirected, with credentials, on."""
    foreign = send(live.url, request("POST", path, JSON, ("Origin", "https://evil.example"), body=LOGIN))
    form = send(live.url, request("POST", path, FORM, body=LOGIN))
    own = send(live.url, request("POST", path, JSON, body=LOGIN))
    assert [answer.status for answer in (foreign, form, own)] in ([403, 415, 200], [404, 404, 404])
    assert not own.all("Location")


def test_every_error_is_a_document_that_its_callers_can_read(live: LiveServer) -> None:
    """Attack 83: problems on our routes, OAuth errors on the OAuth routes; no HTML, no trace of our insides."""
    answers: list[tuple[int, Answer]] = [
        (401, get(live.url, "/auth/me")),
        (404, get(live.url, "/nothing")),
        (404, get(live.url, "/docs")),
        (405, get(live.url, "/auth/login")),
        (413, post_json(live, "/auth/login", "[" + " " * 20_000)),
        (415, send(live.url, request("POST", "/auth/login", FORM, body="a=b"))),
        (400, post_json(live, "/auth/login", "{")),
        (400, post_json(live, "/auth/login", b"\xff\xfe")),
        (431, send(live.url, request("GET", "/auth/me", ("X", "a" * 40_000)))),
    ]
    for status, answer in answers:
        problem = answer.json()
        assert (answer.status, problem["status"]) == (status, status)
        assert answer.one("Content-Type") == "application/problem+json"
        assert {"type", "title", "detail", "code"} < set(problem)
    oauth: list[tuple[int, Answer]] = [
        (404, get(live.url, "/oauth/nothing")),
        (405, get(live.url, "/oauth/introspect")),
        (413, send(live.url, request("POST", "/oauth/revoke", FORM, body=b"a" * 20_000))),
        (400, send(live.url, request("POST", "/oauth/revoke", JSON, body="{}"))),
        (401, send(live.url, request("POST", "/oauth/introspect", FORM, body="token=x"))),
    ]
    for status, answer in oauth:
        assert (answer.status, answer.one("Content-Type")) == (status, "application/json")
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.one("Cache-Control") == "no-store"
    for _, answer in answers + oauth:
        assert not any(word in answer.body.lower() for word in (b"traceback", b"<html", b"evertoken/", b"starlette"))
        assert not answer.all("Server")


def test_a_fault_of_ours_tells_nothing_but_its_number(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 83: an unexpected exception is 500 with an incident that the log knows, in each route's own shape."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"secret {PASSWORD}")

    monkeypatch.setattr(live.server.services.callers, "read", broken)
    answer = post_json(live, "/auth/login", LOGIN)
    assert (answer.status, answer.code) == (500, "internal")
    assert answer.json()["instance"].startswith("urn:uuid:") and PASSWORD.encode() not in answer.body
    assert live.server.services.secrets  # the server goes on
    assert get(live.url, "/healthz").status == 200


def test_a_client_that_hangs_up_leaves_nothing_behind(live: LiveServer) -> None:
    """A connection reset in the middle of a head, a body or an answer disturbs nobody else."""
    threads = threading.active_count()
    for raw in (b"GET /au", request("POST", "/auth/login", JSON, body=LOGIN)[:-5], request("GET", "/healthz")):
        for _ in range(20):
            with connected(live.url) as connection:
                connection.sendall(raw)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert post_json(live, "/auth/login", LOGIN).status == 200
    assert threading.active_count() <= threads + 4
