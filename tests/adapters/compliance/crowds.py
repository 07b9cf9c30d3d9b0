"""Many requests at once, one refresh."""

from typing import Any

import pytest

from tests.adapters.benches.bench import PATIENCE_SECONDS
from tests.adapters.compliance.stage import Stage

CROWD = 1000

ways = pytest.mark.parametrize(
    ("how", "rotation"),
    [("by the clock", "strict"), ("by the server", "evertoken"), ("by the server", "strict")],
)


class Crowds(Stage):
    def test_a_thousand_requests_on_an_expired_token_make_one_refresh(self, playing: Any) -> None:
        """A thousand requests that find the access token expired wait for one refresh, and all are answered."""
        with playing(rotation="strict") as play:
            play.expire("by the clock")
            with play.api.hold_refreshes() as gate:
                pending = play.client.start_many(CROWD, play.me)
                play.waiting.wait_for(CROWD)
                gate.release()
                assert play.client.statuses(pending) == [200] * CROWD
            assert (play.api.refresh_count, play.api.reuses) == (1, 0)
            assert play.api.requests["/auth/me", 401] == 0
            assert play.ends == []

    def test_a_thousand_requests_in_flight_that_are_refused_make_one_refresh(self, playing: Any) -> None:
        """A thousand requests that are under way when their token is refused share one refresh and are sent again."""
        with playing(rotation="strict") as play:
            with play.api.hold_requests() as gate:
                pending = play.client.start_many(CROWD, play.me)
                gate.wait_for_arrival(PATIENCE_SECONDS, count=CROWD)
                play.expire("by the server")
                play.api.let_pass()
                gate.release()
                assert play.client.statuses(pending) == [200] * CROWD
            assert (play.api.refresh_count, play.api.reuses) == (1, 0)
            assert play.api.requests["/auth/me", 401] == CROWD
            assert play.ends == []

    @ways
    def test_expiry_after_expiry_makes_one_refresh_each(self, playing: Any, how: str, rotation: str) -> None:
        """Each time that the token ends, however it does, the requests of the moment make one refresh."""
        with playing(rotation=rotation) as play:
            for times in (1, 2, 3):
                play.expire(how)
                assert play.client.statuses(play.client.start_many(20, play.me)) == [200] * 20
                assert (play.api.refresh_count, play.api.reuses) == (times, 0)

    def test_a_token_that_ends_soon_is_renewed_beside_the_requests(self, play: Any) -> None:
        """Within the margin before its end a token still serves, while one refresh runs that nobody waits for."""
        play.clock.advance(1790)
        with play.api.hold_refreshes() as gate:
            assert play.client.statuses(play.client.start_many(20, play.me)) == [200] * 20
            gate.wait_for_arrival()
        assert play.session.token()
        assert play.api.refresh_count == 1
