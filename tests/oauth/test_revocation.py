"""POST /oauth/revoke (RFC 7009)."""

from typing import Any

import httpx2
import pytest

from evertoken.errors import StoreUnavailable
from tests.oauth.speaking import (
    API,
    APP,
    INACTIVE,
    OTHER_APP,
    assert_lives_on,
    assert_refused,
    basic,
    introspected,
    renew,
)
from tests.support.server import LiveServer


class TestRevocation:
    """RFC 7009."""

    @pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "id_token", ""])
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_either_token_ends_the_session_whatever_the_hint(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, kind: str, hint: str | None
    ) -> None:
        """A revoked session has neither a good refresh token nor a good access token; a wrong hint does not matter."""
        form = {"token": tokens[kind]} | ({} if hint is None else {"token_type_hint": hint})
        answer = http.post("/oauth/revoke", data=form)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert_refused(renew(http, tokens["refresh_token"]), "invalid_grant")
        refused = http.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert refused.status_code == 401
        assert introspected(http, secret, tokens["access_token"]) == INACTIVE
        assert introspected(http, secret, tokens["refresh_token"]) == INACTIVE
        assert http.post("/oauth/revoke", data=form).status_code == 200

    @pytest.mark.parametrize("token", ["unknown", "etr_" + "A" * 128, "a.b.c", "\0", "x" * 9000])
    def test_an_unknown_token_is_no_error(self, http: httpx2.Client, token: str) -> None:
        """A token that is none of ours is as good as revoked: 200 (RFC 7009 §2.2)."""
        answer = http.post("/oauth/revoke", data={"token": token})
        assert (answer.status_code, answer.content) == (200, b"")

    def test_a_superseded_token_ends_its_session_all_the_same(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """Who signs out means the session, even with a token that has been rotated away since."""
        second = renew(http, tokens["refresh_token"]).json()
        live.clock.advance(1801)
        third = renew(http, second["refresh_token"]).json()
        assert http.post("/oauth/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
        assert_refused(renew(http, third["refresh_token"]), "invalid_grant")

    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_another_clients_token_is_not_revoked(
        self, http: httpx2.Client, tokens: dict[str, Any], secret: str, kind: str
    ) -> None:
        """A client revokes its own tokens only (RFC 7009 §2.1)."""
        for way in ({"data": {"client_id": OTHER_APP}}, {"headers": basic(OTHER_APP)}, {"headers": basic(API, secret)}):
            form = {"token": tokens[kind], **way.pop("data", {})}
            assert_refused(http.post("/oauth/revoke", data=form, **way), "invalid_grant")  # type: ignore[arg-type]
        assert_lives_on(http, tokens)
        own = http.post("/oauth/revoke", data={"token": tokens[kind], "client_id": APP})
        assert own.status_code == 200
        assert_refused(renew(http, tokens["refresh_token"]), "invalid_grant")

    def test_a_revocation_that_cannot_be_stored_is_503_and_may_be_repeated(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """503 says that the token is still good (RFC 7009 §2.2.1); a 200 there would be a lie."""

        async def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away", retry_after_seconds=3)

        with monkeypatch.context() as patch:
            patch.setattr(live.server.services.sessions, "sign_out", away)
            answer = http.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
            assert_refused(answer, "temporarily_unavailable", status=503)
            assert answer.headers["retry-after"] == "3"
        assert_lives_on(http, tokens)
        assert http.post("/oauth/revoke", data={"token": tokens["refresh_token"]}).status_code == 200

    def test_a_refresh_that_cannot_be_stored_is_503_and_no_sign_out(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A fault of ours is never invalid_grant: a client deletes its session on that."""

        async def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        with monkeypatch.context() as patch:
            patch.setattr(live.server.services.sessions, "refresh", away)
            answer = renew(http, tokens["refresh_token"])
            assert_refused(answer, "temporarily_unavailable", status=503)
            assert answer.headers["retry-after"] == "1"
        assert_lives_on(http, tokens)
