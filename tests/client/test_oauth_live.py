"""OAuth sessions at our real server, with each way for a client to say who it is."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.client import Session, oauth_session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import RefreshUnavailable, SignedOut
from evertoken.secret import Secret
from tests.client.staging import Heard, document_of, settle
from tests.oauth.speaking import API, APP, add_client
from tests.support.server import LiveServer

MATURITY_SECONDS = 240.0


def at(live: LiveServer, http: httpx2.Client, client_id: str, authentication: str = "public") -> Session:
    """A session of ada's there, with a pair of that client's, which says who it is by `authentication`."""
    pair = live.sign_in(http, client_id=client_id)
    settings: dict[str, Any] = {}
    if authentication != "public":
        settings = {"client_secret": Secret(add_client(live, client_id)), "client_authentication": authentication}
    if authentication == "wrong":
        settings = {"client_secret": "not-the-secret"}
    session = oauth_session(
        live.url,
        client_id=client_id,
        issuer=live.url,
        clock=lambda: (live.clock() / 1000, live.clock() / 1000),
        **settings,
    )
    session.adopt(**{name: pair[name] for name in ("access_token", "refresh_token", "expires_in")})
    return session


@pytest.mark.parametrize("authentication", ["basic", "post", "public"])
def test_every_kind_of_client_refreshes_and_signs_out(
    live: LiveServer, http: httpx2.Client, authentication: str
) -> None:
    """
    With its secret in a header, with its secret in the body, or without one: discovered by the issuer alone, a client
    renews its tokens over many rotations, and signs out.
    """
    session = at(live, http, APP if authentication == "public" else API, authentication)
    with httpx2.Client(base_url=live.url, auth=SilentAuth(session)) as client:
        for _ in range(5):
            before = document_of(session)["refresh_token"]
            live.clock.advance(1800)
            assert client.get("/auth/me").json()["preferred_username"] == "ada"
            assert document_of(session)["refresh_token"] != before
        spent = document_of(session)["refresh_token"]
        session.logout()
        assert http.post("/auth/refresh", json={"refresh_token": spent}).json()["reason"] == "signed_out"


def test_a_wrong_client_secret_keeps_the_tokens_and_names_the_client(live: LiveServer, http: httpx2.Client) -> None:
    """
    After `invalid_client` the session is kept, and the error says to look at the client id and its secret.
    """
    session = at(live, http, API, "wrong")
    heard = Heard(session)
    live.clock.advance(1800)
    with pytest.raises(RefreshUnavailable, match="client_id") as caught:
        session.token()
    assert "not-the-secret" not in str(caught.value)
    settle()
    assert heard.reasons == []
    assert session.is_signed_in()


def test_a_session_that_was_ended_is_over_for_its_oauth_client(live: LiveServer, http: httpx2.Client) -> None:
    """
    The OAuth endpoint gives no reasons: every end is `invalid_grant`.
    """
    session = at(live, http, APP)
    refresh_token = document_of(session)["refresh_token"]
    assert http.post("/auth/logout", json={"refresh_token": refresh_token}).status_code == 204
    live.clock.advance(1800)
    with pytest.raises(SignedOut, match="invalid_grant"):
        session.token()


def test_a_token_shown_early_brings_an_access_token_alone(
    live: LiveServer, http: httpx2.Client, tmp_path: Path
) -> None:
    """
    A young refresh token is kept: OAuth clients, too, go on with the one they have (RFC 6749 §6).
    """
    session = at(live, http, APP)
    session.refresh()
    young = document_of(session)
    live.clock.advance(10)
    session.refresh()
    early = document_of(session)
    assert early["access_token"] != young["access_token"]
    live.clock.advance(MATURITY_SECONDS)
    session.refresh()
    assert document_of(session)["refresh_token"] not in (young["refresh_token"], None)
