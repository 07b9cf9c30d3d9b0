"""niquests keeps every promise of the suite; run by test_niquests.py in an environment of its own."""

import asyncio

import niquests  # type: ignore[import-not-found, unused-ignore]
import pytest

from evertoken.client import Session
from evertoken.client.niquests import NO_AUTH, AsyncSilentAuth, SilentAuth
from evertoken.errors import ConfigurationError
from evertoken.testing import Answer, FakeServer, Request
from evertoken.testing.listener import Listener
from tests.adapters.benches.requests_family import NiquestsAsyncBench, NiquestsBench
from tests.adapters.compliance import Compliance


def test_the_adapter_for_threads_in_an_async_session_says_what_to_use() -> None:
    """SilentAuth in an AsyncSession is a mistake that is told with its remedy."""

    async def run(url: str) -> None:
        session = Session(url)
        session.login("ada", "correct-horse-battery")
        async with niquests.AsyncSession() as http:
            with pytest.raises(ConfigurationError, match="AsyncSilentAuth"):
                await http.get(f"{url}/auth/me", auth=SilentAuth(session))

    with FakeServer() as server:
        asyncio.run(run(server.url))


def test_a_request_that_opts_out_in_the_dialects_words_is_sent_untouched() -> None:
    """As tests/dialects/client/test_opting_out.py says it of the other libraries."""
    seen: list[tuple[str, str | None]] = []

    def refuse(request: Request) -> Answer:
        seen.append((request.path, request.header("token")))
        return Answer.json(400, {"code": 401, "msg": "expired"})

    async def send(session: Session, url: str) -> int | None:
        async with niquests.AsyncSession() as http:
            answer = await http.get(url, headers={"istoken": "false"}, auth=AsyncSilentAuth(session))
            status: int | None = answer.status_code
            return status

    with Listener(refuse) as listener:
        session = Session(listener.url, dialect="code-in-400")
        session.adopt(access_token="A", refresh_token="R")
        url = f"{listener.url}/public"
        assert niquests.get(url, headers={"istoken": "false"}, auth=SilentAuth(session)).status_code == 400
        assert asyncio.run(send(session, url)) == 400
    assert seen == [("/public", None)] * 2


class TestSession(Compliance):
    bench = NiquestsBench(niquests, SilentAuth, NO_AUTH)


class TestAsyncSession(Compliance):
    bench = NiquestsAsyncBench(niquests, AsyncSilentAuth, NO_AUTH)
