"""A proxy whose question is answered wrongly, late or not at all: nobody passes. And what the question looks like."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from evertoken.testing.listener import Answer, Handle, Hangup, Listener, Request
from tests.edge.attacking import bearer, get, request, send
from tests.proxies.stage import WITHIN_SECONDS
from tests.proxies.upstream import Upstream, application
from tests.support.server import free_port

TOKEN = bearer("whatever")
FAULTS: dict[str, Callable[[Request], Answer | Hangup]] = {
    "hangs up": lambda _: Hangup.CLOSE,
    "resets": lambda _: Hangup.RESET,
    "500": lambda _: Answer.json(500, {"code": "internal"}),
    "503": lambda _: Answer.json(503, {"code": "unavailable"}, ("Retry-After", "7")),
    "404": lambda _: Answer.json(404, {"code": "not_found"}),
    "431": lambda _: Answer.json(431, {"code": "too_large"}),
}


class FailingVerify(ABC):
    """A subclass says which proxy."""

    hasty: ClassVar[Mapping[str, str]]
    """Replaced in the configuration so that the test of a silent evertoken is short."""
    answers_unavailable: ClassVar[bool]
    """Whether every fault becomes the problem `unavailable`; else the fault's own answer is passed on."""

    @abstractmethod
    def start(
        self, folder: Path, front: int, evertoken: int, upstream: int, **more: str
    ) -> AbstractContextManager[str]:
        """Start the proxy, with these ports and replacements."""

    @contextmanager
    def _behind(self, folder: Path, evertoken: int, **more: str) -> Iterator[tuple[str, Upstream]]:
        with application() as upstream, self.start(folder, free_port(), evertoken, upstream.port, **more) as url:
            yield url, upstream

    @contextmanager
    def _asking(self, folder: Path, handle: Handle, **more: str) -> Iterator[tuple[str, Upstream]]:
        with (
            Listener(handle) as listener,
            self._behind(folder, urlsplit(listener.url).port or 0, **more) as (url, upstream),
        ):
            yield url, upstream

    def _is_shut(self, url: str, upstream: Upstream, *, at_least: int = 500) -> None:
        for path in ("/api/orders", "/static/../api/orders"):
            answer = get(url, path, TOKEN)
            assert at_least <= answer.status
            if self.answers_unavailable:
                assert (answer.status, answer.code) == (503, "unavailable")
                assert answer.one("Retry-After").isdigit()
                assert answer.one("Content-Type") == "application/problem+json"
                assert answer.one("Cache-Control") == "no-store"
        assert upstream.seen == []

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_failing_answer_lets_nobody_pass(self, tmp_path: Path, fault: str) -> None:
        """Whatever goes wrong at evertoken, the application is closed, and it is not a 401: nobody is signed out."""
        with self._asking(tmp_path, FAULTS[fault]) as (url, upstream):
            self._is_shut(url, upstream, at_least=404)
            assert get(url, "/static/app.js").status == 200

    def test_no_evertoken_lets_nobody_pass(self, tmp_path: Path) -> None:
        """Nobody listens at evertoken's address."""
        with self._behind(tmp_path, free_port()) as (url, upstream):
            self._is_shut(url, upstream)

    def test_a_silent_evertoken_lets_nobody_pass(self, tmp_path: Path) -> None:
        """It takes the connection and says nothing: the proxy gives up by itself."""
        done = threading.Event()

        def silent(_: Request) -> Hangup:
            done.wait(WITHIN_SECONDS)
            return Hangup.CLOSE

        with self._asking(tmp_path, silent, **self.hasty) as (url, upstream):
            try:
                answer = get(url, "/api/orders", TOKEN)
            finally:
                done.set()
            assert answer.status in (502, 503, 504)
            assert upstream.seen == []

    def test_noise_lets_nobody_pass(self, tmp_path: Path) -> None:
        """What is not HTTP is no consent."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(WITHIN_SECONDS)

            def noise() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"200 OK, come in\r\n\r\n")

            thread = threading.Thread(target=noise, daemon=True)
            thread.start()
            with self._behind(tmp_path, listener.getsockname()[1]) as (url, upstream):
                self._is_shut(url, upstream)
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(WITHIN_SECONDS)

    def test_a_403_passes(self, tmp_path: Path) -> None:
        """Whoever puts something stricter in evertoken's place may answer 403."""
        with self._asking(tmp_path, lambda _: Answer.json(403, {"code": "insufficient_rights"})) as (url, upstream):
            assert get(url, "/api/orders", TOKEN).status == 403
            assert upstream.seen == []

    def test_the_question_is_a_get_without_body_and_cookies(self, tmp_path: Path) -> None:
        """evertoken sees the token and the path /auth/verify, whatever the request is."""
        asked: list[Request] = []

        def consent(question: Request) -> Answer:
            asked.append(question)
            return Answer(200, (("X-Auth-Subject", "u_ada"), ("X-Auth-Session", "s"), ("X-Auth-Roles", "")))

        with self._asking(tmp_path, consent) as (url, upstream):
            raw = request("POST", "/api/orders?access_token=x", TOKEN, ("Cookie", "a=b"), body=b"x" * 5000)
            assert send(url, raw).status == 200
            assert upstream.last().body == b"x" * 5000
        (question,) = asked
        assert (question.method, question.target, question.body) == ("GET", "/auth/verify", b"")
        assert question.headers_named("Authorization") == [TOKEN[1]]
        for name in ("Cookie", "Transfer-Encoding", "Upgrade"):
            assert question.headers_named(name) == []
        assert question.header("Content-Length") in (None, "0")
