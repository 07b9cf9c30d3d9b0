"""
A dialect: one API's way of speaking, as data. Pure.

Ours is `known.EVERTOKEN`, and `known.oauth2()` describes any OAuth 2 authorization server. An API of your own is
described by the same few parts:

    Dialect(
        access_token=AccessTokenPlace(header="token", scheme=None),
        login=AuthCall(url="/login"),
        refresh=AuthCall(url="/token/refresh", token=TokenPlace("query", "refreshToken")),
        tokens=TokenPointers(access_token="/data/accessToken", refresh_token="/data/refreshToken"),
        expired=(Match(status=400, body={"/code": (401,)}),),
        over=(Match(status=400, body={"/code": (402,)}),),
    )
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evertoken.wire.dialects import pointer

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class AccessTokenPlace:
    """
    Where a request carries its access token.

    Args:
        header: The header's name.
        scheme: The word before the token, as in `Bearer TOKEN`; None for the bare token.
    """

    header: str = "Authorization"
    scheme: str | None = "Bearer"

    def value(self, access_token: str) -> str:
        """The header's value. Holds a secret."""
        return access_token if self.scheme is None else f"{self.scheme} {access_token}"


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """
    Where a call to the authorization server carries a refresh token.

    Args:
        kind: In the body, as a header, in the query of the URL, or in a cookie that no script can read. A query ends
            in logs and histories: only for APIs that know no other way. A cookie demands `Dialect.csrf`.
        name: The member, header or parameter. A cookie is named by the server that sets it.
        scheme: For a header, the word before the token, if any.
    """

    kind: Literal["body", "header", "query", "cookie"] = "body"
    name: str = "refresh_token"
    scheme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCall:
    """
    A call to the authorization server: sign-in, refresh or sign-out.

    Args:
        url: A path, or an absolute URL where the authorization server is elsewhere.
        method: POST, or what the API wants.
        encoding: How the body is written.
        token: Where the refresh token goes; unused at sign-in.
        username, password: The members of the body that hold them at sign-in.
        body: Members that are sent along as they are.
        headers: Headers that are sent along as they are.
    """

    url: str
    method: str = "POST"
    encoding: Literal["json", "form"] = "json"
    token: TokenPlace = TokenPlace()
    username: str = "username"
    password: str = "password"  # noqa: S105 - the name of a member
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPointers:
    """Where an answer holds the tokens (JSON Pointers, RFC 6901); None for what the API never says."""

    access_token: str = "/access_token"  # noqa: S105 - a place
    refresh_token: str | None = "/refresh_token"  # noqa: S105 - a place
    expires_in: str | None = "/expires_in"
    refresh_token_expires_in: str | None = "/refresh_token_expires_in"  # noqa: S105 - a place
    session_id: str | None = "/session_id"
    csrf_token: str | None = None

    def __post_init__(self) -> None:
        """Refuse at start what could only fail in mid-conversation."""
        for name in self.__slots__:
            place = getattr(self, name)
            if place is not None:
                pointer.parse(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """
    What an answer looks like: its status, and values in its JSON body.

    Args:
        status: The HTTP status.
        body: By JSON Pointer, the values that the place may have. A number also matches its text: 401 and "401".
            All places must match. Empty: the body is not looked at.
    """

    status: int
    body: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse at start what could only fail in mid-conversation."""
        for place in self.body:
            pointer.parse(place)

    def fits(self, status: int, document: Any) -> bool:
        """Whether an answer looks like this; `document` is its body as JSON, or MISSING where it has none."""
        return status == self.status and all(
            _is_among(pointer.find(document, place), values) for place, values in self.body.items()
        )


def _is_among(found: Any, values: tuple[Value, ...]) -> bool:
    if isinstance(found, bool):
        return any(found is value for value in values)
    if isinstance(found, float) and found.is_integer():
        found = int(found)  # JSON knows one kind of number
    if not isinstance(found, str | int | float):
        return False
    return any(str(found) == str(value) for value in values if not isinstance(value, bool))


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrfPlace:
    """
    What a page proves with that a call which carries the refresh cookie is its own.

    Args:
        header: Every such call carries the CSRF token here.
        cookie: A cookie, readable by scripts, in which the server sets the CSRF token as well; None: it sets none.
        url: A GET there, with the refresh cookie, says the CSRF token and the session id, for a page that has just been
            loaded; None: there is no such call.
    """

    header: str = "X-CSRF-Token"
    cookie: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A request that carries this header with this value goes out as it is: no access token, no renewal."""

    header: str
    value: str

    def is_said(self, found: str | bytes | None) -> bool:
        """Whether a request with this value of the header, None without one, is opted out."""
        if isinstance(found, bytes):
            found = found.decode("latin-1")
        return found is not None and found.strip(" \t") == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """What a server says in a good answer beside the tokens: members of the body that are always the same."""

    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """
    How a server writes a failure. What is said of a token is written so too, with its `Match` on top.

    Args:
        status: The HTTP status of every 4xx but 429; None: the failure's own. 429 and 5xx always keep theirs.
        body: Members that are always the same.
        status_at: Where the body holds the failure's own status, as a number; None: nowhere. So with the next two.
        message_at: Where it holds what a person is told.
        code_at: Where it holds the stable code that programs go by.
    """

    status: int | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    status_at: str | None = None
    message_at: str | None = None
    code_at: str | None = None

    def __post_init__(self) -> None:
        """Refuse at start what could only fail in mid-conversation."""
        for place in (self.status_at, self.message_at, self.code_at):
            if place is not None:
                pointer.parse(place)


Verdict = Literal["accepted", "expired", "over", "stale"]
"""What an answer says of the token that was sent: nothing bad, renew it, the session is over, or ask again later."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """
    One API's way of speaking.

    Args:
        access_token: Where requests carry the access token.
        login, refresh, logout: The calls; None where the API has none.
        tokens: Where answers to sign-in and refresh hold the tokens.
        expired: What an answer looks like when the access token was not taken.
        over: What any answer looks like when the session has ended; the refresh is not tried then.
        refresh_over: What only the answer to a refresh looks like when the session has ended. Whatever fits
            neither and holds no tokens is a failure that may pass.
        stale: What the answer to a refresh looks like when a newer refresh token may be in the store.
        reason: Where an answer that ends the session says why.
        refresh_is_repeatable: Whether a refresh whose answer was lost may be sent again with the same token.
            True for evertoken, false wherever a refresh token can be used once only.
        lifetime_seconds: How long an access token lives where the API does not say; None: until it is refused.
        csrf: Demanded where the refresh token is in a cookie, and nowhere else.
        refresh_token_in_answer: Which refresh token a server puts into the answer to a refresh. `new`: one where there
            is a new one. `always`: else the one that was presented. `never`: none, the client keeps what it has.
        opt_out: How a request says that it is none of the session's; None: it cannot.
        success, failure: How a server writes its answers; a client needs neither. No `failure`: problems (RFC 9457)
            and token answers (RFC 6749 §5.1), as evertoken itself writes them.
        about: One sentence for people.

    Of each of `expired`, `over`, `refresh_over` and `stale` the first is how a server says it, with the first value
    of each place; all of them are what a client recognizes.
    """

    name: str = "home-made"
    access_token: AccessTokenPlace = AccessTokenPlace()
    login: AuthCall | None = AuthCall(url="/auth/login")
    refresh: AuthCall | None = AuthCall(url="/auth/refresh")
    logout: AuthCall | None = AuthCall(url="/auth/logout")
    tokens: TokenPointers = TokenPointers()
    expired: tuple[Match, ...] = (Match(status=401),)
    over: tuple[Match, ...] = ()
    refresh_over: tuple[Match, ...] = (Match(status=401),)
    stale: tuple[Match, ...] = ()
    reason: str | None = None
    refresh_is_repeatable: bool = False
    lifetime_seconds: float | None = None
    csrf: CsrfPlace | None = None
    refresh_token_in_answer: Literal["new", "always", "never"] = "new"  # noqa: S105 - a manner, no secret
    opt_out: OptOut | None = None
    success: Success = Success()
    failure: Failure | None = None
    about: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse at start what could only fail in mid-conversation."""
        if self.reason is not None:
            pointer.parse(self.reason)

    @functools.cached_property
    def judged_statuses(self) -> frozenset[int]:
        """The statuses that can mean anything but accepted: the quick way past nearly all answers."""
        return frozenset(rule.status for rule in (*self.over, *self.expired))

    @functools.cached_property
    def read_statuses(self) -> frozenset[int]:
        """Those of them whose body has to be read to tell; otherwise a stream stays a stream."""
        return frozenset(rule.status for rule in (*self.over, *self.expired) if rule.body)

    @property
    def is_by_cookie(self) -> bool:
        """Whether the refresh token is in a cookie."""
        return self.refresh is not None and self.refresh.token.kind == "cookie"

    def verdict(self, status: int, document: Any) -> Verdict:
        """What the answer of a resource says of the access token; `document` is its JSON body or MISSING."""
        if any(rule.fits(status, document) for rule in self.over):
            return "over"
        if any(rule.fits(status, document) for rule in self.expired):
            return "expired"
        return "accepted"

    def refresh_verdict(self, status: int, document: Any) -> Verdict:
        """What an answer to a refresh says of the session; `accepted` if it is worth looking for tokens in it."""
        if any(rule.fits(status, document) for rule in (*self.over, *self.refresh_over)):
            return "over"
        if any(rule.fits(status, document) for rule in self.stale):
            return "stale"
        return "accepted"

    def reason_in(self, document: Any, default: str) -> str:
        """Why the session is over, as the answer says, cut to what fits a log line."""
        said = pointer.find(document, self.reason) if self.reason else None
        return said[:64] if isinstance(said, str) and said.isprintable() and said else default
