"""A refresh token that has been in hand for too long is read again before it is sent."""

import pytest

from evertoken.client import Session
from evertoken.errors import RefreshUnavailable
from evertoken.testing import MovingClock
from tests.client.doubles import StagedStore
from tests.client.staging import LIFETIME_SECONDS, PASSWORD, StagedServer, session_at


@pytest.fixture
def store() -> StagedStore:
    """A store in which time can pass."""
    return StagedStore()


@pytest.fixture
def session(server: StagedServer, moving: MovingClock, store: StagedStore) -> Session:
    """A session over it whose token has expired."""
    made = session_at(server.url, store=store, clock=moving)
    made.login("ada", PASSWORD)
    moving.advance(LIFETIME_SECONDS)
    store.steps.clear()
    return made


def test_a_machine_that_slept_between_reading_and_sending_reads_again(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore
) -> None:
    """
    If the machine sleeps after the refresh token was read, what somebody else has stored since is used instead.
    """
    ours = store.load()
    somebody = session_at(server.url, store=store, clock=moving)

    def sleep() -> None:
        del store.before["prepare"]
        moving.sleep_machine(6)
        # Whoever took the lease of a sleeping machine away has refreshed in the meantime.
        pair = server.sign_in()
        assert somebody.gate.around.store is store
        somebody.adopt(account="ada", **{name: pair[name] for name in ("access_token", "refresh_token", "expires_in")})

    store.before["prepare"] = sleep
    token = session.token()
    assert store.load() != ours
    assert token == somebody.token()
    assert server.refresh_count == 0


def test_a_short_pause_between_reading_and_sending_is_no_reason_to_read_again(
    session: Session, server: StagedServer, moving: MovingClock, store: StagedStore
) -> None:
    """
    Up to five seconds the token that was read is the token that is sent.
    """
    store.before["prepare"] = lambda: moving.advance(4)
    assert session.token()
    assert store.steps == ["load", "lease", "load", "prepare", "swap"]
    assert server.refresh_count == 1


def test_a_lease_that_is_nearly_over_is_not_trusted_with_a_refresh(
    session: Session, server: StagedServer, store: StagedStore
) -> None:
    """
    Where the right to refresh may run out before the answer comes, the store is read again first.
    """
    store.lease_held.lefts = [0.5]
    assert session.token()
    assert store.steps == ["load", "lease", "load", "prepare", "load", "prepare", "swap"]
    assert server.refresh_count == 1


def test_a_lease_that_stays_too_short_sends_nothing(session: Session, server: StagedServer, store: StagedStore) -> None:
    """
    If the lease never has enough time left, nothing is sent, and the session is kept.
    """
    store.lease_held.lefts = [0.5] * 10
    with pytest.raises(RefreshUnavailable, match="no time left"):
        session.token()
    assert server.refresh_count == 0
    assert session.is_signed_in()
