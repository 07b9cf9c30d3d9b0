"""The OAuth endpoints over HTTP: RFC 6749 sections 5 and 6, RFC 7009, RFC 7662, RFC 8414, by the letter."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from evertoken.accounts.clients import new_client
from evertoken.errors import StoreUnavailable
from evertoken.sessions.issuer import Subject
from evertoken.sessions.model import AccountChange, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.tokens.signing_keys import Algorithm
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, free_port, live_server

APP = "reading-app"
OTHER_APP = "another-app"
API = "orders-api"
INACTIVE = {"active": False}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ENDPOINTS: Final = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"]

_DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for the whole file; each test has a session of its own, and time only goes on."""
    with live_server(tmp_path_factory.mktemp("server"), clock=MovingClock()) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """One plain HTTP client for the whole file."""
    with live.client() as client:
        yield client


@pytest.fixture
def tokens(live: LiveServer, http: httpx2.Client) -> dict[str, Any]:
    """Ada's token answer; she signed in with the client `APP`."""
    return live.sign_in(http, client_id=APP)


@pytest.fixture
def secret(live: LiveServer) -> str:
    """The secret of the confidential client `API`."""
    return add_client(live, API)


def add_client(live: LiveServer, client_id: str) -> str:
    """Add a confidential client anew; returns its secret."""
    client, made = new_client(client_id, now_ms=live.clock())
    live.run(live.server.store.remove_client(client_id))
    assert live.run(live.server.store.add_client(client))
    return made.reveal()


def renew(http: httpx2.Client, refresh_token: str, **more: Any) -> httpx2.Response:
    """The refresh_token grant; `more` holds further parameters, and `auth` or `headers` for the request."""
    options = {name: more.pop(name) for name in ("auth", "headers") if name in more}
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
    return http.post("/oauth/token", data=form, **options)


def basic(client_id: str, client_secret: str = "") -> dict[str, str]:
    """An Authorization header as RFC 6749 §2.3.1 wants it where nothing needs encoding."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def introspected(http: httpx2.Client, secret: str, token: str) -> Any:
    """What the client `API` learns of a token."""
    answer = http.post("/oauth/introspect", data={"token": token}, auth=(API, secret))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def assert_refused(answer: httpx2.Response, error: str, *, status: int = 400) -> None:
    """An error as RFC 6749 §5.2 spells it, and nothing else: no problem document, nothing for a cache."""
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.json().keys() == {"error", "error_description"}
    assert _DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="evertoken"'


def assert_lives_on(http: httpx2.Client, tokens: Mapping[str, Any]) -> None:
    """Nothing has happened to this session."""
    answer = renew(http, tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["session_id"] == tokens["session_id"]


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
            patch.setattr(live.server.services.sessions, "end", away)
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


def claims_that_lie(subject: Subject) -> dict[str, Any]:
    """An application's hook that uses names of RFC 7662."""
    return {"active": False, "token_type": "N_A", "colour": "blue"}


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


def _kid(access_token: str) -> str:
    header = access_token.partition(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid
