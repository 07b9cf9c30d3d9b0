"""A session that ends takes its tokens with it, and a guard that cannot judge says 503, which signs nobody out."""

import time
from typing import Final

import pytest

from evertoken.errors import FeedLost, GuardNotReady, TemporarilyUnavailable
from evertoken.guards import AccessTokenClaims
from tests.edge.attacking import Answer
from tests.frameworks.compliance.bench import Stage
from tests.frameworks.compliance.stand import NO_TOKEN, PLACES, Stand, Standing, refused
from tests.guards.elsewhere import sign_out
from tests.support.server import LiveServer

WITHIN_SECONDS: Final = 20


class Shut:
    """A guard that can judge nothing."""

    def __init__(self, error: TemporarilyUnavailable) -> None:
        self._error = error

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        raise self._error

    async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        raise self._error

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return None


def refusal_of(stand: Stand, token: str) -> Answer:
    """The answer once a token is refused: at once beside the server, within the bound elsewhere."""
    give_up_at = time.monotonic() + WITHIN_SECONDS
    while True:
        answer = stand.show(token)
        if answer.status != 200 or stand.place == PLACES[0] or time.monotonic() > give_up_at:
            return answer


class Ending(Standing):
    def test_a_signed_out_session_is_refused_and_no_other(self, stand: Stand) -> None:
        """After a sign-out the next request is refused, for a token that has just passed; other sessions go on."""
        tokens, other = stand.sign_in(), stand.sign_in()
        assert [stand.show(each["access_token"]).status for each in (tokens, other)] == [200, 200]
        with stand.live.client() as client:
            sign_out(client, tokens)
        refused(refusal_of(stand, tokens["access_token"]))
        assert stand.show(other["access_token"]).status == 200

    def test_signing_out_everywhere_ends_every_session(self, stand: Stand) -> None:
        """All sessions that a user has are refused, and a new one passes."""
        several = [stand.sign_in() for _ in range(3)]
        assert {stand.show(each["access_token"]).status for each in several} == {200}
        with stand.live.client() as client:
            headers = {"Authorization": f"Bearer {several[0]['access_token']}"}
            assert client.delete("/auth/sessions", headers=headers).status_code in {200, 204}
        for each in several:
            refused(refusal_of(stand, each["access_token"]))
        assert stand.show(stand.sign_in()["access_token"]).status == 200

    @pytest.mark.parametrize("kind", [FeedLost, GuardNotReady])
    def test_a_guard_that_cannot_judge_answers_503_and_when_to_try_again(
        self, kind: type[TemporarilyUnavailable], live: LiveServer
    ) -> None:
        """Keys not yet fetched, or the feed lost for too long: 503 with Retry-After, a fault that signs nobody out."""
        shut = Stage(Shut(kind("of the test", retry_after_seconds=5)), live.clock)
        with self.bench.serving(shut) as url:
            stand = Stand(live, url, shut, PLACES[1])
            for path in ("/guarded", "/admin", "/scoped"):
                answer = stand.show(stand.token(roles=["admin"]), path)
                refused(answer, status=503)
                assert answer.one("Retry-After") == "5"
                assert b"of the test" not in answer.body
            assert stand.get("/open").status == 200
            refused(stand.get("/guarded"), challenge=NO_TOKEN)
        assert shut.reached == 0
