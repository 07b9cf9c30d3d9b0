"""What devices, owners and thieves do over HTTP; each act is held against the model at once."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, TypeVar

import httpx2
from hypothesis.stateful import (
    RuleBasedStateMachine,
)

from evertoken.sessions.model import (
    AccountChange,
    Caller,
    EventKind,
)
from evertoken.sessions.rotation import Reason
from tests.api_model.model import (
    IDLE,
    MAX_AGE,
    SECOND,
    Access,
    Account,
    Answer,
    Refresh,
    Session,
)
from tests.support.server import LiveServer

H = TypeVar("H", Session, Refresh, Access)

COOKIE = "__Host-Http-evertoken"
LONGEST_RUN = 25 * IDLE
"""Thirty days after its end a session is swept, whenever the sweeper comes by."""


class Devices(RuleBasedStateMachine):
    """Two users, their devices, and everybody who ever got hold of one of their tokens."""

    live: ClassVar[LiveServer]
    http: ClassVar[httpx2.Client]
    runs: ClassVar[Iterator[int]] = itertools.count()
    steps: ClassVar[int] = 0
    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.people: list[Account] = []
        self.refresh_tokens: list[Refresh] = []
        self.access_tokens: list[Access] = []
        self.holds: dict[Session, Refresh] = {}
        self.passwords = itertools.count()
        self.began_at = self.now

    def live_first(self, things: list[H]) -> list[H]:
        """The last few that belong to a session that goes on; any where there is none."""
        going_on = [thing for thing in things if session_of(thing).why_over(self.now) is None]
        return going_on[-8:] or things

    def of_ended(self) -> list[Refresh]:
        return [token for token in self.refresh_tokens if token.session.why_over(self.now) is not None]

    @property
    def now(self) -> int:
        return self.live.clock()

    # Signing in

    def sign_in_with_the_cookie_of_a_session(self, account: Account, session: Session) -> None:
        """On the same browser, perhaps as somebody else."""
        self._sign_in(account, is_cookie=True, replaces=session if session.is_cookie else None)

    def _sign_in(self, account: Account, *, is_cookie: bool, replaces: Session | None) -> None:
        headers = {"Origin": self.live.url}
        if replaces is not None:
            headers["Cookie"] = f"{COOKIE}={self.holds[replaces].text}"
        body = {"username": account.name, "password": account.password}
        answer = self.http.post(
            "/auth/login", json=body | {"delivery": "cookie" if is_cookie else "body"}, headers=headers
        )
        if account.is_disabled:
            self._refused(answer, 401, "bad_credentials")
            return
        assert answer.status_code == 200, answer.text
        if replaces is not None:
            replaces.end("signed_out", self.now)
        told = answer.json()
        session = Session(told["session_id"], account, is_cookie=is_cookie, now=self.now, csrf=told.get("csrf_token"))
        assert all(session.id != other.id for person in self.people for other in person.sessions)
        account.sessions.append(session)
        refresh = self._taken(answer, session, None)
        assert refresh is not None
        session.counts = self.holds[session] = refresh  # the sign-in's own token counts at once
        self._tells_when_it_ends(answer, session)

    def sign_in_with_a_wrong_password(self, account: Account) -> None:
        body = {"username": account.name, "password": "wrong-horse-battery"}
        self._refused(self.http.post("/auth/login", json=body), 401, "bad_credentials")

    # Refreshing

    def a_token_goes_the_way_it_was_not_handed_out(self, token: Refresh) -> None:
        """One from a cookie in a body, or the other way round, is refused and changes nothing."""
        self._refused(self._send(token, as_cookie=not token.session.is_cookie), 401, "token_invalid")

    def a_forged_token_is_refused(self, token: Refresh, at: int, to: str) -> None:
        """One character of a genuine token is another: it is refused, and changes nothing."""
        text = token.text[:at] + to + token.text[at + 1 :]
        if text != token.text:
            forged = Refresh(text, token.session, token.made_from, token.made_at)
            self._refused(self._send(forged), 401, "token_invalid")

    def a_cookie_without_its_csrf_token_is_refused(self, token: Refresh) -> None:
        """A page that does not know the session's CSRF token cannot refresh, and changes nothing."""
        if token.session.is_cookie:
            self._refused(self._send(token, csrf="no"), 403, "csrf")

    def _use(self, session: Session, *, is_lost: bool = False) -> None:
        """Refresh with the token that the session's own device holds."""
        refresh = self._present(self.holds[session])
        if refresh is not None and not is_lost:
            self.holds[session] = refresh

    def _present(self, token: Refresh) -> Refresh | None:
        foreseen = token.session.present(token, self.now)
        answer = self._send(token)
        assert seen(answer) == foreseen
        Devices.reached[
            foreseen.reason or foreseen.code or ("tokens" if foreseen.brings_token else "access token")
        ] += 1
        if foreseen.status != 200:
            assert "set-cookie" not in answer.headers
            return None
        self._tells_when_it_ends(answer, token.session)
        return self._taken(answer, token.session, token)

    def _send(
        self, token: Refresh, *, path: str = "/auth/refresh", as_cookie: bool | None = None, csrf: str | None = None
    ) -> httpx2.Response:
        if not (token.session.is_cookie if as_cookie is None else as_cookie):
            return self.http.post(path, json={"refresh_token": token.text})
        headers = {"Origin": self.live.url, "Cookie": f"{COOKIE}={token.text}"}
        headers["X-CSRF-Token"] = csrf or token.session.csrf or "none"
        return self.http.post(path, headers=headers)

    # Time

    def _wait(self, wait: int) -> None:
        if self.now + wait - self.began_at < LONGEST_RUN:
            self.live.clock.now_ms += wait

    def a_session_is_used_to_its_end(self, session: Session, edge: int, *, is_asleep: bool = False) -> None:
        """However much it is used, it does not outlive its maximum age; nor its idle time, for a device that sleeps."""
        for _ in range(0 if is_asleep else 2 * MAX_AGE // IDLE):
            if session.why_over(self.now) is None and session.expires_at() < session.began_at + MAX_AGE:
                self._wait(IDLE // 2)
                self._use(session)
        self._wait(max(session.expires_at() + edge - self.now, 0))
        self._use(session)

    # Ending

    def sign_out_by_access_token(self, access: Access) -> None:
        answer = self.http.post("/auth/logout", headers=bearer(access))
        if not self._let_in(answer, access, 204):
            return
        assert "set-cookie" not in answer.headers
        access.session.end("signed_out", self.now)

    def sign_out_by_refresh_token(self, token: Refresh) -> None:
        """However old it is, and whatever became of the session."""
        answer = self._send(token, path="/auth/logout")
        assert answer.status_code == 204
        assert ("Max-Age=0" in answer.headers.get("set-cookie", "")) == token.session.is_cookie
        token.session.end("signed_out", self.now)

    def end_one(self, access: Access, session: Session) -> None:
        """One's own; somebody else's is not there."""
        answer = self.http.delete(f"/auth/sessions/{session.id}", headers=bearer(access))
        is_mine = access.session.account is session.account
        if self._let_in(answer, access, 204 if is_mine else 404) and is_mine:
            session.end("signed_out" if session is access.session else "revoked", self.now)

    def end_all(self, access: Access, keep: bool) -> None:
        answer = self.http.delete("/auth/sessions", params={"keep": "current"} if keep else {}, headers=bearer(access))
        if self._let_in(answer, access, 204):
            reason, kept = ("revoked", access.session) if keep else ("signed_out", None)
            access.session.account.end_sessions(reason, self.now, keep=kept)

    # The account

    def change_password(self, access: Access, is_right: bool) -> None:
        account = access.session.account
        new = f"violet-anchor-stapler-{next(self.passwords)}"
        body = {"current_password": account.password if is_right else "wrong-horse-battery", "new_password": new}
        answer = self.http.post("/auth/password", json=body, headers=bearer(access))
        if self._let_in(answer, access, 204 if is_right else 403) and is_right:
            account.password = new
            account.end_sessions("password_changed", self.now, keep=access.session)

    def disable(self, account: Account) -> None:
        change = AccountChange(account.id, Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
        assert self.live.run(self.live.server.services.sessions.change_account(change))
        account.is_disabled = True
        account.end_sessions("account_disabled", self.now)

    def enable(self, account: Account) -> None:
        was_disabled = self.live.run(self.live.server.store.enable(account.id, Caller()))
        assert was_disabled == account.is_disabled
        account.is_disabled = False

    def change_roles(self, account: Account, roles: tuple[str, ...]) -> None:
        assert self.live.run(self.live.server.store.set_roles(account.id, roles))
        account.roles = roles

    # Looking

    def who_am_i(self, access: Access) -> None:
        answer = self.http.get("/auth/me", headers=bearer(access))
        if self._let_in(answer, access, 200):
            claims = answer.json()
            assert claims["sid"] == access.session.id
            assert claims["sub"] == access.session.account.id
            assert tuple(claims.get("roles", ())) == access.roles

    def where_am_i_signed_in(self, access: Access) -> None:
        answer = self.http.get("/auth/sessions", headers=bearer(access))
        if self._let_in(answer, access, 200):
            listed = answer.json()["sessions"]
            assert {session["id"] for session in listed} == access.session.account.live(self.now)
            assert [session["id"] for session in listed if session["current"]] == [access.session.id] * (
                access.session.why_over(self.now) is None
            )
            used = [session["last_refreshed_at"] for session in listed]
            assert used == sorted(used, reverse=True)

    # Reading answers

    def _refused(self, answer: httpx2.Response, status: int, code: str) -> None:
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert "set-cookie" not in answer.headers

    def _let_in(self, answer: httpx2.Response, access: Access, status: int) -> bool:
        """Whether the guard lets this token in; then the answer has this status, else it is the guard's."""
        verdict = access.verdict(self.now)
        if verdict:
            self._refused(answer, 401, verdict)
            return False
        assert answer.status_code == status, answer.text
        return True

    def _tells_when_it_ends(self, answer: httpx2.Response, session: Session) -> None:
        assert answer.json()["refresh_token_expires_in"] == (session.expires_at() - self.now) // SECOND

    def _taken(self, answer: httpx2.Response, session: Session, made_from: Refresh | None) -> Refresh | None:
        """Take the tokens of an answer, each from where it belongs; returns the refresh token."""
        body = answer.json()
        assert (body["session_id"], body["token_type"], body["expires_in"]) == (session.id, "Bearer", 1800)
        assert answer.headers["cache-control"] == "no-store"
        assert body.get("csrf_token") == session.csrf
        text = body.get("refresh_token")
        if session.is_cookie:
            assert text is None
            name, _, rest = answer.headers.get("set-cookie", "").partition("=")
            if name:
                text, _, attributes = rest.partition("; ")
                left = body["refresh_token_expires_in"]
                assert (name, attributes) == (COOKIE, f"Max-Age={left}; Path=/; Secure; HttpOnly; SameSite=Strict")
        else:
            assert "set-cookie" not in answer.headers
        self.access_tokens.append(Access(body["access_token"], session, session.account.roles, self.now))
        if text is None:
            return None
        refresh = Refresh(text, session, made_from, self.now)
        self.refresh_tokens.append(refresh)
        return refresh


def session_of(thing: Session | Refresh | Access) -> Session:
    return thing if isinstance(thing, Session) else thing.session


def seen(answer: httpx2.Response) -> Answer:
    """An answer to a refresh, in the model's words."""
    body = answer.json()
    wait = answer.headers.get("retry-after")
    return Answer(
        answer.status_code,
        body.get("code", ""),
        body.get("reason"),
        "refresh_token" in body or "set-cookie" in answer.headers,
        None if wait is None else int(wait),
    )


def bearer(access: Access) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.text}"}
