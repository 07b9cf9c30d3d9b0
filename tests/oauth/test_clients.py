"""Public and confidential clients (RFC 6749 §2.3, §6)."""

import base64
from typing import Any

import httpx2
import pytest

from tests.oauth.speaking import (
    API,
    APP,
    ENDPOINTS,
    OTHER_APP,
    add_client,
    assert_lives_on,
    assert_refused,
    basic,
    renew,
)
from tests.support.server import PASSWORD, LiveServer


class TestClients:
    """Whose a session is, and who proves to be whom (RFC 6749 §2.3, §6)."""

    @pytest.mark.parametrize("how", ["form", "basic", "basic and form", "confidential"])
    def test_another_client_is_refused_and_the_session_lives_on(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, how: str
    ) -> None:
        """A session belongs to the client that signed in; another one is refused, however it names itself."""
        ways: dict[str, dict[str, Any]] = {
            "form": {"client_id": OTHER_APP},
            "basic": {"headers": basic(OTHER_APP)},
            "basic and form": {"headers": basic(OTHER_APP), "client_id": OTHER_APP},
            "confidential": {"headers": basic(API, secret)},
        }
        assert_refused(renew(http, tokens["refresh_token"], **ways[how]), "invalid_grant")
        answer = renew(http, tokens["refresh_token"], client_id=APP)
        assert (answer.status_code, answer.json()["session_id"]) == (200, tokens["session_id"])

    def test_another_clients_replay_is_no_kill_switch(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """A superseded token in the hands of another client ends nothing: its owner's newest token still works."""
        second = renew(http, tokens["refresh_token"]).json()
        live.clock.advance(1801)
        third = renew(http, second["refresh_token"]).json()
        live.clock.advance(61)
        assert_refused(renew(http, tokens["refresh_token"], client_id=OTHER_APP), "invalid_grant")
        assert_lives_on(http, third)

    @pytest.mark.parametrize("how", ["nobody", "form", "basic", "empty secret"])
    def test_a_public_client_needs_no_secret(self, http: httpx2.Client, tokens: dict[str, Any], how: str) -> None:
        """A public client says its name in the form or in the header, with an empty secret, or not at all."""
        ways: dict[str, dict[str, Any]] = {
            "nobody": {},
            "form": {"client_id": APP},
            "basic": {"headers": basic(APP)},
            "empty secret": {"client_id": APP, "client_secret": ""},
        }
        assert renew(http, tokens["refresh_token"], **ways[how]).status_code == 200

    def test_a_client_with_a_secret_must_prove_it(self, live: LiveServer, http: httpx2.Client) -> None:
        """Once a client has a secret its name alone is not enough, and either way of proving it is."""
        live.run(live.server.store.remove_client("shop"))
        tokens = live.sign_in(http, client_id="shop")
        secret = add_client(live, "shop")
        token = tokens["refresh_token"]
        assert_refused(renew(http, token, client_id="shop"), "invalid_client", status=401)
        assert_refused(renew(http, token, headers=basic("shop")), "invalid_client", status=401)
        assert renew(http, token, headers=basic("shop", secret)).status_code == 200
        assert renew(http, token, client_id="shop", client_secret=secret).status_code == 200

    def test_nobody_signs_in_by_the_name_of_a_confidential_client(self, http: httpx2.Client, secret: str) -> None:
        """A sign-in proves who the user is, not who the client is."""
        body = {"username": "ada", "password": PASSWORD, "client_id": API}
        assert http.post("/auth/login", json=body).status_code == 400

    @pytest.mark.parametrize("path", ENDPOINTS)
    @pytest.mark.parametrize(
        ("headers", "form"),
        [
            (basic(API, "wrong"), {}),
            (basic(API), {}),
            (basic("nobody", "wrong"), {}),
            (basic("", "wrong"), {}),
            ({}, {"client_id": API, "client_secret": "wrong"}),
            ({}, {"client_id": API}),
            ({}, {"client_secret": "wrong"}),
            ({"Authorization": "Basic !!!"}, {}),
            ({"Authorization": "Basic"}, {"client_id": API}),
            ({"Authorization": b"Basic \xe9\xe9\xe9\xe9"}, {}),
            ({"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}, {}),
            ({"Authorization": basic(API)["Authorization"] + "="}, {}),
        ],
    )
    def test_a_client_that_proves_nothing_is_challenged(
        self,
        http: httpx2.Client,
        tokens: dict[str, Any],
        secret: str,
        path: str,
        headers: dict[str, Any],
        form: dict[str, str],
    ) -> None:
        """A wrong, missing or unreadable secret is 401 invalid_client with a Basic challenge, and revokes nothing."""
        token = tokens["refresh_token"]
        sent = {"grant_type": "refresh_token", "refresh_token": token, "token": token, **form}
        assert_refused(http.post(path, data=sent, headers=headers), "invalid_client", status=401)
        assert_lives_on(http, tokens)

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_a_client_authenticates_in_one_way_only(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, path: str
    ) -> None:
        """Header and form together, two headers, or two names are an invalid request (RFC 6749 §2.3)."""
        token = tokens["refresh_token"]
        sent = {"grant_type": "refresh_token", "refresh_token": token, "token": token}
        header = basic(API, secret)
        twice = [("Authorization", header["Authorization"]), ("Authorization", header["Authorization"])]
        for answer in (
            http.post(path, data={**sent, "client_id": API, "client_secret": secret}, headers=header),
            http.post(path, data=sent, headers=twice),
            http.post(path, data={**sent, "client_id": APP}, headers=header),
        ):
            assert_refused(answer, "invalid_request")
        assert_lives_on(http, tokens)

    def test_basic_credentials_may_be_percent_encoded(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """Client id and secret are form-encoded inside Basic (RFC 6749 §2.3.1), by some to the last letter."""
        client_id = "orders.api_v2~x-y"
        secret = add_client(live, client_id)

        def encoded(text: str) -> str:
            return "".join(f"%{ord(character):02X}" for character in text)

        for header in (
            basic(client_id, secret),
            basic(encoded(client_id), encoded(secret)),
            {"Authorization": basic(client_id, secret)["Authorization"].replace("Basic", "bAsIc")},
        ):
            answer = http.post("/oauth/introspect", data={"token": tokens["access_token"]}, headers=header)
            assert answer.json()["active"] is True

    def test_a_bearer_header_is_no_client_authentication(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str
    ) -> None:
        """An access token in the header of a refresh is ignored, and does not open introspection."""
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = http.post("/oauth/introspect", data={"token": tokens["access_token"]}, headers=bearer)
        assert_refused(answer, "invalid_client", status=401)
        assert renew(http, tokens["refresh_token"], client_id=APP, headers=bearer).status_code == 200

    @pytest.mark.parametrize("scope", ["read", "openid offline_access", " ", "*"])
    def test_a_scope_cannot_be_asked_for(self, http: httpx2.Client, tokens: dict[str, Any], scope: str) -> None:
        """These sessions carry no scopes, so every scope would be a wider one: invalid_scope, and nothing changes."""
        assert_refused(renew(http, tokens["refresh_token"], scope=scope), "invalid_scope")
        assert_lives_on(http, tokens)
