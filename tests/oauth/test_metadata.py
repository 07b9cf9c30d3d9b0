"""Metadata and keys (RFC 8414, RFC 7517)."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.tokens.signing_keys import Algorithm
from tests.oauth.speaking import (
    renew,
)
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, free_port, live_server


class TestMetadata:
    """RFC 8414 and RFC 7517."""

    def test_the_metadata_names_the_issuer_byte_by_byte(self, tmp_path: Path) -> None:
        """The issuer is the setting, whatever host the request names, and every endpoint lies under it."""
        issuer = "https://login.example.com"
        with live_server(tmp_path, clock=MovingClock(), issuer=issuer, port=(port := free_port())):
            base = f"http://127.0.0.1:{port}"
            for headers in ({}, {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}):
                answer = httpx2.get(f"{base}/.well-known/oauth-authorization-server", headers=headers)
                assert answer.headers["content-type"] == "application/json"
                metadata = answer.json()
                assert metadata["issuer"] == issuer
                for name, value in metadata.items():
                    if name.endswith(("_endpoint", "_uri", "_documentation")):
                        assert value.startswith(f"{issuer}/")

    def test_the_metadata_offers_what_there_is(self, http: httpx2.Client) -> None:
        """The refresh_token grant for public and confidential clients, no authorization endpoint, no empty array."""
        metadata = http.get("/.well-known/oauth-authorization-server").json()
        assert metadata["issuer"] == str(http.base_url).rstrip("/")
        assert metadata["grant_types_supported"] == ["refresh_token"]
        assert metadata["token_endpoint_auth_methods_supported"][0] == "none"
        assert "none" not in metadata["introspection_endpoint_auth_methods_supported"]
        assert "authorization_endpoint" not in metadata
        assert [] not in metadata.values()
        for name in ("token_endpoint", "revocation_endpoint", "introspection_endpoint"):
            assert http.post(metadata[name], data={"x": "y"}).status_code in {400, 401}
        assert http.get(metadata["jwks_uri"]).status_code == 200

    def test_the_openid_address_answers_alike(self, http: httpx2.Client) -> None:
        """Clients that look for OpenID Connect first find the same document."""
        oauth, openid = (
            http.get(f"/.well-known/{name}") for name in ("oauth-authorization-server", "openid-configuration")
        )
        assert (openid.status_code, openid.content) == (200, oauth.content)

    def test_the_key_set_is_public_and_holds_the_announced_key(
        self, live: LiveServer, http: httpx2.Client, tokens: dict[str, Any]
    ) -> None:
        """A new key is published before it signs, so that nobody is refused for knowing only the old one."""

        def published() -> list[dict[str, Any]]:
            answer = http.get("/.well-known/jwks.json")
            assert answer.headers.get_list("cache-control") == ["public, max-age=300"]
            keys: list[dict[str, Any]] = answer.json()["keys"]
            return keys

        (first,) = published()
        assert first.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        new = live.run(live.server.services.keys.rotate(now_ms=live.clock()))
        both = published()
        assert [key["kid"] for key in both] == [first["kid"], new.kid]
        assert all(key.keys() == first.keys() for key in both)
        assert _kid(renew(http, tokens["refresh_token"]).json()["access_token"]) == first["kid"]
        live.clock.advance(601)
        assert _kid(renew(http, tokens["refresh_token"]).json()["access_token"]) == new.kid

    @pytest.mark.parametrize(
        ("algorithm", "public"), [(Algorithm.EDDSA, 1), (Algorithm.RS256, 1), (Algorithm.HS256, 0)]
    )
    def test_no_algorithm_publishes_a_private_member(self, tmp_path: Path, algorithm: Algorithm, public: int) -> None:
        """Whatever signs, the key set has nothing that could sign; a shared secret is not in it at all."""
        with live_server(tmp_path, clock=MovingClock(), algorithm=algorithm) as live, live.client() as http:
            keys = http.get("/.well-known/jwks.json").json()["keys"]
        assert len(keys) == public
        assert all(key.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) for key in keys)

    @pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration", "jwks.json"])
    def test_a_document_is_only_read(self, http: httpx2.Client, name: str) -> None:
        """Documents answer GET and HEAD, nothing else."""
        assert http.head(f"/.well-known/{name}").status_code == 200
        answer = http.post(f"/.well-known/{name}")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def _kid(access_token: str) -> str:
    header = access_token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid
