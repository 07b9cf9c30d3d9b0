"""What attackers send and no client library would: raw bytes, forged tokens, what browsers add by themselves."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

from evertoken.tokens.signing_keys import SigningKey
from tests.support.server import LiveServer
from tests.tokens.forging import forge

T = TypeVar("T")

FORM: Final = ("Content-Type", "application/x-www-form-urlencoded")
JSON: Final = ("Content-Type", "application/json")
RIPE_SECONDS: Final = 241
"""After this long a refresh token counts: 4 overlaps of 60 s, and one."""
OVERLAP_SECONDS: Final = 61
COOKIE: Final = "__Host-Http-evertoken"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came over the socket."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that must be there once."""
        (value,) = self.all(name)
        return value

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json()["code"]
        return code


def request(method: str, path: str, *headers: tuple[str, str | bytes], body: str | bytes = b"") -> bytes:
    """The bytes of a request; a header's value goes out exactly as it is given."""
    raw_body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Content-Length: %d" % len(raw_body)]
    lines += [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode("utf-8"))
        for name, value in headers
    ]
    return b"\r\n".join([*lines, b"", raw_body])


@contextmanager
def connected(url: str, *, timeout: float = 30) -> Iterator[socket.socket]:
    """A connection to the server of this URL."""
    parts = urlsplit(url)
    with socket.create_connection(("127.0.0.1", parts.port or 80), timeout=timeout) as connection:
        yield connection


def read_answer(connection: socket.socket, *, method: str = "GET") -> Answer:
    """The next answer on a connection."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.getheaders(), response.read())


def send(url: str, raw: bytes) -> Answer:
    """Send these bytes and read one answer."""
    with connected(url) as connection:
        connection.sendall(raw)
        return read_answer(connection, method=raw.split(b" ", 1)[0].decode("latin-1"))


def sent_or_hung_up(url: str, raw: bytes) -> Answer | None:
    """As `send`; None where the server hung up while we were still sending, which it may."""
    try:
        return send(url, raw)
    except ConnectionError:
        return None


def post_json(
    live: LiveServer, path: str, body: Any, *headers: tuple[str, str | bytes], method: str = "POST"
) -> Answer:
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    return send(live.url, request(method, path, JSON, *headers, body=text))


def post_form(live: LiveServer, path: str, *fields: tuple[str, str], headers: Sequence[tuple[str, str]] = ()) -> Answer:
    return send(live.url, request("POST", path, FORM, *headers, body=urlencode(fields)))


def get(url: str, path: str, *headers: tuple[str, str | bytes]) -> Answer:
    return send(url, request("GET", path, *headers))


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def refresh(live: LiveServer, token: str) -> Answer:
    """Present a refresh token at /auth/refresh."""
    return post_json(live, "/auth/refresh", {"refresh_token": token})


def grant(live: LiveServer, token: str, *more: tuple[str, str]) -> Answer:
    """Present a refresh token at /oauth/token."""
    return post_form(live, "/oauth/token", ("grant_type", "refresh_token"), ("refresh_token", token), *more)


def me(live: LiveServer, token: str) -> Answer:
    return get(live.url, "/auth/me", bearer(token))


def own_page(live: LiveServer) -> tuple[tuple[str, str], ...]:
    """What a browser adds to a fetch of a page of the server's own origin."""
    return (("Origin", live.url), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"))


@dataclass(frozen=True)
class Browser:
    """A browser that signed in by cookie: what it sends along, and what its page knows."""

    cookie: tuple[str, str]
    csrf: tuple[str, str]
    access_token: str
    session_id: str

    @property
    def value(self) -> str:
        return self.cookie[1].partition("=")[2]


def cookie_of(answer: Answer) -> tuple[str, str]:
    """The Cookie header that follows from an answer's Set-Cookie."""
    return ("Cookie", answer.one("Set-Cookie").partition(";")[0])


def browser_sign_in(live: LiveServer, username: str, password: str, *more: tuple[str, str]) -> Browser:
    """Sign in as a page of ours does in cookie mode."""
    body = {"username": username, "password": password, "delivery": "cookie"}
    answer = post_json(live, "/auth/login", body, *own_page(live), *more)
    assert answer.status == 200, answer.body
    tokens = answer.json()
    return Browser(
        cookie_of(answer), ("X-CSRF-Token", tokens["csrf_token"]), tokens["access_token"], tokens["session_id"]
    )


def signing_key(live: LiveServer) -> SigningKey:
    return live.server.services.keys.signing_key(now_ms=live.clock())


def forged(live: LiveServer, *, key: SigningKey | None = None, header: Any = None, payload: Any = None) -> str:
    """A token as the server itself would sign it but for these members; see `forge`."""
    now = live.clock() // 1000
    honest = {"iss": live.url, "aud": live.url, "iat": now, "exp": now + 1800, "sub": "u_ada"}
    changed = payload if isinstance(payload, bytes) else honest | (payload or {})
    return forge(key or signing_key(live), header=header, payload=changed)


def all_at_once(count: int, call: Callable[[], T]) -> list[T]:
    """The results of so many calls that start together."""
    barrier = threading.Barrier(count)

    def one(_: int) -> T:
        barrier.wait(timeout=20)
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
