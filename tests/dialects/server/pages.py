"""What the pages of each dialect send, and what they look for: written down by hand, not taken from the documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

import httpx2

from tests.support.server import PASSWORD, LiveServer

Answers = Literal["new", "always", "never", "cookie"]
Expected = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """A call with a refresh token: `place` is `body`, `query`, `header` or `cookie`, then where in it."""

    method: str
    path: str
    place: str
    name: str = ""


@dataclass(frozen=True)
class Page:
    """
    A page written for one of the dialects.

    Args:
        access, refresh_at: Where the answer to a sign-in has the tokens: members, the outer one first.
        answers: Whether a refresh gives a new refresh token, the presented one again, none, or a cookie.
        number_at: The member in which failures say a status.
        fixed_status: The HTTP status of all failures that are the caller's.
        expired, over: Status and number of the two.
        code_at: The member with the code.
    """

    name: str
    login: str
    refresh: Call
    logout: Call
    access: tuple[str, ...]
    refresh_at: tuple[str, ...]
    answers: Answers
    code_at: str = "error"
    number_at: str | None = None
    fixed_status: int | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    expired: tuple[int, int | None] = (401, None)
    over: tuple[int, int | None] = (401, None)
    access_header: tuple[str, str] = ("Authorization", "Bearer ")

    def failed(self, status: int, code: str) -> Expected:
        """How a failure that is not about a token looks: its status and some members."""
        members: dict[str, Any] = {**self.fixed, self.code_at: code}
        if self.number_at is not None and self.number_at not in self.fixed:
            # A page that goes by the number alone must not take a wrong password for an expired access token.
            members[self.number_at] = 400 if status == 401 and self.fixed_status is not None else status
        is_fixed = self.fixed_status is not None and status < 500 and status != 429
        return (self.fixed_status or 0 if is_fixed else status), members

    def is_over(self, reason: str) -> Expected:
        """How the end of the session looks."""
        status, members = self._said(self.over, "session_over")
        return status, {**members, "reason": reason}

    def is_expired(self, code: str) -> Expected:
        """How an access token that is not good looks."""
        return self._said(self.expired, code)

    def no_token(self) -> Expected:
        """How a refresh token that is none looks."""
        return self._said(self.over, "token_invalid")

    def _said(self, how: tuple[int, int | None], code: str) -> Expected:
        status, number = how
        members: dict[str, Any] = {**self.fixed, self.code_at: code}
        if number is not None and self.number_at is not None:
            members[self.number_at] = number
        return status, members


_STATUS_CODE: Final[dict[str, Any]] = {"number_at": "statusCode", "expired": (401, 401), "over": (401, 401)}

PAGES: Final = {
    page.name: page
    for page in (
        Page(
            "evertoken",
            "/auth/login",
            Call("POST", "/auth/refresh", "body", "refresh_token"),
            Call("POST", "/auth/logout", "body", "refresh_token"),
            ("access_token",),
            ("refresh_token",),
            "new",
            code_at="code",
            number_at="status",
        ),
        Page(
            "raw-header",
            "/login",
            Call("POST", "/refresh", "body", "refresh"),
            Call("POST", "/logout", "body", "refresh"),
            ("access",),
            ("refresh",),
            "never",
            code_at="code",
            access_header=("authorization", ""),
        ),
        Page(
            "status-code-in-body",
            "/api/token/login",
            Call("POST", "/api/token/refreshToken", "header", "Authorization"),
            Call("POST", "/api/token/logout", "header", "Authorization"),
            ("accessToken",),
            ("refreshToken",),
            "always",
            **_STATUS_CODE,
        ),
        Page(
            "nest",
            "/user/login",
            Call("GET", "/user/refresh", "query", "refresh_token"),
            Call("POST", "/user/logout", "body", "refresh_token"),
            ("access_token",),
            ("refresh_token",),
            "always",
            number_at="statusCode",
        ),
        Page(
            "get-refresh",
            "/login",
            Call("GET", "/refresh", "query", "token"),
            Call("POST", "/logout", "body", "token"),
            ("accessToken",),
            ("refreshToken",),
            "always",
            **_STATUS_CODE,
        ),
        Page(
            "code-in-400",
            "/login",
            Call("POST", "/token/refresh", "query", "refreshToken"),
            Call("POST", "/logout", "query", "refreshToken"),
            ("data", "accessToken"),
            ("data", "refreshToken"),
            "never",
            number_at="code",
            fixed_status=400,
            fixed={"code": 400},
            expired=(400, 401),
            over=(400, 402),
            access_header=("token", ""),
        ),
        Page(
            "cookie-envelope",
            "/api/Auth/Login",
            Call("POST", "/api/Auth/RefreshToken", "cookie"),
            Call("POST", "/api/Auth/Logout", "cookie"),
            ("data", "accessToken"),
            (),
            "cookie",
            fixed={"isSuccess": False},
        ),
        Page(
            "code-in-200",
            "/login",
            Call("POST", "/refresh", "body", "refreshToken"),
            Call("POST", "/logout", "body", "refreshToken"),
            ("data", "token"),
            ("data", "refreshToken"),
            "new",
            number_at="code",
            fixed_status=200,
            expired=(200, 401),
            over=(200, 402),
        ),
    )
}


@dataclass
class Tokens:
    """What a page has after a sign-in; `refresh` is the cookie's value where there is a cookie."""

    access: str
    refresh: str
    csrf: str = ""


@dataclass
class Visitor:
    """
    Somebody at a page.

    Args:
        prefix: Where the dialect is served.
        http: The connection; cookies are carried by hand, for the client sends no Secure ones to http.
    """

    live: LiveServer
    http: httpx2.Client
    page: Page
    prefix: str

    @property
    def own(self) -> dict[str, str]:
        """What a browser adds to a fetch of the server's own page."""
        return {"Origin": self.live.url, "Sec-Fetch-Site": "same-origin"}

    @property
    def cookie_name(self) -> str:
        return f"__Host-Http-evertoken-{self.page.name}{self.prefix.replace('/', '~')}"

    def log_in(self, username: str = "ada", password: str = PASSWORD, **options: Any) -> httpx2.Response:
        """Send the sign-in."""
        body = {"username": username, "password": password}
        headers = self.own | options.pop("headers", {})
        return self.http.post(self.prefix + self.page.login, json=body, headers=headers, **options)

    def sign_in(self, username: str = "ada") -> Tokens:
        """Sign in and find the tokens."""
        answer = self.log_in(username)
        assert answer.status_code == 200, answer.text
        access = found(answer.json(), self.page.access)
        if self.page.answers != "cookie":
            return Tokens(access, found(answer.json(), self.page.refresh_at))
        cookies = cookies_of(answer)
        return Tokens(access, cookies[self.cookie_name], cookies["XSRF-TOKEN"])

    def refresh(self, tokens: Tokens) -> httpx2.Response:
        """Send the refresh."""
        return self.send(self.page.refresh, tokens)

    def log_out(self, tokens: Tokens) -> httpx2.Response:
        """Send the sign-out."""
        return self.send(self.page.logout, tokens)

    def send(self, call: Call, tokens: Tokens) -> httpx2.Response:
        """A call with the refresh token, from the server's own page."""
        url, headers = self.prefix + call.path, dict(self.own)
        options: dict[str, Any] = {}
        match call.place:
            case "body":
                options["json"] = {call.name: tokens.refresh}
            case "query":
                url += "?" + urlencode({call.name: tokens.refresh}, quote_via=quote)
            case "header":
                headers[call.name] = f"bearer {tokens.refresh}"
                options["json"] = {"clientId": "page", "userName": "ada"}
            case _:
                headers |= {"Cookie": f"{self.cookie_name}={tokens.refresh}", "X-XSRF-TOKEN": tokens.csrf}
                options["json"] = {}
        return self.http.request(call.method, url, headers=headers, **options)

    def renewed(self, tokens: Tokens) -> Tokens:
        """Refresh, and what a page that keeps everything has then."""
        answer = self.refresh(tokens)
        assert answer.status_code == 200, answer.text
        access = found(answer.json(), self.page.access)
        if self.page.answers == "cookie":
            return Tokens(access, cookies_of(answer).get(self.cookie_name, tokens.refresh), tokens.csrf)
        return Tokens(access, found(answer.json(), self.page.refresh_at) or tokens.refresh)

    def is_admitted(self, access_token: str) -> bool:
        """Whether the server's own guarded route takes this access token."""
        answer = self.http.get("/auth/me", headers={"Authorization": f"Bearer {access_token}"})
        return answer.status_code == 200


def found(document: Any, place: tuple[str, ...]) -> Any:
    """The member at a place, or None."""
    for name in place:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def cookies_of(answer: httpx2.Response) -> dict[str, str]:
    """The cookies that an answer sets."""
    pairs = (header.partition(";")[0].partition("=") for header in answer.headers.get_list("set-cookie"))
    return {name: value for name, _, value in pairs}


def looks(answer: httpx2.Response, expected: Expected) -> None:
    """Assert that an answer has this status, at least these members, and is kept by no cache."""
    status, members = expected
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert {name: document.get(name) for name in members} == members
    assert answer.headers["cache-control"] == "no-store"
