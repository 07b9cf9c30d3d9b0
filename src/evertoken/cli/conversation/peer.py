"""The API on the other side: sends it what a client sends, and holds what a client holds."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from evertoken.cli.conversation import jar
from evertoken.cli.conversation.seen import Veil, in_short, in_words, known_texts
from evertoken.client.calls import absolute, login_call, logout_call, refresh_call
from evertoken.client.http import Call, Transport
from evertoken.client.refresher.answers import Over, Tokens, Unusable, parse_body, read_refresh, read_tokens
from evertoken.secret import Secret
from evertoken.wire.dialects.dialect import AuthCall, Dialect, TokenPlace, Verdict
from evertoken.wire.dialects.pointer import find

WITHIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def document(self) -> Any:
        """The body as JSON, or MISSING."""
        return parse_body(self.body)

    @property
    def is_good(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Held:
    """
    What a page holds of a session.

    Args:
        access_token: For its own calls.
        refresh_token: For the next refresh; None where a cookie carries it.
        csrf_token: What a call with that cookie must carry beside it.
        cookies: What the browser has.
        session_id: What the API calls the session, if it says so.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    csrf_token: str | None = field(repr=False)
    cookies: jar.Cookies = field(repr=False)
    session_id: str | None


class Peer:
    """
    One API, spoken to in one dialect.

    Args:
        server: The base URL.
        transport: How calls are sent.
        veil: Is told every secret that comes or goes.
        origin: Where the page is that a cookie would be sent from; None: where the API is.

    Each call raises NotSent or NoAnswer where there is no answer.
    """

    def __init__(
        self, dialect: Dialect, server: str, *, transport: Transport, veil: Veil, origin: str | None = None
    ) -> None:
        self.dialect = dialect
        self._server = server
        self._transport = transport
        self._veil = veil
        self._known = known_texts(dialect)
        self._origin = origin or "://".join(urlsplit(server)[:2])

    def sign_in(self, username: str, password: Secret) -> Seen:
        """Sign in as a client does."""
        assert self.dialect.login is not None
        self._veil.add(password.reveal())
        return self._send(login_call(self._server, self.dialect.login, username, password.reveal(), {}), {})

    def resource(self, path: str, access_token: str | None) -> Seen:
        """A call of an application's own, with this access token."""
        place = self.dialect.access_token
        headers = {"Accept": "application/json"}
        if access_token is not None:
            headers[place.header] = place.value(access_token)
        return self._send(Call("GET", absolute(self._server, path), headers), {})

    def refresh(self, held: Held, *, with_csrf: bool = True) -> Seen:
        """A refresh with what is held."""
        call = refresh_call(self._server, self._spoken(), self._proof(held))
        csrf = self.dialect.csrf
        if not with_csrf and csrf is not None:
            call = replace(call, headers={name: value for name, value in call.headers.items() if name != csrf.header})
        return self._send(call, held.cookies)

    def sign_out(self, held: Held) -> Seen:
        """A sign-out with what is held."""
        call = logout_call(self._server, self._spoken(), self._proof(held))
        assert call is not None
        return self._send(call, held.cookies)

    def judged(self, seen: Seen) -> Verdict:
        """What clients make of an answer to a resource."""
        return self.dialect.verdict(seen.status, seen.document)

    def read(self, seen: Seen, held: Held) -> Tokens | Over | Unusable:
        """What clients make of an answer to a refresh."""
        return read_refresh(
            self.dialect, status=seen.status, headers=seen.headers, body=seen.body, session_id=held.session_id
        )

    def tokens_of(self, seen: Seen) -> Tokens | Unusable:
        """What clients find in an answer to a sign-in."""
        return read_tokens(self.dialect, seen.document)

    def held_after(self, seen: Seen, tokens: Tokens, before: Held | None) -> Held:
        """What is held once an answer with tokens has come."""
        cookies = jar.after(before.cookies if before else {}, seen.headers)
        held = Held(
            tokens.access_token,
            tokens.refresh_token or (before.refresh_token if before else None),
            self._csrf_in(seen, cookies) or (before.csrf_token if before else None),
            cookies,
            tokens.session_id or (before.session_id if before else None),
        )
        self._veil.add(held.access_token, held.refresh_token, held.csrf_token, *held.cookies.values())
        return held

    def csrf_told(self, held: Held) -> tuple[Seen, str | None]:
        """What a page that was just loaded is told at the dialect's URL for it, and the token in it."""
        csrf = self.dialect.csrf
        assert csrf is not None
        assert csrf.url is not None
        seen = self._send(Call("GET", absolute(self._server, csrf.url), {"Accept": "application/json"}), held.cookies)
        return seen, self._csrf_in(seen, jar.after(held.cookies, seen.headers))

    def lacks(self, seen: Seen) -> dict[str, Any]:
        """The constant members of a good answer (`success.body`) that this one does not have."""
        constant = self.dialect.success.body
        return {name: value for name, value in constant.items() if not _has({name: value}, seen.document)}

    def words(self, seen: Seen) -> str:
        """An answer in words, without a secret."""
        return self._veil.over(in_words(seen.status, seen.document, known=self._known))

    def short(self, seen: Seen) -> str:
        """The same where all is well: no more than the rules of the dialect look at."""
        return self._veil.over(in_short(seen.status, seen.document, self.dialect))

    def spoilt(self, held: Held) -> Held:
        """The same with a refresh token that nobody has given out."""
        csrf = self.dialect.csrf
        kept = None if csrf is None else csrf.cookie
        cookies = {name: value if name == kept else spoilt(value) for name, value in held.cookies.items()}
        token = None if held.refresh_token is None else spoilt(held.refresh_token)
        return replace(held, refresh_token=token, cookies=cookies)

    def _csrf_in(self, seen: Seen, cookies: jar.Cookies) -> str | None:
        csrf, place = self.dialect.csrf, self.dialect.tokens.csrf_token
        if csrf is None:
            return None
        told = None if place is None else find(seen.document, place)
        return told if isinstance(told, str) else cookies.get(csrf.cookie or "")

    def _proof(self, held: Held) -> str:
        return (held.csrf_token if self.dialect.is_by_cookie else held.refresh_token) or ""

    def _spoken(self) -> Dialect:
        """As a browser speaks it: the cookie goes by itself, and the CSRF token in its header."""
        csrf = self.dialect.csrf
        if not self.dialect.is_by_cookie or csrf is None:
            return self.dialect
        place = TokenPlace("header", csrf.header)

        def spoken(call: AuthCall | None) -> AuthCall | None:
            return None if call is None else replace(call, token=place)

        return replace(self.dialect, refresh=spoken(self.dialect.refresh), logout=spoken(self.dialect.logout))

    def _send(self, call: Call, cookies: jar.Cookies) -> Seen:
        headers = {**call.headers, **jar.header(cookies)}
        if self.dialect.is_by_cookie:
            headers["Origin"] = self._origin  # as a browser says it; with a cookie it is asked for
        sent = replace(call, headers=headers)
        answer = self._transport(sent, timeout_seconds=WITHIN_SECONDS)
        return Seen(answer.status, answer.headers, answer.body)


def _has(wanted: Any, found: Any) -> bool:
    """Whether all of one JSON value is in another."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_has(each, found.get(name)) for name, each in wanted.items())
    return type(found) is type(wanted) and bool(found == wanted)


def spoilt(token: str) -> str:
    """
    A token of the same looks that nobody has given out.

    Of one with dots only the last part is changed, so that it gets as far as a check of its signature.
    """
    head, dot, tail = token.rpartition(".")
    other = "".join(_other(letter) for letter in tail)
    return head + dot + other


def _other(letter: str) -> str:
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        if letter in kind:
            return secrets.choice(kind.replace(letter, ""))
    return letter
