"""niquests keeps every promise of the suite; run by test_niquests.py in an environment of its own."""

import asyncio

import niquests  # type: ignore[import-not-found, unused-ignore]
import pytest

from evertoken.client import Session
from evertoken.client.niquests import NO_AUTH, AsyncSilentAuth, SilentAuth
from evertoken.errors import ConfigurationError
from evertoken.testing import FakeServer
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


class TestSession(Compliance):
    bench = NiquestsBench(niquests, SilentAuth, NO_AUTH)


class TestAsyncSession(Compliance):
    bench = NiquestsAsyncBench(niquests, AsyncSilentAuth, NO_AUTH)
