"""What another program does to the shared store, and what this one makes of it."""

import pytest

from evertoken.client import Dialect, Session
from evertoken.errors import SignedOut
from evertoken.testing import MovingClock
from tests.client.doubles import StagedStore
from tests.client.staging import LIFETIME_SECONDS, PASSWORD, Heard, StagedServer, document_of, session_at, settle


@pytest.fixture
def store() -> StagedStore:
    """What the two programs have in common."""
    return StagedStore()


@pytest.fixture
def session(server: StagedServer, moving: MovingClock, store: StagedStore) -> Session:
    """The session of this program, which is using ada's token."""
    made = session_at(server.url, store=store, clock=moving)
    made.login("ada", PASSWORD)
    return made


@pytest.fixture
def other(server: StagedServer, moving: MovingClock, store: StagedStore) -> Session:
    """The session of another program over the same store."""
    return session_at(server.url, store=store, clock=moving)


def test_a_token_that_another_program_has_fetched_is_found_when_ours_expires(
    session: Session, other: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    What another program has renewed is taken from the store, without a call to the server.
    """
    moving.advance(LIFETIME_SECONDS)
    token = other.token()
    assert session.token() == token
    assert server.refresh_count == 1


def test_a_token_that_another_program_has_fetched_is_found_when_ours_is_refused(
    session: Session, other: Session, server: StagedServer, heard: Heard
) -> None:
    """
    A refusal of a token that another program has renewed since is answered from the store.
    """
    holding = session.gate.enter()
    other.refresh()
    renewed = session.gate.refused(holding)
    assert renewed is not None and renewed.access_token == other.token()
    assert server.refresh_count == 1
    assert heard.reasons == []


def test_a_sign_out_in_another_program_is_noticed_and_told_once(
    session: Session, other: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    A program whose session another one has ended raises SignedOut, and tells its listeners once.
    """
    session.token()
    other.logout()
    moving.advance(LIFETIME_SECONDS)
    for _ in range(3):
        with pytest.raises(SignedOut, match="signed_out"):
            session.token()
    settle()
    assert heard.reasons == ["signed_out"]
    assert server.refresh_count == 0


def test_an_end_that_another_program_was_told_is_known_here_with_its_reason(
    session: Session, other: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    The reason for which a session has ended is left in the store, so that nobody has to ask the server again.
    """
    server.end_sessions("account_disabled")
    moving.advance(LIFETIME_SECONDS)
    for one in (other, session, other):
        with pytest.raises(SignedOut, match="account_disabled"):
            one.token()
    settle()
    assert heard.reasons == ["account_disabled"]
    assert server.refresh_count == 1
    assert not session.is_signed_in()


def test_a_sign_in_of_somebody_else_does_not_change_the_user_silently(
    session: Session, other: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    If somebody else signs in over the session, this program is told so once, and never sends that person's token.
    """
    session.token()
    other.login("bob", PASSWORD)
    theirs = document_of(other)
    moving.advance(LIFETIME_SECONDS)
    for _ in range(3):
        with pytest.raises(SignedOut, match="signed_in_anew"):
            session.token()
    settle()
    assert heard.reasons == ["signed_in_anew"]
    assert document_of(other) == theirs
    assert server.is_alive(theirs["refresh_token"])
    assert other.token()


def test_a_sign_in_of_the_same_user_goes_on_silently(
    session: Session, other: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    If the same user signs in again elsewhere, this program goes on with the new session.
    """
    session.token()
    other.login("ada", PASSWORD)
    moving.advance(LIFETIME_SECONDS)
    assert session.token() == document_of(other)["access_token"]
    settle()
    assert heard.reasons == []


@pytest.mark.parametrize(("account", "goes_on"), [("ada", True), ("bob", False)])
def test_where_the_server_names_no_session_the_account_decides(
    server: StagedServer, moving: MovingClock, store: StagedStore, account: str, goes_on: bool
) -> None:
    """
    Without session ids, as with OAuth, the account that the application names tells one user from another.
    """
    here, there = (session_at(server.url, store=store, clock=moving, dialect=Dialect()) for _ in range(2))
    heard = Heard(here)
    here.adopt(access_token="ada-1", refresh_token="ada-refresh", expires_in=60, account="ada")
    there.adopt(access_token="new-1", refresh_token="new-refresh", expires_in=7200, account=account)
    moving.advance(60)
    if goes_on:
        assert here.token() == "new-1"
    else:
        with pytest.raises(SignedOut, match="signed_in_anew"):
            here.token()
    settle()
    assert heard.reasons == ([] if goes_on else ["signed_in_anew"])


def test_a_program_that_comes_later_finds_the_session(session: Session, other: Session, server: StagedServer) -> None:
    """
    A program that is started later uses the stored token at once, without a call to the server.
    """
    assert other.is_signed_in()
    assert other.token() == session.token()
    assert len(server.seen) == 1


def test_a_sign_in_here_ends_being_signed_out_elsewhere(
    session: Session, other: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    After somebody else's sign-in this program can sign in again, and is then told of the next end once more.
    """
    session.token()
    other.login("bob", PASSWORD)
    moving.advance(LIFETIME_SECONDS)
    with pytest.raises(SignedOut):
        session.token()
    settle()
    session.login("ada", PASSWORD)
    assert session.token() == document_of(session)["access_token"]
    session.logout()
    assert heard.reasons == ["signed_in_anew", "signed_out"]
