"""POST /oauth/token by the letter of RFC 6749 sections 5 and 6."""

from typing import Any

import httpx2
import pytest

from tests.oauth.speaking import (
    API,
    APP,
    ENDPOINTS,
    FORM,
    INACTIVE,
    assert_lives_on,
    assert_refused,
    introspected,
    renew,
)
from tests.support.server import PASSWORD, LiveServer


class TestTheTokenAnswer:
    """What a refresh gives (RFC 6749 §5.1)."""

    def test_a_refresh_answers_with_the_members_of_rfc_6749(self, http: httpx2.Client, tokens: dict[str, Any]) -> None:
        """A refresh answers a new pair in JSON, with numbers as numbers, without a scope, and no cache keeps it."""
        answer = renew(http, tokens["refresh_token"], client_id=APP)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        body = answer.json()
        assert body.keys() == {
            "access_token",
            "token_type",
            "expires_in",
            "refresh_token",
            "refresh_token_expires_in",
            "session_id",
        }
        assert (body["token_type"], body["expires_in"], body["refresh_token_expires_in"]) == ("Bearer", 1800, 604_800)
        assert isinstance(body["expires_in"], int)
        assert body["refresh_token"] != tokens["refresh_token"]

    def test_a_young_token_is_answered_without_a_refresh_token(
        self, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """Where the client shall keep its refresh token, the member is absent, not null and not empty."""
        young = renew(http, tokens["refresh_token"]).json()["refresh_token"]
        answer = renew(http, young)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {
            "access_token",
            "token_type",
            "expires_in",
            "refresh_token_expires_in",
            "session_id",
        }

    def test_a_late_duplicate_is_answered_503_and_ends_nothing(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """A superseded refresh token within the overlap is told to wait; invalid_grant would make clients sign out."""
        second = renew(http, tokens["refresh_token"]).json()
        live.clock.advance(1801)
        third = renew(http, second["refresh_token"]).json()
        live.clock.advance(20)
        answer = renew(http, tokens["refresh_token"])
        assert_refused(answer, "temporarily_unavailable", status=503)
        assert answer.headers["retry-after"] == "40"
        assert_lives_on(http, third)


class TestTheForm:
    """How parameters are read (RFC 6749 §3.2)."""

    @pytest.mark.parametrize("name", ["grant_type", "refresh_token", "client_id", "client_secret", "scope", "colour"])
    def test_a_repeated_parameter_is_an_invalid_request(
        self, http: httpx2.Client, tokens: dict[str, Any], name: str
    ) -> None:
        """A parameter that comes twice is refused, known or not, equal or not, and the session is not touched."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        once = "&".join(f"{key}={value}" for key, value in form.items() if key != name)
        for pair in (("same", "same"), ("one", "two"), ("", form.get(name, "x")), ("", "")):
            twice = "&".join(f"{name}={value}" for value in pair)
            assert_refused(http.post("/oauth/token", content=f"{once}&{twice}", headers=FORM), "invalid_request")
        assert_lives_on(http, tokens)

    @pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
    def test_a_repeated_token_is_an_invalid_request(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, path: str
    ) -> None:
        """Neither of two tokens is revoked or judged."""
        content = f"token={tokens['refresh_token']}&token=another"
        answer = http.post(path, content=content, headers=FORM, auth=(API, secret))
        assert_refused(answer, "invalid_request")
        assert_lives_on(http, tokens)

    def test_an_empty_parameter_counts_as_omitted(self, http: httpx2.Client, tokens: dict[str, Any]) -> None:
        """scope, client_id and client_secret may be there and empty."""
        answer = renew(http, tokens["refresh_token"], scope="", client_id="", client_secret="")
        assert answer.status_code == 200
        assert_refused(renew(http, ""), "invalid_request")
        assert_refused(renew(http, tokens["refresh_token"], grant_type=""), "invalid_request")
        assert_refused(http.post("/oauth/revoke", data={"token": ""}), "invalid_request")

    def test_an_unknown_parameter_is_ignored(self, http: httpx2.Client, tokens: dict[str, Any]) -> None:
        """What other servers understand does no harm here."""
        answer = renew(http, tokens["refresh_token"], audience="x", resource="https://api.example.com", rapt="y")
        assert answer.status_code == 200

    def test_the_media_type_may_name_its_charset(self, http: httpx2.Client, tokens: dict[str, Any]) -> None:
        """`application/x-www-form-urlencoded;charset=UTF-8` is a form, in any case of letters."""
        headers = {"Content-Type": "Application/X-WWW-Form-Urlencoded;charset=UTF-8"}
        content = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
        assert http.post("/oauth/token", content=content, headers=headers).status_code == 200

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_parameters_in_the_url_count_for_nothing(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, path: str
    ) -> None:
        """Credentials and tokens in a URL end up in logs; here they are not even read (RFC 6749 §2.3.1)."""
        token = tokens["refresh_token"]
        query = {"grant_type": "refresh_token", "refresh_token": token, "token": token}
        assert_refused(http.post(path, params=query, data={"x": "y"}, auth=(API, secret)), "invalid_request")
        secrets = {"client_id": API, "client_secret": secret}
        answer = http.post("/oauth/introspect", params=secrets, data={"token": token})
        assert_refused(answer, "invalid_client", status=401)
        assert_lives_on(http, tokens)


class TestCookieSessions:
    """Tokens that came by cookie leave by cookie only."""

    def test_a_token_from_a_cookie_has_no_business_here(
        self, live: LiveServer, http: httpx2.Client, secret: str
    ) -> None:
        """A refresh token taken out of a browser is refused, not revoked and inactive; its session lives on."""
        own = {"Sec-Fetch-Site": "same-origin"}
        body = {"username": "ada", "password": PASSWORD, "delivery": "cookie", "client_id": APP}
        signed_in = http.post("/auth/login", json=body, headers=own)
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        token = cookie.partition("=")[2]
        assert "refresh_token" not in signed_in.json()
        http.cookies.clear()

        assert_refused(renew(http, token, client_id=APP), "invalid_grant")
        assert http.post("/oauth/revoke", data={"token": token}).status_code == 200
        assert introspected(http, secret, token) == INACTIVE

        headers = {**own, "Cookie": cookie, "X-CSRF-Token": signed_in.json()["csrf_token"]}
        assert http.post("/auth/refresh", headers=headers).status_code == 200

    def test_a_cookie_alone_opens_no_oauth_endpoint(self, live: LiveServer, http: httpx2.Client) -> None:
        """The refresh cookie comes along by itself, so these endpoints never look at it."""
        own = {"Sec-Fetch-Site": "same-origin"}
        body = {"username": "ada", "password": PASSWORD, "delivery": "cookie"}
        signed_in = http.post("/auth/login", json=body, headers=own)
        headers = {**own, "Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        http.cookies.clear()
        answer = http.post("/oauth/token", data={"grant_type": "refresh_token"}, headers=headers)
        assert_refused(answer, "invalid_request")
        assert "set-cookie" not in answer.headers
        assert_refused(http.post("/oauth/revoke", data={"x": "y"}, headers=headers), "invalid_request")
