"""A refresh that fails: one typed error for everybody, and nobody signed out but by a definite refusal."""

import dataclasses
from typing import Any

import pytest

from evertoken.client import EVERTOKEN, oauth2
from evertoken.errors import RefreshUnavailable, SignedOut
from evertoken.testing import Fault
from tests.adapters.compliance.stage import Stage

ONCE_ONLY = dataclasses.replace(EVERTOKEN, refresh_is_repeatable=False)
"""Does not repeat a refresh, so that one scripted fault is one failure."""

CROWD = 20

FAULTS = {
    "503 with Retry-After": Fault(status=503, retry_after=90),
    "503": Fault(status=503),
    "500": Fault(status=500),
    "429": Fault(status=429, retry_after=90),
    "a reset": Fault(reset=True),
    "a lost answer": Fault(lose_answer=True),
    "no answer": Fault(hang=True),
    "a page of HTML": Fault(body=b"<html>", headers={"Content-Type": "text/html"}),
}


class Failing(Stage):
    @pytest.mark.parametrize(
        ("fault", "how"), [*((fault, "by the clock") for fault in FAULTS), ("503 with Retry-After", "by the server")]
    )
    def test_a_refresh_that_fails_keeps_the_session_and_tells_everybody(
        self, playing: Any, fault: str, how: str
    ) -> None:
        """Trouble at the server is RefreshUnavailable for all who wait; once it is well, requests go on as before."""
        timeout = 0.5 if fault == "no answer" else 30.0
        with playing(dialect=ONCE_ONLY, timeout_seconds=timeout) as play:
            play.expire(how)
            with play.api.hold_refreshes() as gate:
                play.api.script_refresh(FAULTS[fault])
                pending = play.client.start_many(CROWD, play.me)
                if fault == "no answer":
                    gate.release()
                play.waiting.wait_for(1 if fault == "no answer" else CROWD)
                gate.release()
                failures = play.client.failures(pending)
            assert [type(error) for error in failures] == [RefreshUnavailable] * CROWD
            waits = {error.retry_after_seconds for error in failures if isinstance(error, RefreshUnavailable)}
            assert waits == ({90} if FAULTS[fault].retry_after else {1})
            assert play.api.refresh_count == 1
            with pytest.raises(RefreshUnavailable):
                play.client.get(play.me)
            assert play.api.refresh_count == 1, "the server is not left alone"
            assert play.session.is_signed_in()
            assert play.ends == []
            play.clock.advance(91)
            assert play.client.get(play.me).status == 200
            assert play.api.refresh_count == 2
            assert play.api.reuses == 0

    @pytest.mark.parametrize("reason", ["revoked", "password_changed"])
    @pytest.mark.parametrize("how", ["by the clock", "by the server"])
    def test_a_session_that_is_over_signs_everybody_out_once(self, playing: Any, how: str, reason: str) -> None:
        """A definite refusal is SignedOut with its reason for all who wait, and one event."""
        with playing() as play:
            play.api.end_sessions(reason)
            play.expire(how)
            with play.api.hold_refreshes() as gate:
                pending = play.client.start_many(CROWD, play.me)
                play.waiting.wait_for(CROWD)
                gate.release()
                failures = play.client.failures(pending)
            assert [type(error) for error in failures] == [SignedOut] * CROWD
            assert {error.reason for error in failures if isinstance(error, SignedOut)} == {reason}
            with pytest.raises(SignedOut):
                play.client.get(play.me)
            assert play.api.refresh_count == 1
            assert play.ends == [reason]
            assert not play.session.is_signed_in()

    def test_invalid_grant_of_an_oauth_server_signs_everybody_out_once(self, playing: Any) -> None:
        """OAuth's way of saying it does the same."""
        with playing(dialect=oauth2(token_endpoint="/oauth/token", client_id="evertoken"), rotation="strict") as play:
            play.expire("by the server")
            assert play.client.get(play.me).status == 200
            play.api.end_sessions()
            failures = play.client.failures(play.client.start_many(CROWD, play.me))
            assert [type(error) for error in failures] == [SignedOut] * CROWD
            assert {error.reason for error in failures if isinstance(error, SignedOut)} == {"invalid_grant"}
            assert play.api.refresh_count == 2
            assert play.ends == ["invalid_grant"]

    def test_a_lost_answer_is_asked_for_again_where_the_server_allows_it(self, playing: Any) -> None:
        """evertoken takes the same refresh token again, so a lost answer is a second call, and nobody notices."""
        with playing() as play:
            play.expire("by the server")
            play.api.script_refresh(Fault(lose_answer=True))
            assert play.client.statuses(play.client.start_many(CROWD, play.me)) == [200] * CROWD
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (2, 0, [])

    @pytest.mark.parametrize("fault", ["503 with Retry-After", "a reset", "429"])
    def test_a_token_that_still_lives_goes_on_while_its_renewal_fails(self, playing: Any, fault: str) -> None:
        """With a token that ends soon and a server that renews none, requests go on with the old one."""
        with playing(dialect=ONCE_ONLY) as play:
            play.clock.advance(1790)
            play.api.script_refresh(FAULTS[fault])
            assert play.client.statuses(play.client.start_many(CROWD, play.me)) == [200] * CROWD
            assert play.client.statuses(play.client.start_many(CROWD, play.me)) == [200] * CROWD
            assert play.api.refresh_count <= 1
            assert play.ends == []
