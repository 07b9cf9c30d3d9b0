"""
Other people's clients, as their documentation says to set them up.

To mypy they are Any: none of them is typed throughout.
"""

import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from google.auth.aio.transport.sessions import AsyncAuthorizedSession
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials
from requests_oauthlib import OAuth2Session

from bench.peers.ours import agenerated
from bench.peers.playing import CLIENT_ID, Chunks, Peer, Reply, Start, generated

make_credentials: Callable[..., Any] = Credentials
make_session: Callable[..., Any] = AuthorizedSession
make_async_session: Callable[..., Any] = AsyncAuthorizedSession


def token_of(start: Start) -> dict[str, Any]:
    """The token as Authlib and requests-oauthlib keep it: from the file that an earlier hook has written, if any."""
    if start.file is not None and start.file.exists():
        loaded: dict[str, Any] = json.loads(start.file.read_text())
        return loaded
    return {
        "access_token": start.tokens["access_token"],
        "refresh_token": start.tokens["refresh_token"],
        "token_type": "Bearer",
        "expires_at": int(time.time() + start.left_seconds),
    }


def save(start: Start) -> None:
    """What the hook has written when the session was new."""
    write(start, token_of(start))


def write(start: Start, token: dict[str, Any]) -> None:
    """The hook: `update_token` and `token_updater` write the new token where every process reads it."""
    if start.file is not None:
        start.file.write_text(json.dumps(token))


def credentials_of(start: Start) -> Any:
    """google-auth's credentials, with refreshes beside the request while the token is still good."""
    credentials = make_credentials(
        start.tokens["access_token"],
        refresh_token=start.tokens["refresh_token"],
        token_uri=f"{start.server}/oauth/token",
        client_id=CLIENT_ID,
        client_secret="",
        expiry=datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=start.left_seconds),
    )
    credentials.with_non_blocking_refresh()
    return credentials


@contextlib.contextmanager
def google_threads(start: Start) -> Iterator[Any]:
    """One AuthorizedSession per thread, as requests wants it, over credentials that all share."""
    credentials = credentials_of(start)
    opened: list[Any] = []
    own = threading.local()

    def send(path: str, chunks: Chunks) -> Reply:
        if not hasattr(own, "session"):
            own.session = make_session(credentials)
            opened.append(own.session)
        return _answer_of_requests(own.session, start.server + path, chunks)

    yield send
    for each in opened:
        each.close()


@contextlib.asynccontextmanager
async def google_tasks(start: Start) -> AsyncIterator[Any]:
    """AsyncAuthorizedSession, which takes the same credentials."""
    session = make_async_session(credentials_of(start))

    async def send(path: str, chunks: Chunks) -> Reply:
        if chunks is None:
            answer = await session.get(start.server + path)
        else:
            answer = await session.post(start.server + path, data=agenerated(chunks))
        return Reply(answer.status_code, await answer.read())

    yield send
    await session.close()


@contextlib.contextmanager
def authlib_requests(start: Start) -> Iterator[Any]:
    """Authlib's OAuth2Session over requests: it holds the token, so the threads share it."""
    with AuthlibSession(
        CLIENT_ID,
        token_endpoint=f"{start.server}/oauth/token",
        token=token_of(start),
        update_token=lambda token, **_: write(start, token),
    ) as session:
        yield lambda path, chunks: _answer_of_requests(session, start.server + path, chunks)


@contextlib.contextmanager
def authlib_httpx2_threads(start: Start) -> Iterator[Any]:
    """Authlib's OAuth2Client over httpx2."""
    with OAuth2Client(
        CLIENT_ID,
        token_endpoint=f"{start.server}/oauth/token",
        token=token_of(start),
        update_token=lambda token, **_: write(start, token),
    ) as client:

        def send(path: str, chunks: Chunks) -> Reply:
            url = start.server + path
            answer = client.get(url) if chunks is None else client.post(url, content=generated(chunks))
            return Reply(answer.status_code, answer.content)

        yield send


@contextlib.asynccontextmanager
async def authlib_httpx2_tasks(start: Start) -> AsyncIterator[Any]:
    """Authlib's AsyncOAuth2Client over httpx2."""

    async def update(token: dict[str, Any], **_: Any) -> None:
        write(start, token)

    async with AsyncOAuth2Client(
        CLIENT_ID, token_endpoint=f"{start.server}/oauth/token", token=token_of(start), update_token=update
    ) as client:

        async def send(path: str, chunks: Chunks) -> Reply:
            url = start.server + path
            answer = await (client.get(url) if chunks is None else client.post(url, content=agenerated(chunks)))
            return Reply(answer.status_code, answer.content)

        yield send


@contextlib.contextmanager
def requests_oauthlib(start: Start) -> Iterator[Any]:
    """requests-oauthlib's OAuth2Session with automatic refresh and token_updater."""
    session = OAuth2Session(
        CLIENT_ID,
        token=token_of(start),
        auto_refresh_url=f"{start.server}/oauth/token",
        auto_refresh_kwargs={"client_id": CLIENT_ID},
        token_updater=lambda token: write(start, token),
    )
    with session:
        yield lambda path, chunks: _answer_of_requests(session, start.server + path, chunks)


def _answer_of_requests(session: Any, url: str, chunks: Chunks) -> Reply:
    answer = session.get(url) if chunks is None else session.post(url, data=generated(chunks))
    return Reply(answer.status_code, answer.content)


THEIRS = (
    Peer("google-auth", ("google-auth",), google_threads, google_tasks),
    Peer("Authlib, requests", ("Authlib",), authlib_requests, None, save),
    Peer("Authlib, httpx2", ("Authlib",), authlib_httpx2_threads, authlib_httpx2_tasks, save),
    Peer("requests-oauthlib", ("requests-oauthlib", "oauthlib"), requests_oauthlib, None, save),
)
