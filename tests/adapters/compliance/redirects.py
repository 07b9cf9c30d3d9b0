"""Redirects: the token goes to its own origins, and nowhere else."""

import dataclasses
from typing import Any
from urllib.parse import quote

import pytest

from evertoken.client import EVERTOKEN, AccessTokenPlace
from tests.adapters.benches.bench import Ask
from tests.adapters.compliance.own_answers import carries_token
from tests.adapters.compliance.stage import Play, Stage

CUSTOM = dataclasses.replace(EVERTOKEN, access_token=AccessTokenPlace(header="X-Access-Token", scheme=None))

STATUSES = (301, 302, 303, 307, 308)

both_headers = pytest.mark.parametrize("dialect", [EVERTOKEN, CUSTOM], ids=["Authorization", "X-Access-Token"])


def to(play: Play, target: str, *, status: int = 302, route: str = "/redirect") -> str:
    """A route of the API that redirects there."""
    return play.at(f"{route}?status={status}&to={quote(target, safe='')}")


def leaked(play: Play, dialect: Any) -> bool:
    """Whether the foreign server has seen a token."""
    assert play.foreign.seen, "the foreign server was not asked at all"
    return any(carries_token(request, dialect.access_token.header) for request in play.foreign.seen)


class Redirects(Stage):
    @both_headers
    def test_a_redirect_within_the_own_origin_carries_the_token(self, playing: Any, dialect: Any) -> None:
        """The token goes along to another path of the same origin."""
        with playing(dialect=dialect) as play:
            for status in STATUSES:
                assert play.client.get(to(play, "/auth/me", status=status), follow=True).status == 200
            assert play.api.refresh_count == 0

    @both_headers
    @pytest.mark.parametrize("expired", ["", "by the clock", "by the server"])
    def test_a_redirect_to_a_foreign_origin_leaves_the_token_behind(
        self, playing: Any, dialect: Any, expired: str
    ) -> None:
        """A server elsewhere never sees the token: not on the first sending, nor after a renewal and a replay."""
        with playing(dialect=dialect) as play:
            for status in STATUSES:
                if expired:
                    play.expire(expired)
                reply = play.client.get(to(play, play.foreign.url + "/landing", status=status), follow=True)
                assert (reply.status, reply.members) == (200, {"from": "elsewhere"})
            assert not leaked(play, dialect)
            assert len(play.foreign.seen) == len(STATUSES)
            assert play.api.refresh_count == (len(STATUSES) if expired else 0)

    @both_headers
    @pytest.mark.parametrize("expired", ["", "by the server"])
    def test_a_chain_out_and_home_again_never_shows_the_token_elsewhere(
        self, playing: Any, dialect: Any, expired: str
    ) -> None:
        """From home to elsewhere and back: elsewhere no token is seen, and coming home without one renews nothing."""
        with playing(dialect=dialect) as play:
            if expired:
                play.expire(expired)
            back = f"{play.foreign.url}/back?to={quote(play.me, safe='')}"
            reply = play.client.get(to(play, back), follow=True)
            assert reply.status in (200, 401)
            assert not leaked(play, dialect)
            assert len(play.foreign.seen) == 1
            assert play.api.refresh_count == (1 if expired else 0)
            assert play.client.get(play.me).status == 200

    @both_headers
    def test_a_hop_that_was_sent_again_leads_elsewhere_without_the_token(self, playing: Any, dialect: Any) -> None:
        """From home to home, where the token is renewed, and from there to a server that must not see it."""
        with playing(dialect=dialect) as play:
            play.expire("by the server")
            onward = to(play, play.foreign.url + "/landing")
            assert play.client.get(to(play, onward, route="/open"), follow=True).status == 200
            assert not leaked(play, dialect)
            assert play.api.refresh_count == 1

    @both_headers
    def test_a_hop_that_was_sent_again_leads_on_with_the_new_token(self, playing: Any, dialect: Any) -> None:
        """The hops after one whose token was renewed carry the new token, not the refused one."""
        with playing(dialect=dialect) as play:
            play.expire("by the server")
            assert play.client.get(to(play, to(play, "/auth/me"), route="/open"), follow=True).status == 200
            assert play.api.requests["/auth/me", 401] == 0
            assert play.api.refresh_count == 1

    @both_headers
    def test_a_foreign_refusal_after_a_redirect_renews_nothing(self, playing: Any, dialect: Any) -> None:
        """What a server elsewhere says of a request is not about our token."""
        with playing(dialect=dialect) as play:
            reply = play.client.get(to(play, play.foreign.url + "/refuse"), follow=True)
            assert (reply.status, reply.members) == (401, {"code": "token_expired"})
            assert not leaked(play, dialect)
            assert len(play.foreign.seen) == 1
            assert play.api.refresh_count == 0

    @both_headers
    def test_a_request_straight_to_a_foreign_origin_carries_nothing(self, playing: Any, dialect: Any) -> None:
        """The client may be used for other servers too: they see no token, and their refusals renew nothing."""
        with playing(dialect=dialect) as play:
            assert play.client.get(play.foreign.url + "/landing").status == 200
            assert play.client.get(play.foreign.url + "/refuse").status == 401
            assert not leaked(play, dialect)
            assert play.api.refresh_count == 0

    @both_headers
    def test_a_foreign_server_that_redirects_home_gives_no_token_to_itself(self, playing: Any, dialect: Any) -> None:
        """A request that begins elsewhere and is led here shows nothing there."""
        with playing(dialect=dialect) as play:
            url = f"{play.foreign.url}/back?to={quote(play.me, safe='')}"
            assert play.client.get(url, follow=True).status in (200, 401)
            assert not leaked(play, dialect)
            assert play.api.refresh_count == 0

    @both_headers
    def test_a_post_that_was_taken_and_leads_to_a_refusal_is_not_posted_again(self, playing: Any, dialect: Any) -> None:
        """After 303 only what was refused is sent again: what the first hop did is not done twice."""
        with playing(dialect=dialect) as play:
            ask = Ask(to(play, "/stubborn", status=303), method="POST", body={"json": {"buy": 1}}, follow=True)
            assert play.client.send(ask).status == 401
            assert len(play.api.seen_at("/redirect")) == 1
            assert len(play.api.seen_at("/stubborn")) == 2
            assert play.api.refresh_count == 1

    @both_headers
    def test_a_redirect_that_is_refused_on_its_second_hop_arrives_after_the_renewal(
        self, playing: Any, dialect: Any
    ) -> None:
        """A body whose redirect asks no token is sent to its end with the new token, and whole."""
        with playing(dialect=dialect) as play:
            play.expire("by the server")
            ask = Ask(
                to(play, "/upload", status=307, route="/open"), method="POST", body={"json": {"buy": 1}}, follow=True
            )
            reply = play.client.send(ask)
            assert reply.status == 200
            assert reply.members["length"] in (9, 10)
            assert play.api.refresh_count == 1
