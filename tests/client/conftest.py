"""A clock to move, a server at its time, and a session of ada's."""

from collections.abc import Iterator

import pytest

from evertoken.client import Session
from evertoken.testing import MovingClock
from tests.client.staging import PASSWORD, Heard, StagedServer, session_at, settle


@pytest.fixture
def moving() -> MovingClock:
    """Time, for the server and for the session."""
    return MovingClock()


@pytest.fixture
def server(moving: MovingClock) -> Iterator[StagedServer]:
    """A server with evertoken's rotation."""
    with StagedServer(clock=moving) as running:
        yield running
        settle()


@pytest.fixture
def session(server: StagedServer, moving: MovingClock) -> Session:
    """A session with its tokens in memory; nobody is signed in."""
    return session_at(server.url, clock=moving)


@pytest.fixture
def ada(session: Session) -> Session:
    """The session, with ada signed in."""
    session.login("ada", PASSWORD)
    return session


@pytest.fixture
def heard(session: Session) -> Heard:
    """What the session has told of its ends."""
    return Heard(session)
