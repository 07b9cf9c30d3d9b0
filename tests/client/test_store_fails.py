"""A token store that is full, damaged, foreign or slow, at every step."""

from collections.abc import Iterator

import httpx2
import pytest

from evertoken.client import Session, oauth_session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import RefreshUnavailable, TokenStoreRefused, TokenStoreUnavailable
from evertoken.testing import MovingClock
from tests.client.doubles import StagedStore
from tests.client.staging import (
    FAR_FROM_NOW,
    LIFETIME_SECONDS,
    PASSWORD,
    Heard,
    StagedServer,
    document_of,
    session_at,
    settle,
    without_pauses,
)

FULL = TokenStoreUnavailable("/tokens.json: no space left on the device", retry_after_seconds=5)
UNSAFE = TokenStoreRefused("/tokens.json is open to other users")


@pytest.fixture
def store() -> StagedStore:
    """A store that fails where the test says."""
    return StagedStore()


@pytest.fixture
def session(server: StagedServer, moving: MovingClock, store: StagedStore) -> Session:
    """A session over it, with ada signed in."""
    made = session_at(server.url, store=store, clock=moving)
    made.login("ada", PASSWORD)
    return made


@pytest.fixture
def strict_server(moving: MovingClock) -> Iterator[StagedServer]:
    """A server whose refresh tokens work once."""
    with StagedServer(clock=moving, rotation="strict") as running:
        yield running
        settle()


@pytest.fixture
def strict(strict_server: StagedServer, moving: MovingClock, store: StagedStore) -> Session:
    """A session at it."""
    endpoint = f"{strict_server.url}/oauth/token"
    made = without_pauses(
        oauth_session(strict_server.url, client_id="evertoken", token_endpoint=endpoint, store=store, clock=moving)
    )
    pair = strict_server.sign_in()
    made.adopt(**{name: pair[name] for name in ("access_token", "refresh_token", "expires_in")})
    return made


@pytest.mark.parametrize("step", ["prepare", "lease", "load"])
def test_a_store_in_trouble_is_found_before_the_refresh_is_sent(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore, heard: Heard, step: str
) -> None:
    """
    A full disk is found before the refresh is sent, so that no new refresh token is lost; later it succeeds.
    """
    moving.advance(LIFETIME_SECONDS)
    store.failing[step] = FULL  # type: ignore[index]
    with pytest.raises(RefreshUnavailable, match="no space left on the device") as caught:
        session.token()
    assert caught.value.retry_after_seconds == 5
    assert server.refresh_count == 0
    store.failing.clear()
    moving.advance(FAR_FROM_NOW)
    assert session.token()
    assert server.refresh_count == 1
    assert heard.reasons == []


def test_a_token_that_could_not_be_stored_is_used_and_the_stored_one_stays_good(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore
) -> None:
    """
    If the disk fails after the answer has come, the new access token is used, and the old refresh token that is
    still stored goes on working, here and in other programs.
    """
    old = store.load()
    moving.advance(LIFETIME_SECONDS)
    store.failing["swap"] = FULL
    token = session.token()
    assert token != document_of(session)["access_token"]
    assert store.load() == old
    assert session.token() == token
    store.failing.clear()
    assert session_at(server.url, store=store, clock=moving).token()
    moving.advance(LIFETIME_SECONDS)
    assert session.token() not in (token, None)
    assert server.reuses == 0


@pytest.mark.parametrize("error", [FULL, UNSAFE], ids=["full", "refused"])
def test_a_single_use_refresh_token_that_could_not_be_stored_is_stored_before_the_next_refresh(
    strict: Session, strict_server: StagedServer, moving: MovingClock, store: StagedStore, error: Exception
) -> None:
    """
    Where refresh tokens work once, the pair that the disk did not take is written before the next refresh is sent;
    until then its access token is used.
    """
    moving.advance(LIFETIME_SECONDS)
    store.failing["swap"] = error
    token = strict.token()
    assert strict.token() == token
    assert document_of(strict)["access_token"] != token
    moving.advance(LIFETIME_SECONDS)
    with pytest.raises((RefreshUnavailable, type(error)), match=r"tokens\.json"):
        strict.token()
    assert strict_server.refresh_count == 1
    store.failing.clear()
    moving.advance(FAR_FROM_NOW)
    assert strict.token() == document_of(strict)["access_token"]
    assert strict_server.refresh_count == 2
    assert strict_server.reuses == 0


@pytest.mark.parametrize("kind", ["evertoken", "strict"])
def test_a_token_that_could_not_be_stored_is_not_exchanged_for_an_older_one(
    request: pytest.FixtureRequest, store: StagedStore, kind: str
) -> None:
    """
    A token in memory that is newer than the stored one is renewed when it is refused, never replaced by the older.
    """
    names = ("session", "server") if kind == "evertoken" else ("strict", "strict_server")
    session, server = (request.getfixturevalue(name) for name in names)
    first = session.token()
    store.failing["swap"] = FULL
    session.refresh()
    second = session.token()
    assert second != first
    store.failing.clear()
    server.expire_access_tokens()
    with httpx2.Client(base_url=session.base_url, auth=SilentAuth(session)) as http:
        assert http.get("/data").status_code == 200
    assert session.token() not in (first, second)
    assert server.refresh_count == 2
    assert server.reuses == 0


DAMAGED = {
    "half a document": ('{"evertoken": 1, "server": "http', "it is not JSON"),
    "somebody else's": ('{"token": "of another program"}', "something else wrote it"),
    "of a later version": ('{"evertoken": 2}', "a later evertoken wrote it"),
    "without tokens": ('{"evertoken": 1, "server": "SERVER", "version": 1}', "it holds no token"),
    "a token that is none": (
        '{"evertoken": 1, "server": "SERVER", "version": 1, "refresh_token": "two words"}',
        "its member refresh_token is damaged",
    ),
    "another server's": (
        '{"evertoken": 1, "server": "https://elsewhere.example", "version": 1, "refresh_token": "theirs"}',
        "holds a session of https://elsewhere.example",
    ),
}


@pytest.mark.parametrize(("document", "told"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_document_that_is_not_ours_is_refused_by_name_and_never_overwritten(
    session: Session,
    server: StagedServer,
    moving: MovingClock,
    store: StagedStore,
    heard: Heard,
    document: str,
    told: str,
) -> None:
    """
    A damaged or foreign store is named in the error and left as it is, whatever is tried; a token in memory is used
    as long as it lives, and nobody is signed out.
    """
    document = document.replace("SERVER", server.url)
    store.put(document)
    calls = len(server.seen)
    moving.advance(LIFETIME_SECONDS - 1)
    assert session.token()
    settle()
    assert session.token()
    moving.advance(FAR_FROM_NOW)
    attempts = (
        session.token,
        session.refresh,
        session.logout,
        session.is_signed_in,
        lambda: session.login("ada", PASSWORD),
        lambda: session.adopt(access_token="new", refresh_token="new"),
    )
    for attempt in attempts:
        moving.advance(FAR_FROM_NOW)
        with pytest.raises(TokenStoreRefused) as caught:
            attempt()
        assert repr(store) in str(caught.value) and told in str(caught.value)
        assert "theirs" not in str(caught.value) and "two words" not in str(caught.value)
    settle()
    assert store.load() == document
    assert len(server.seen) == calls
    assert heard.reasons == []


def test_a_store_that_was_mended_is_used_again(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore
) -> None:
    """
    Once a person has put the right document back the program goes on without being started anew.
    """
    right = store.load()
    store.put("damaged")
    moving.advance(LIFETIME_SECONDS)
    with pytest.raises(TokenStoreRefused):
        session.token()
    store.put(right)
    moving.advance(FAR_FROM_NOW)
    assert session.token()
    assert server.refresh_count == 1


def test_an_end_that_cannot_be_stored_is_an_end_all_the_same(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore, heard: Heard
) -> None:
    """
    If a resource says that the session is over while the disk is full, it is over here and told once.
    """
    holding = session.gate.enter()
    store.failing["swap"] = FULL
    with pytest.raises(Exception, match="revoked"):
        session.gate.refused(holding, over="revoked")
    settle()
    assert heard.reasons == ["revoked"]


def test_a_refusal_that_cannot_be_stored_signs_out_once(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore, heard: Heard
) -> None:
    """
    If the server ends the session while the disk is full, this program is signed out with the reason all the same.
    """
    moving.advance(LIFETIME_SECONDS)
    server.end_sessions("revoked")
    store.failing["swap"] = FULL
    with pytest.raises(Exception, match="revoked"):
        session.token()
    settle()
    assert heard.reasons == ["revoked"]
