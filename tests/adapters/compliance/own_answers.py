"""A refusal of an old token costs no refresh, and what is the application's own passes through untouched."""

from typing import Any

import pytest

from tests.adapters.benches.bench import Ask
from tests.adapters.compliance.stage import Stage


def carries_token(request: Any, header: str = "Authorization") -> bool:
    """Whether a request brought a token of the fake server, anywhere."""
    texts = [request.target, *(value for _, value in request.headers), request.body.decode("latin-1")]
    return request.header(header) is not None or any("fake_" in text or "etr_" in text for text in texts)


class OwnAnswers(Stage):
    @pytest.mark.parametrize("count", [1, 12])
    @pytest.mark.parametrize("rotation", ["evertoken", "strict"])
    def test_late_refusals_of_a_replaced_token_are_sent_again_without_a_refresh(
        self, playing: Any, count: int, rotation: str
    ) -> None:
        """A 401 for a token that has been replaced since is answered by sending again, however many there are."""
        with playing(rotation=rotation) as play:
            with play.api.hold_requests() as gate:
                late = play.client.start_many(count, play.me)
                gate.wait_for_arrival(count=count)
                play.api.let_pass()
                play.expire("by the server")
                assert play.client.get(play.me).status == 200
                assert play.api.refresh_count == 1
                gate.release()
                assert play.client.statuses(late) == [200] * count
            assert play.api.requests["/auth/me", 401] == count + 1
            assert (play.api.refresh_count, play.api.reuses) == (1, 0)

    def test_a_route_that_always_refuses_causes_one_refresh_and_is_seen(self, play: Any) -> None:
        """A route that answers 401 whatever it is sent causes one refresh in all; the application gets its 401s."""
        for _ in range(3):
            reply = play.client.get(play.at("/stubborn"))
            assert (reply.status, reply.members["detail"]) == (401, "whatever you send")
        assert play.client.statuses(play.client.start_many(50, play.at("/stubborn"))) == [401] * 50
        assert play.client.get(play.me).status == 200
        assert play.api.refresh_count == 1
        assert play.ends == []

    def test_any_other_error_passes_untouched(self, play: Any) -> None:
        """A 403, a 404, a 500 or any other error is the application's own."""
        for status in (400, 402, 403, 404, 405, 409, 410, 418, 422, 429, 500, 501, 502, 503, 504):
            reply = play.client.get(play.at(f"/status/{status}"))
            assert (reply.status, reply.members) == (status, {"detail": "of the application"})
            assert play.api.requests[f"/status/{status}", status] == 1
        assert play.api.refresh_count == 0

    def test_a_request_that_opts_out_carries_nothing_and_keeps_its_refusal(self, play: Any) -> None:
        """A request without the adapter carries no token, and its 401 is the application's."""
        reply = play.client.get(play.me, opt_out=True)
        assert (reply.status, reply.members["code"]) == (401, "token_invalid")
        assert not any(carries_token(request) for request in play.api.seen)
        assert play.api.refresh_count == 0
        assert play.client.get(play.me).status == 200

    def test_a_sign_in_through_the_adapter_carries_no_token_and_its_refusal_starts_nothing(self, play: Any) -> None:
        """The application may call the sign-in itself: no token goes there, and wrong password stays wrong password."""
        body = {"json": {"username": "ada", "password": "wrong"}}
        reply = play.client.send(Ask(play.at("/auth/login"), method="POST", body=body))
        assert (reply.status, reply.members["code"]) == (401, "bad_credentials")
        assert not carries_token(play.api.seen[-1])
        assert play.api.refresh_count == 0

    def test_a_refresh_call_through_the_adapter_carries_no_token_and_its_refusal_starts_nothing(
        self, play: Any
    ) -> None:
        """A call to the refresh URL by the application itself is not intercepted."""
        reply = play.client.send(
            Ask(play.at("/auth/refresh?by=hand"), method="POST", body={"json": {"refresh_token": "none of yours"}})
        )
        assert (reply.status, reply.members["code"]) == (401, "token_invalid")
        assert not carries_token(play.api.seen[-1])
        assert play.api.refresh_count == 1  # that call itself
        assert play.client.get(play.me).status == 200
        assert play.ends == []
