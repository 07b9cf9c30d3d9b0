"""A request that says in the dialect's words that it is none of the session's goes out as it is, in every library."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import httpx2
import pytest
import requests

from evertoken.client import Session
from evertoken.client.aiohttp import SilentAuth as AiohttpAuth
from evertoken.client.httpx import SilentAuth as HttpxAuth
from evertoken.client.httpx2 import SilentAuth as Httpx2Auth
from evertoken.client.plain import PlainClient
from evertoken.client.requests import SilentAuth as RequestsAuth
from evertoken.testing import Answer, Request
from evertoken.testing.listener import Listener

Sends = Callable[[Session, str, dict[str, str]], int]


def by_httpx2(session: Session, url: str, headers: dict[str, str]) -> int:
    return httpx2.get(url, headers=headers, auth=Httpx2Auth(session), trust_env=False).status_code


def by_httpx2_async(session: Session, url: str, headers: dict[str, str]) -> int:
    async def send() -> int:
        async with httpx2.AsyncClient(auth=Httpx2Auth(session), trust_env=False) as client:
            return (await client.get(url, headers=headers)).status_code

    return asyncio.run(send())


def by_httpx(session: Session, url: str, headers: dict[str, str]) -> int:
    return httpx.get(url, headers=headers, auth=HttpxAuth(session), trust_env=False).status_code


def by_requests(session: Session, url: str, headers: dict[str, str]) -> int:
    with requests.Session() as client:
        client.trust_env = False
        return client.get(url, headers=headers, auth=RequestsAuth(session), timeout=10).status_code


def by_aiohttp(session: Session, url: str, headers: dict[str, str]) -> int:
    async def send() -> int:
        async with (
            aiohttp.ClientSession(middlewares=(AiohttpAuth(session),)) as client,
            client.get(url, headers=headers) as answer,
        ):
            return answer.status

    return asyncio.run(send())


def by_hand(session: Session, url: str, headers: dict[str, str]) -> int:
    with PlainClient(session).send("GET", url, headers=headers) as reply:
        return reply.status


EVERY: list[Sends] = [by_httpx2, by_httpx2_async, by_httpx, by_requests, by_aiohttp, by_hand]


class Api:
    """An API that speaks `code-in-400` and takes no token but B."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        token = request.header("token")
        with self._lock:
            self.seen.append((request.path, token))
        if request.path == "/token/refresh":
            return Answer.json(200, {"data": {"accessToken": "B"}})
        return Answer.json(200, {}) if token == "B" else Answer.json(400, {"code": 401, "msg": "expired"})


@pytest.fixture
def api() -> Iterator[tuple[Api, str]]:
    """The API and its URL."""
    api = Api()
    with Listener(api.answer) as listener:
        yield api, listener.url


@pytest.mark.parametrize("send", EVERY, ids=lambda send: send.__name__)
def test_a_request_that_opts_out_is_sent_untouched_and_renews_nothing(send: Sends, api: tuple[Api, str]) -> None:
    """
    No access token, no refresh and no second sending: the API's refusal is the application's to see.
    """
    seen, url = api
    session = Session(url, dialect="code-in-400")
    session.adopt(access_token="A", refresh_token="R")
    assert send(session, f"{url}/public", {"istoken": "false"}) == 400
    assert seen.seen == [("/public", None)]


@pytest.mark.parametrize("send", EVERY, ids=lambda send: send.__name__)
def test_a_request_that_does_not_opt_out_is_renewed(send: Sends, api: tuple[Api, str]) -> None:
    """
    Another value of the same header is nothing special: the token goes along, and is renewed when it is refused.
    """
    seen, url = api
    session = Session(url, dialect="code-in-400")
    session.adopt(access_token="A", refresh_token="R")
    assert send(session, f"{url}/orders", {"isToken": "true"}) == 200
    assert seen.seen == [("/orders", "A"), ("/token/refresh", None), ("/orders", "B")]
    assert send(session, f"{url}/orders", {}) == 200
    assert seen.seen[3:] == [("/orders", "B")]


@pytest.mark.parametrize("send", EVERY, ids=lambda send: send.__name__)
def test_a_dialect_without_the_header_sends_it_as_any_other(send: Sends, api: tuple[Api, str]) -> None:
    """
    Where the dialect has no such header, it says nothing to the session.
    """
    seen, url = api
    session = Session(url, dialect={"access_token": {"header": "token", "scheme": None}})
    session.adopt(access_token="B", refresh_token="R")
    assert send(session, f"{url}/orders", {"isToken": "false"}) == 200
    assert seen.seen == [("/orders", "B")]
