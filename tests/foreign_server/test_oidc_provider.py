"""
One session at oidc-provider: every refresh token there is good once, and one shown twice ends the session.

Time is real here, for nobody can move that server's clock; nothing asserts a speed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from evertoken.client import httpx2 as for_httpx2
from evertoken.client.oauth import oauth_session
from evertoken.client.session import Session
from evertoken.client.token_stores.file import FileStore
from evertoken.errors import SignedOut
from tests.foreign_server.server import ForeignServer, foreign_server
from tests.foreign_server.worker import LOST, Told, WorkerProcess, workers

ACCESS_SECONDS = 5
LOSE_EVERY = 97
THREADS = [13, 13, 12, 12]
START_SECONDS = 60.0


@dataclass(frozen=True)
class Tokens:
    """
    How access tokens end.

    Args:
        access_seconds: When, as the client is told.
        api_seconds: When, as the API sees it; None: as the client is told.
        least_seconds: The earliest at which the client can have a reason for the next refresh.
    """

    access_seconds: int
    api_seconds: int | None
    least_seconds: float


RUNNING_OUT = Tokens(ACCESS_SECONDS, None, 0.8 * ACCESS_SECONDS)
REFUSED_EARLY = Tokens(60, 4, 3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForeignServer]:
    """The server without losses; no access token comes near its end while a test runs, so none is renewed by itself."""
    with foreign_server(tmp_path, access_seconds=600) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the processes of an application keep their tokens."""
    return tmp_path / "kept" / "tokens.json"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def signed_in(server: ForeignServer, store: Path) -> Session:
    """A session of the public client that has taken over ada's first pair."""
    session = oauth_session(server.api_url, issuer=server.url, client_id=server.public_id, store=FileStore(store))
    session.adopt(**server.sign_in(server.public_id))
    return session


def all_told(started: list[WorkerProcess], *, seconds: float) -> list[Told]:
    """Let all workers ask for that long, at the same time."""
    for each in started:
        each.begin(seconds)
    return [each.told(within_seconds=START_SECONDS + seconds) for each in started]


def hammer(folder: Path, store: Path, tokens: Tokens, *, seconds: float) -> str:
    """Fifty threads in four processes ask without end; gives the figures."""
    with foreign_server(
        folder, access_seconds=tokens.access_seconds, api_seconds=tokens.api_seconds, lose_every=LOSE_EVERY
    ) as server:
        signed_in(server, store)
        with workers(server, store, threads=THREADS) as started:
            began = time.monotonic()
            told = all_told(started, seconds=seconds)
            took = time.monotonic() - began
        counts = server.counts()
    outcomes = sum((Counter(each.outcomes) for each in told), Counter())
    assert set(outcomes) <= {"200", LOST}, outcomes
    assert (outcomes["200"], outcomes[LOST]) == (counts.ok, counts.lost)
    assert [each.endings for each in told] == [[], [], [], []]
    assert (counts.reuses, counts.twice, counts.refused, counts.revoked) == (0, 0, 0, 0)
    # The pair may have run out before the first request. From then on no token is renewed before its time, and none
    # is used long after it.
    assert seconds / 10 <= counts.refreshes <= took / tokens.least_seconds + 2
    return f"{counts.refreshes} refreshes in {took:.0f} s, {counts}"


@pytest.mark.alone
@pytest.mark.slow
def test_fifty_threads_in_four_processes_never_show_a_single_use_refresh_token_twice(
    tmp_path: Path, store: Path, tell: Callable[[str], None]
) -> None:
    """Four processes hammer an API through token after token: one refresh each time, no reuse, and every answer 200."""
    tell(hammer(tmp_path, store, RUNNING_OUT, seconds=12))


@pytest.mark.alone
@pytest.mark.slow
def test_fifty_threads_refused_at_once_in_four_processes_cause_one_refresh(
    tmp_path: Path, store: Path, tell: Callable[[str], None]
) -> None:
    """An API that stops taking a token before its time refuses all threads at once: one refresh, and no 401 is seen."""
    tell(hammer(tmp_path, store, REFUSED_EARLY, seconds=12))


@pytest.mark.soak
@pytest.mark.parametrize("tokens", [RUNNING_OUT, REFUSED_EARLY], ids=["running out", "refused early"])
def test_fifty_threads_keep_one_strict_session_for_two_minutes(
    tmp_path: Path, store: Path, tell: Callable[[str], None], tokens: Tokens
) -> None:
    """For two minutes and some thirty refreshes nobody is signed out, though one request in a hundred gets lost."""
    tell(hammer(tmp_path, store, tokens, seconds=120))


@pytest.mark.alone
@pytest.mark.slow
def test_a_grant_revoked_at_the_server_signs_every_process_out_once(server: ForeignServer, store: Path) -> None:
    """The first invalid_grant is enough for all processes: each raises SignedOut and tells its listeners once."""
    signed_in(server, store)
    with workers(server, store, threads=[4, 4, 4]) as started:
        assert [each.outcomes for each in all_told(started, seconds=0)] == [{"200": 4}] * 3
        server.revoke_grants()
        told = all_told(started, seconds=0)
        assert [each.outcomes for each in told] == [{"SignedOut: invalid_grant": 4}] * 3
        assert [each.endings for each in told] == [["invalid_grant"]] * 3
        again = all_told(started, seconds=0)
        assert [each.outcomes for each in again] == [{"SignedOut: invalid_grant": 4}] * 3
        assert [each.endings for each in again] == [["invalid_grant"]] * 3
    counts = server.counts()
    assert (counts.refused, counts.reuses, counts.twice) == (1, 0, 0)


def test_a_sign_out_revokes_the_grant_at_a_foreign_server(server: ForeignServer, store: Path) -> None:
    """Signing out tells the server so (RFC 7009): both tokens are dead there, and whoever shares the store is out."""
    session = signed_in(server, store)
    session.refresh()
    access_token = session.token()
    other = oauth_session(server.api_url, issuer=server.url, client_id=server.public_id, store=FileStore(store))
    heard: list[str] = []
    other.on_signed_out(heard.append)
    assert other.token() == access_token
    session.logout()
    assert server.counts().revoked == 1
    assert not session.is_signed_in()
    things = f"{server.api_url}/things"
    with httpx2.Client(trust_env=False) as bare:
        assert bare.get(things, headers={"Authorization": f"Bearer {access_token}"}).status_code == 401
    with (
        httpx2.Client(auth=for_httpx2.SilentAuth(other), trust_env=False) as client,
        pytest.raises(SignedOut, match="signed_out"),
    ):
        client.get(things)
    counts = server.counts()
    assert (counts.refreshes, counts.refused) == (1, 0)


def test_a_confidential_client_renews_with_basic_authentication(server: ForeignServer, store: Path) -> None:
    """A secret full of colons and percent signs arrives as it was registered, and each rotated token is adopted."""
    session = oauth_session(
        server.api_url,
        issuer=server.url,
        client_id=server.confidential_id,
        client_secret=server.secret,
        store=FileStore(store),
    )
    session.adopt(**server.sign_in(server.confidential_id))
    seen = {session.token()}
    for _ in range(3):
        session.refresh()
        seen.add(session.token())
    assert len(seen) == 4
    session.logout()
    counts = server.counts()
    assert (counts.refreshes, counts.refused, counts.twice, counts.revoked) == (3, 0, 0, 1)
