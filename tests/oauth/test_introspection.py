"""POST /oauth/introspect (RFC 7662)."""

from pathlib import Path
from typing import Any

import httpx2

from evertoken.sessions.issuer import Subject
from evertoken.sessions.model import AccountChange, EventKind
from evertoken.sessions.rotation import Reason
from tests.oauth.speaking import (
    API,
    APP,
    INACTIVE,
    add_client,
    assert_refused,
    basic,
    introspected,
    renew,
)
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


def claims_that_lie(subject: Subject) -> dict[str, Any]:
    """An application's hook that uses names of RFC 7662."""
    return {"active": False, "token_type": "N_A", "colour": "blue"}


class TestIntrospection:
    """RFC 7662."""

    def test_an_access_token_tells_its_claims(self, http: httpx2.Client, tokens: dict[str, Any], secret: str) -> None:
        """A good access token is active, and what it says is told: for whom, by whom, until when."""
        told = introspected(http, secret, tokens["access_token"])
        assert told["active"] is True
        assert (told["token_type"], told["sub"], told["client_id"]) == ("Bearer", "u_ada", APP)
        assert told["iss"] == told["aud"] == str(http.base_url).rstrip("/")
        assert told["sid"] == tokens["session_id"]
        assert told["exp"] - told["iat"] == 1800
        assert isinstance(told["exp"], int)

    def test_a_refresh_token_tells_its_session(self, http: httpx2.Client, tokens: dict[str, Any], secret: str) -> None:
        """A good refresh token is active, and tells whose session it is and when that ends if nobody uses it."""
        told = introspected(http, secret, tokens["refresh_token"])
        access = introspected(http, secret, tokens["access_token"])
        assert told == {
            "active": True,
            "iss": access["iss"],
            "sub": "u_ada",
            "client_id": APP,
            "sid": tokens["session_id"],
            "exp": access["iat"] + 604_800,
        }

    def test_introspection_is_no_use_of_a_session(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any], secret: str
    ) -> None:
        """Asking about a token rotates nothing and keeps nobody signed in."""
        before = introspected(http, secret, tokens["refresh_token"])
        live.clock.advance(3600)
        assert introspected(http, secret, tokens["refresh_token"]) == before

    def test_a_token_that_is_not_good_now_is_inactive_and_no_more(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any], secret: str
    ) -> None:
        """Unknown, forged, expired, superseded: exactly {"active": false}, without a reason."""
        good = live.sign_in(http, client_id=APP)
        for token in ("unknown", "etr_", good["refresh_token"][:-1] + "*", good["access_token"][:-4] + "AAAA", "\0"):
            assert introspected(http, secret, token) == INACTIVE
        live.clock.advance(1799)
        assert introspected(http, secret, tokens["access_token"])["active"] is True
        live.clock.advance(1)
        assert introspected(http, secret, tokens["access_token"]) == INACTIVE
        second = renew(http, tokens["refresh_token"]).json()
        assert introspected(http, secret, tokens["refresh_token"])["active"] is True
        live.clock.advance(1801)
        third = renew(http, second["refresh_token"]).json()
        for waited in (0, 61):  # within the overlap it is answered 503, afterwards it ends the session
            live.clock.advance(waited)
            assert introspected(http, secret, tokens["refresh_token"]) == INACTIVE
        assert introspected(http, secret, third["refresh_token"])["active"] is True
        live.clock.advance(7 * 86_400)
        assert introspected(http, secret, third["refresh_token"]) == INACTIVE

    def test_the_tokens_of_a_disabled_account_are_inactive(
        self, live: LiveServer, http: httpx2.Client, secret: str
    ) -> None:
        """Introspection knows at once what no signature can say."""
        live.add_user("eve")
        tokens = live.sign_in(http, "eve", client_id=APP)
        change = AccountChange("u_eve", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
        assert live.run(live.server.store.change_account(change))
        for kind in ("access_token", "refresh_token"):
            assert introspected(http, secret, tokens[kind]) == INACTIVE

    def test_introspection_is_for_clients_with_a_secret_only(self, http: httpx2.Client, tokens: dict[str, Any]) -> None:
        """Else whoever finds a token could ask whether it is still good (RFC 7662 §2.1)."""
        form = {"token": tokens["access_token"]}
        for answer in (
            http.post("/oauth/introspect", data=form),
            http.post("/oauth/introspect", data={**form, "client_id": APP}),
            http.post("/oauth/introspect", data=form, headers=basic(APP)),
        ):
            assert_refused(answer, "invalid_client", status=401)

    def test_an_application_claim_cannot_pass_for_the_verdict(self, tmp_path: Path) -> None:
        """Claims that an application adds are told, but `active` and `token_type` are the server's own word."""
        hook = f"{__name__}:claims_that_lie"
        with live_server(tmp_path, clock=MovingClock(), claims_hook=hook) as live, live.client() as http:
            live.add_user("ada")
            told = introspected(http, add_client(live, API), live.sign_in(http)["access_token"])
        assert (told["active"], told["token_type"], told["colour"]) == (True, "Bearer", "blue")
