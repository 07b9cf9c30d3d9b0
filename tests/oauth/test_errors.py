"""Errors of the OAuth endpoints: RFC 6749 §5.2, and nothing else."""

from typing import Any

import httpx2
import pytest

from evertoken.sessions.model import AccountChange, EventKind
from evertoken.sessions.rotation import Reason
from tests.oauth.speaking import (
    API,
    APP,
    ENDPOINTS,
    FORM,
    OTHER_APP,
    assert_lives_on,
    assert_refused,
    renew,
)
from tests.support.server import LiveServer


class TestErrors:
    """Errors of RFC 6749 §5.2; never 422, never a problem document, never a word about the reason."""

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({}, "invalid_request"),
            ({"refresh_token": "x"}, "invalid_request"),
            ({"grant_type": "refresh_token"}, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "\u20ac\0\n"}, "invalid_grant"),
            ({"grant_type": "REFRESH_TOKEN", "refresh_token": "x"}, "unsupported_grant_type"),
            ({"grant_type": "password", "username": "ada", "password": "x"}, "unsupported_grant_type"),
            ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
            ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
            ({"grant_type": 'a"b\\c\r\nSet-Cookie: x=y'}, "unsupported_grant_type"),
        ],
    )
    def test_a_bad_request_is_answered_with_its_error(
        self, http: httpx2.Client, form: dict[str, str], error: str
    ) -> None:
        """Each mistake has its code, and the description holds no character that a header or a log could stumble on."""
        assert_refused(http.post("/oauth/token", data=form), error)

    @pytest.mark.parametrize("path", ENDPOINTS)
    @pytest.mark.parametrize(
        ("media_type", "content"),
        [
            ("application/json", b'{"grant_type":"refresh_token","refresh_token":"x","token":"x"}'),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\ny\r\n--x--',
            ),
            ("text/plain", b"token=x"),
            ("", b"token=x"),
            ("application/x-www-form-urlencoded", b"token=\xff"),
            ("application/x-www-form-urlencoded", b"token=%FF"),
            ("application/x-www-form-urlencoded", "&".join(f"p{n}=x" for n in range(60)).encode()),
            ("application/x-www-form-urlencoded", b""),
            ("application/x-www-form-urlencoded", b"&&=&;=%"),
        ],
    )
    def test_a_body_that_is_no_such_form_is_an_invalid_request(
        self, http: httpx2.Client, secret: str, path: str, media_type: str, content: bytes
    ) -> None:
        """JSON, multipart, broken encodings and far too many parameters are 400 invalid_request at every endpoint."""
        answer = http.post(path, content=content, headers={"Content-Type": media_type}, auth=(API, secret))
        assert_refused(answer, "invalid_request")

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_a_body_that_is_too_large_is_413_in_oauth_words(self, http: httpx2.Client, path: str) -> None:
        """More than the largest body is not read, and the refusal is still one that OAuth clients can parse."""
        answer = http.post(path, content=b"token=" + b"x" * 20_000, headers=FORM)
        assert_refused(answer, "invalid_request", status=413)

    @pytest.mark.parametrize("path", ENDPOINTS)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
    def test_another_method_is_405_and_changes_nothing(
        self, http: httpx2.Client, tokens: dict[str, Any], path: str, method: str
    ) -> None:
        """Only POST changes state, or tells anything: a link, an image or a prefetch does not."""
        token = tokens["refresh_token"]
        query = {"grant_type": "refresh_token", "refresh_token": token, "token": token}
        answer = http.request(method, path, params=query)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.headers["cache-control"] == "no-store"
        assert_lives_on(http, tokens)

    @pytest.mark.parametrize("path", ["/oauth/token/", "//oauth/token", "/oauth/Token", "/oauth"])
    def test_a_path_beside_the_endpoint_is_not_redirected(
        self, http: httpx2.Client, tokens: dict[str, Any], path: str
    ) -> None:
        """A redirect would carry credentials along (RFC 9700 §4.12): there is nothing at such an address."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert http.post(httpx2.URL(http.base_url, raw_path=path.encode()), data=form).status_code == 404

    def test_every_reason_to_refuse_a_refresh_token_is_answered_alike(
        self, live: LiveServer, http: httpx2.Client, secret: str
    ) -> None:
        """Expired, revoked, replayed, forged, unknown or another client's: byte by byte one answer."""
        live.add_user("bob")

        def superseded() -> str:
            first = live.sign_in(http, client_id=APP)
            second = renew(http, first["refresh_token"]).json()
            live.clock.advance(1801)
            assert renew(http, second["refresh_token"]).status_code == 200
            live.clock.advance(61)
            token: str = first["refresh_token"]
            return token

        def expired() -> str:
            token: str = live.sign_in(http, client_id=APP)["refresh_token"]
            live.clock.advance(7 * 86_400)
            return token

        def signed_out() -> str:
            token: str = live.sign_in(http, client_id=APP)["refresh_token"]
            assert http.post("/auth/logout", json={"refresh_token": token}).status_code == 204
            return token

        def disabled() -> str:
            token: str = live.sign_in(http, "bob", client_id=APP)["refresh_token"]
            change = AccountChange("u_bob", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
            assert live.run(live.server.store.change_account(change))
            return token

        good = live.sign_in(http, client_id=APP)
        forged = good["refresh_token"][:-1] + ("A" if good["refresh_token"][-1] != "A" else "B")
        answers = [
            renew(http, token, client_id=client_id)
            for token, client_id in [
                (good["refresh_token"], OTHER_APP),
                (superseded(), APP),
                (expired(), APP),
                (signed_out(), APP),
                (disabled(), APP),
                (forged, APP),
                (good["refresh_token"] + "=", APP),
                (good["refresh_token"][:-4], APP),
                (good["access_token"], APP),
                ("unknown", APP),
            ]
        ]
        for answer in answers:
            assert_refused(answer, "invalid_grant")
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1

    def test_a_replay_ends_the_session_of_the_newest_token_too(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """Two parties that hold one session lose it both (RFC 9700 §4.14.2)."""
        second = renew(http, tokens["refresh_token"]).json()
        live.clock.advance(1801)
        third = renew(http, second["refresh_token"]).json()
        live.clock.advance(61)
        assert_refused(renew(http, tokens["refresh_token"]), "invalid_grant")
        assert_refused(renew(http, third["refresh_token"]), "invalid_grant")
