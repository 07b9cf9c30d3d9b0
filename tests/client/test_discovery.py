"""Finding the endpoints of an authorization server."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from evertoken.client import discover, oauth_session
from evertoken.errors import ConfigurationError, TemporarilyUnavailable
from evertoken.testing import Answer, FakeServer, Hangup, Request
from evertoken.testing.listener import Listener
from tests.support.server import free_port

RFC_8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


class Authority:
    """An authorization server that has nothing but metadata: an answer per path, 404 elsewhere."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Hangup] = {}
        self.asked: list[str] = []
        self._listener = Listener(self._answer)
        self.url = self._listener.url

    def publish(self, path: str, **members: Any) -> None:
        """Put metadata there."""
        self.answers[path] = Answer.json(200, {"issuer": self.url, "token_endpoint": f"{self.url}/token", **members})

    def _answer(self, request: Request) -> Answer | Hangup:
        self.asked.append(request.path)
        return self.answers.get(request.path, Answer(404))


@pytest.fixture
def authority() -> Iterator[Authority]:
    """One that has published nothing yet."""
    made = Authority()
    with made._listener:
        yield made


def test_metadata_is_found_where_the_standard_puts_it(authority: Authority) -> None:
    """
    The endpoints are read from the place of RFC 8414, by one request.
    """
    authority.publish(RFC_8414, revocation_endpoint=f"{authority.url}/revoke")
    found = discover(authority.url)
    assert (found.token_endpoint, found.revocation_endpoint) == (f"{authority.url}/token", f"{authority.url}/revoke")
    assert authority.asked == [RFC_8414]


def test_the_path_of_an_issuer_comes_after_the_well_known_part(authority: Authority) -> None:
    """
    For an issuer with a path, the path stands behind the well-known part (RFC 8414 §3.1).
    """
    authority.publish(f"{RFC_8414}/tenant/one", issuer=f"{authority.url}/tenant/one")
    assert discover(f"{authority.url}/tenant/one").token_endpoint == f"{authority.url}/token"
    assert authority.asked == [f"{RFC_8414}/tenant/one"]


@pytest.mark.parametrize("place", [f"{OPENID}/tenant", f"/tenant{OPENID}"])
def test_an_openid_provider_is_found_as_well(authority: Authority, place: str) -> None:
    """
    A provider that publishes for OpenID Connect only, before or behind the issuer's path, is found there.
    """
    authority.publish(place, issuer=f"{authority.url}/tenant")
    found = discover(f"{authority.url}/tenant")
    assert found.token_endpoint == f"{authority.url}/token"
    assert found.revocation_endpoint is None
    assert authority.asked[0] == f"{RFC_8414}/tenant"


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"issuer": "https://somebody.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"token_endpoint": None}, "no usable token_endpoint"),
        ({"token_endpoint": "/token"}, "no usable token_endpoint"),
        ({"token_endpoint": "ftp://127.0.0.1/token"}, "no usable token_endpoint"),
        ({"token_endpoint": ["x"]}, "no usable token_endpoint"),
    ],
)
def test_metadata_that_is_wrong_is_refused_by_name(authority: Authority, members: Mapping[str, Any], told: str) -> None:
    """
    Metadata of another issuer, or without a token endpoint that can be used, is an error that names the document.
    """
    authority.publish(RFC_8414, **members)
    with pytest.raises(ConfigurationError, match=told) as caught:
        discover(authority.url)
    assert caught.value.setting == "issuer"
    assert authority.url + RFC_8414 in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"[" * 100_000])
def test_a_page_in_the_place_of_metadata_is_refused(authority: Authority, body: bytes) -> None:
    """
    What is no JSON object is told as such.
    """
    authority.answers[RFC_8414] = Answer(200, (), body)
    with pytest.raises(ConfigurationError, match="does not hold a JSON object"):
        discover(authority.url)


def test_no_metadata_anywhere_names_every_place_that_was_asked(authority: Authority) -> None:
    """
    Where nothing is published the error lists each place and what it answered.
    """
    with pytest.raises(ConfigurationError) as caught:
        discover(f"{authority.url}/tenant")
    for place in (f"{RFC_8414}/tenant", f"{OPENID}/tenant", f"/tenant{OPENID}"):
        assert f"{authority.url}{place} answers 404" in str(caught.value)


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), Answer(429), Hangup.CLOSE, Hangup.RESET])
def test_a_server_in_trouble_is_no_wrong_setting(authority: Authority, answer: Answer | Hangup) -> None:
    """
    A server that cannot answer now is TemporarilyUnavailable: the setting may be right, so try again.
    """
    authority.answers[RFC_8414] = answer
    with pytest.raises(TemporarilyUnavailable, match="the metadata of"):
        discover(authority.url)


def test_no_network_is_no_wrong_setting() -> None:
    """
    The same where nobody answers at all.
    """
    with pytest.raises(TemporarilyUnavailable, match="connection refused"):
        discover(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("issuer", ["", "example.com", "ftp://example.com", "https://"])
def test_what_is_no_issuer_is_told_at_once(issuer: str) -> None:
    """
    An issuer is a URL with a host; anything else is refused before anybody is asked.
    """
    with pytest.raises(ConfigurationError, match="not an http or https URL with a host"):
        discover(issuer)


def test_a_session_needs_an_issuer_or_a_token_endpoint() -> None:
    """
    Without either the error says what to give.
    """
    with pytest.raises(ConfigurationError, match="give the issuer, or the token_endpoint"):
        oauth_session("https://api.example", client_id="me")


def test_the_metadata_of_our_fake_server_makes_a_session() -> None:
    """
    An issuer is all that a session needs to refresh at its token endpoint and to sign out at its revocation endpoint.
    """
    with FakeServer(rotation="strict") as server:
        session = oauth_session(server.url, client_id="evertoken", issuer=server.url)
        pair = server.sign_in()
        session.adopt(access_token=pair["access_token"], refresh_token=pair["refresh_token"], expires_in=60)
        session.refresh()
        session.logout()
        assert server.requests["/oauth/token", 200] == 1
        assert server.requests["/oauth/revoke", 200] == 1
        stored = json.dumps(session.store.load())
        assert stored == "null"
