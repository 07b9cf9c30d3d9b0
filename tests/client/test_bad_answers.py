"""Answers to a refresh that are none: told plainly, and nothing is lost by them."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from evertoken.client import Session
from evertoken.errors import RefreshUnavailable
from evertoken.testing import Fault, MovingClock
from tests.client.staging import (
    FAR_FROM_NOW,
    LIFETIME_SECONDS,
    Heard,
    StagedServer,
    document_of,
    session_at,
    settle,
)

PLANTED = "swordfish-in-the-answer"


@dataclass(frozen=True)
class Bad:
    """An answer, and what a person reads about it."""

    told: str
    fault: Fault


def _tokens(**members: object) -> bytes:
    return json.dumps({"access_token": PLANTED, "token_type": "Bearer", "expires_in": 60, **members}).encode()


BAD = {
    "not JSON": Bad("the answer is not JSON", Fault(body=f"<html>{PLANTED}</html>".encode())),
    "empty": Bad("the answer is not JSON", Fault(body=b"")),
    "no content": Bad("the answer is not JSON", Fault(status=204, body=b"")),
    "null": Bad("holds no access token at /access_token", Fault(body=b"null")),
    "an array": Bad("holds no access token at /access_token", Fault(body=f'["{PLANTED}"]'.encode())),
    "lacks the token": Bad("holds no access token at /access_token", Fault(body=b'{"expires_in": 60}')),
    "token is null": Bad("holds no access token at /access_token", Fault(body=_tokens(access_token=None))),
    "token is a number": Bad("holds no access token at /access_token", Fault(body=_tokens(access_token=7))),
    "token with a line break": Bad(
        "holds no access token at /access_token", Fault(body=_tokens(access_token=f"{PLANTED}\r\nX: y"))
    ),
    "refresh token with a space": Bad(
        "holds no usable refresh token at /refresh_token", Fault(body=_tokens(refresh_token=f"{PLANTED} {PLANTED}"))
    ),
    "expired": Bad("an access token that has expired already", Fault(body=_tokens(expires_in=0))),
    "expired long ago": Bad("an access token that has expired already", Fault(body=_tokens(expires_in=-3600))),
    "a lifetime in words": Bad("holds no number of seconds at /expires_in", Fault(body=_tokens(expires_in=PLANTED))),
    "a lifetime without end": Bad(
        "holds no number of seconds", Fault(body=b'{"access_token": "a", "expires_in": 1e999}')
    ),
    "a lifetime that is none": Bad("the answer is not JSON", Fault(body=_tokens(expires_in=float("nan")))),
    "another session's": Bad("belongs to another session", Fault(body=_tokens(session_id="of-somebody-else"))),
    "nested deeply": Bad("the answer is not JSON", Fault(body=b"[" * 100_000)),
    "ten megabytes": Bad("has more than 256 KiB", Fault(body=_tokens(access_token=PLANTED * 500_000))),
    "cut short": Bad("the answer was cut short", Fault(body=_tokens(), headers={"Content-Length": "5000"})),
    "closed": Bad("the connection was closed without an answer", Fault(lose_answer=True)),
    "reset": Bad("connection reset by peer", Fault(reset=True)),
    "a redirect": Bad(
        "answers with a redirect (307), which is not followed",
        Fault(status=307, headers={"Location": f"/elsewhere?{PLANTED}"}),
    ),
    "not found": Bad("does not take the refresh call (404): check the URL", Fault(status=404)),
    "forbidden": Bad("does not take the refresh call (403): check the URL", Fault(status=403)),
    "too many": Bad("asks for fewer calls (429)", Fault(status=429)),
    "in trouble": Bad("is in trouble (502)", Fault(status=502, body=PLANTED.encode())),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_answer_that_cannot_be_used_is_told_and_changes_nothing(
    ada: Session,
    server: StagedServer,
    moving: MovingClock,
    heard: Heard,
    caplog: pytest.LogCaptureFixture,
    bad: Bad,
) -> None:
    """
    Whatever comes back instead of tokens, the error says what it was, no secret is shown, the store stays as it is
    to the byte, and the next refresh succeeds.
    """
    caplog.set_level(logging.DEBUG)
    moving.advance(LIFETIME_SECONDS)
    stored = ada.store.load()
    server.script_refresh(bad.fault, bad.fault, bad.fault)
    with pytest.raises(RefreshUnavailable) as caught:
        ada.token()
    assert bad.told in str(caught.value)
    assert "the session is kept" in str(caught.value)
    settle()
    assert ada.store.load() == stored
    secrets = [PLANTED, *(document_of(ada)[name] for name in ("access_token", "refresh_token"))]
    for shown in (str(caught.value), repr(caught.value), caplog.text, repr(ada)):
        assert not [secret for secret in secrets if secret in shown]
    assert len(str(caught.value)) < 300
    assert {request.path for request in server.seen} == {"/auth/login", "/auth/refresh"}

    server._script.clear()
    moving.advance(FAR_FROM_NOW)
    assert ada.token() == document_of(ada)["access_token"]
    assert ada.token() not in secrets
    assert server.reuses == 0
    assert heard.reasons == []


def test_a_failure_is_shared_and_the_server_left_alone_for_a_while(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    While a server asks for time nobody asks it again; once the time is over, one refresh does.
    """
    moving.advance(LIFETIME_SECONDS)
    server.script_refresh(Fault(status=503, retry_after=40))
    with pytest.raises(RefreshUnavailable) as caught:
        ada.token()
    assert caught.value.retry_after_seconds == 40
    moving.advance(15)
    for _ in range(5):
        with pytest.raises(RefreshUnavailable) as caught:
            ada.token()
        assert caught.value.retry_after_seconds == 25
    assert server.refresh_count == 1
    moving.advance(25)
    assert ada.token()
    assert server.refresh_count == 2


def test_a_token_that_has_not_expired_is_used_though_its_renewal_fails(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    A refresh ahead of time that fails bothers nobody while the old token is good.
    """
    token = ada.token()
    moving.advance(LIFETIME_SECONDS - 1)
    server.script_refresh(*[Fault(status=503)] * 3)
    assert ada.token() == token
    settle()
    assert ada.token() == token
    assert server.refresh_count == 3


def test_an_answer_that_never_ends_is_given_up_and_the_next_one_taken() -> None:
    """
    A server that drips its answer for ever costs no more than the timeout; the session goes on afterwards.
    """
    with _dripping_once() as url:
        ahead = 0.0
        clock = MovingClock()
        session = session_at(url, timeout_seconds=0.4, clock=lambda: (clock.wall + ahead, clock.monotonic + ahead))
        session.adopt(access_token="old-access", refresh_token="old-refresh", expires_in=60)
        stored = session.store.load()
        ahead = 61.0
        with pytest.raises(RefreshUnavailable, match=r"no answer within 0\.4 s"):
            session.token()
        assert session.store.load() == stored
        ahead += FAR_FROM_NOW
        assert session.token() == "new-access"


@contextlib.contextmanager
def _dripping_once() -> Iterator[str]:
    """A server that sends one byte after the other to its first three callers, and tokens to any later one."""
    over = threading.Event()
    body = json.dumps({"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 60}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "

    def serve() -> None:
        for number in range(4):
            caller, _ = listener.accept()
            with caller, contextlib.suppress(OSError):
                caller.recv(65536)
                if number == 3:
                    caller.sendall(head + str(len(body)).encode() + b"\r\n\r\n" + body)
                    continue
                caller.sendall(head + b"5000\r\n\r\n")
                while not over.wait(0.02):
                    caller.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(5)
