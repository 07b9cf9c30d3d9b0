"""Authlib renews a session by itself, over requests and over httpx, in threads and on an event loop."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.integrations.requests_client import OAuth2Session

from tests.oauth_clients.stage import API, APP, INACTIVE, Stage

KINDS = {"requests": OAuth2Session, "httpx": OAuth2Client, "httpx-async": AsyncOAuth2Client}
Opener = Callable[..., "Player"]


class Player:
    """One of Authlib's clients; what it answers may be waited for, whether it is the async one or not."""

    def __init__(self, client: Any, saved: list[dict[str, Any]]) -> None:
        self.client = client
        self.saved = saved

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client."""
        result = getattr(self.client, name)(*arguments, **options)
        return await result if inspect.isawaitable(result) else result


@pytest.fixture(params=list(KINDS))
async def open_client(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Opener]:
    """Opens Authlib's clients of one kind that hold ada's tokens."""
    closers: list[Callable[[], Any]] = []

    def open_one(client_id: str = APP, **options: Any) -> Player:
        saved: list[dict[str, Any]] = []

        def save(token: dict[str, Any], refresh_token: str | None = None) -> None:
            saved.append(dict(token))

        async def save_async(token: dict[str, Any], refresh_token: str | None = None) -> None:
            save(token)

        is_async = request.param == "httpx-async"
        token = {**stage.tokens, **options.pop("changes", {})}
        client = KINDS[request.param](
            client_id,
            token=token,
            token_endpoint=stage.token_url,
            update_token=save_async if is_async else save,
            **options,
        )
        closers.append(client.aclose if is_async else client.close)
        return Player(client, saved)

    yield open_one
    for close in closers:
        closed = close()
        if isinstance(closed, Awaitable):
            await closed


async def test_authlib_renews_an_expired_token_before_the_next_request(stage: Stage, open_client: Opener) -> None:
    """With Authlib a request after expiry just succeeds, and the rotated refresh token is handed over to be kept."""
    player = open_client(changes={"expires_at": 1})
    stage.expire()
    answer = await player.call("get", stage.me_url)
    assert answer.json()["preferred_username"] == "ada"
    assert [token["session_id"] for token in player.saved] == [stage.tokens["session_id"]]
    assert player.client.token["refresh_token"] == player.saved[0]["refresh_token"] != stage.tokens["refresh_token"]


async def test_authlib_goes_on_for_days_with_each_rotated_token(stage: Stage, open_client: Opener) -> None:
    """With Authlib a session is renewed again and again, each time with the refresh token of the last answer."""
    player = open_client()
    seen = {stage.tokens["refresh_token"]}
    for _ in range(10):
        stage.live.clock.advance(86_400)
        seen.add((await player.call("refresh_token"))["refresh_token"])
    assert len(seen) == 11
    assert (await player.call("get", stage.me_url)).status_code == 200


async def test_authlib_keeps_its_refresh_token_where_the_answer_has_none(stage: Stage, open_client: Opener) -> None:
    """An answer without a refresh token means keep yours, and Authlib does, and saves it again with the new pair."""
    player = open_client()
    young = dict(await player.call("refresh_token"))
    again = dict(await player.call("refresh_token"))
    assert again["refresh_token"] == young["refresh_token"] == player.saved[-1]["refresh_token"]
    assert again["access_token"] != young["access_token"]
    stage.expire()
    assert (await player.call("refresh_token"))["refresh_token"] != young["refresh_token"]


async def test_authlib_does_not_take_a_late_duplicate_for_the_end(stage: Stage, open_client: Opener) -> None:
    """A superseded refresh token makes Authlib raise the HTTP error with its Retry-After, and it keeps its tokens."""
    player = open_client()
    newest = stage.overtake()
    with pytest.raises((requests.HTTPError, httpx2.HTTPStatusError)) as caught:
        await player.call("refresh_token")
    error: Any = caught.value
    answer = error.response
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert player.client.token["refresh_token"] == stage.tokens["refresh_token"]
    assert player.saved == []
    player.client.token = newest
    await player.call("refresh_token")
    assert (await player.call("get", stage.me_url)).status_code == 200


async def test_authlib_reports_invalid_grant_when_the_session_is_over(stage: Stage, open_client: Opener) -> None:
    """Once the person has signed out, Authlib raises OAuthError invalid_grant at the next renewal."""
    player = open_client(changes={"expires_at": 1})
    stage.sign_out()
    with pytest.raises(OAuthError) as caught:
        await player.call("get", stage.me_url)
    assert caught.value.error == "invalid_grant"
    assert player.saved == []


async def test_authlib_is_refused_a_scope_that_nobody_granted(stage: Stage, open_client: Opener) -> None:
    """A session without scopes cannot grow one by a refresh, and the refusal costs it nothing."""
    player = open_client(scope="admin")
    with pytest.raises(OAuthError) as caught:
        await player.call("refresh_token")
    assert caught.value.error == "invalid_scope"
    player.client.scope = None
    assert (await player.call("refresh_token"))["session_id"] == stage.tokens["session_id"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_introspects_tokens_as_a_confidential_client(
    stage: Stage, open_client: Opener, method: str
) -> None:
    """Authlib authenticates either way and reads whose a token is; of a session that is over it learns nothing."""
    player = open_client(API, client_secret=stage.add_confidential_client(), token_endpoint_auth_method=method)

    async def introspect(token: str, hint: str) -> Any:
        answer = await player.call("introspect_token", stage.introspection_url, token=token, token_type_hint=hint)
        assert answer.status_code == 200
        return answer.json()

    for kind in ("access_token", "refresh_token"):
        told = await introspect(stage.tokens[kind], kind)
        assert (told["active"], told["sub"], told["client_id"]) == (True, "u_ada", APP)
    stage.sign_out()
    for kind in ("access_token", "refresh_token"):
        assert await introspect(stage.tokens[kind], kind) == INACTIVE
    assert await introspect("unknown", "access_token") == INACTIVE


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_with_a_wrong_secret_is_told_invalid_client(
    stage: Stage, open_client: Opener, method: str
) -> None:
    """A confidential client with a wrong secret gets OAuthError invalid_client from Authlib."""
    stage.add_confidential_client()
    player = open_client(API, client_secret="wrong", token_endpoint_auth_method=method)
    with pytest.raises(OAuthError) as caught:
        await player.call("refresh_token")
    assert caught.value.error == "invalid_client"


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_authlib_revokes_a_session_by_either_token(stage: Stage, open_client: Opener, kind: str) -> None:
    """Authlib's revocation ends the session whichever of its tokens is sent; an unknown token is no error."""
    player = open_client()
    unknown = await player.call("revoke_token", stage.revocation_url, token="unknown")
    assert unknown.status_code == 200
    assert stage.is_good(stage.tokens["access_token"])
    answer = await player.call("revoke_token", stage.revocation_url, token=stage.tokens[kind], token_type_hint=kind)
    assert (answer.status_code, answer.content) == (200, b"")
    assert not stage.is_good(stage.tokens["access_token"])
    with pytest.raises(OAuthError) as caught:
        await player.call("refresh_token")
    assert caught.value.error == "invalid_grant"
