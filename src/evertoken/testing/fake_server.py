"""
A server that signs people in and renews their tokens, for tests: in this process, in milliseconds, on a clock that
the test moves.

It speaks the wire of evertoken, decides about refresh tokens by the code of the real server, and does wrong what a
test asks for. Another API's wire is a subclass that overrides the four small methods `read_refresh`,
`read_access_token`, `render_tokens` and `render_refused`.
"""

import hashlib
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import TracebackType
from typing import Any, Final, Self

from evertoken.clock import system_clock
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.testing import refusals
from evertoken.testing.clock import ClientClock
from evertoken.testing.fake_sessions import FakeAccessToken, FakeSessions, Rotation
from evertoken.testing.faults import Fault, Gate
from evertoken.testing.listener import Answer, Hangup, Listener, Request
from evertoken.testing.reading import read_bearer, read_client_id, read_form, read_grant, read_json, text_member
from evertoken.testing.records import Records, RefreshRecord
from evertoken.testing.refusals import Refusal, Refused

DEFAULT_USERS: Final[Mapping[str, str]] = {"ada": "correct-horse-battery"}
_METHODS: Final = {
    "/auth/login": "POST",
    "/auth/refresh": "POST",
    "/auth/logout": "POST",
    "/auth/me": "GET",
    "/oauth/token": "POST",
    "/oauth/revoke": "POST",
    "/.well-known/oauth-authorization-server": "GET",
    "/.well-known/openid-configuration": "GET",
}


class FakeServer:
    """
    The server, at `.url` while its context lasts. All of it may be called from any thread.

    Args:
        clock: What time it is, as `MovingClock` tells it; this machine's time without one.
        access_seconds: How long an access token lives.
        rotation: "evertoken", or "strict" for a foreign server whose refresh tokens can be used once.
        overlap_seconds: The overlap of evertoken's rotation.
        idle_seconds: How long a session lives without a refresh.
        users: Passwords by user name; `.users` may be changed while it runs.

    Raises:
        ValueError: `rotation` is another word.
        Exception: At the end of the context, the first one that an overridden method raised.
    """

    def __init__(
        self,
        *,
        clock: ClientClock | None = None,
        access_seconds: float = 1800,
        rotation: Rotation = "evertoken",
        overlap_seconds: float = 60,
        idle_seconds: float = 7 * 86_400,
        users: Mapping[str, str] = DEFAULT_USERS,
    ) -> None:
        self.users = dict(users)
        self._clock = clock
        self._sessions = FakeSessions(
            rotation=rotation,
            access_ms=round(access_seconds * 1000),
            overlap_ms=round(overlap_seconds * 1000),
            idle_ms=round(idle_seconds * 1000),
        )
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._records = Records()
        self._script: deque[Fault | Answer] = deque()
        self._gates: list[Gate] = []
        self._listener = Listener(self._handle)
        self.url = self._listener.url

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        for gate in self._gates:
            gate.release()
        self._listener.__exit__(kind, error, traceback)

    # ---- what a test sees and does ----

    @property
    def refresh_count(self) -> int:
        """How many refresh calls have arrived, whatever became of them; one that waits at a gate counts."""
        return self._records.arrived

    @property
    def refreshes(self) -> list[RefreshRecord]:
        """What became of the refresh calls so far, the latest last; a copy."""
        return self._records.refreshes

    @property
    def reuses(self) -> int:
        """How often a dead refresh token was shown, so that its session had to end."""
        return sum(record.outcome == Outcome.REPLAY.value for record in self.refreshes)

    @property
    def requests(self) -> Counter[tuple[str, int]]:
        """How many requests per path and status so far, 0 for those that got no answer; a copy."""
        return self._records.requests

    def sign_in(self, username: str = "ada", *, client_id: str = "evertoken") -> dict[str, Any]:
        """Begin a session without HTTP or password; the members of the token answer."""
        return self._sessions.begin(username, client_id, now_ms=self._now_ms())

    def expire_access_tokens(self) -> None:
        """Refuse all access tokens issued so far with `token_expired`, though their holders think them fresh."""
        self._sessions.expire_access_tokens()

    def end_sessions(self, reason: str = "revoked") -> None:
        """
        End all sessions.

        Raises:
            ValueError: `reason` is none of those in docs/http.md.
        """
        self._sessions.end(Reason(reason))

    def script_refresh(self, *answers: Fault | Answer) -> None:
        """The next refresh calls get these, one each, in the order in which they arrive."""
        with self._lock:
            self._script.extend(answers)

    def hold_refreshes(self) -> Gate:
        """Keep refresh calls from now on waiting inside the server, before they are handled, until released."""
        with self._lock:
            self._gates.append(Gate())
            return self._gates[-1]

    # ---- what a subclass may override ----

    def read_refresh(self, request: Request) -> str | None:
        """The refresh token of a refresh call, "" where it brings none; None where this is no refresh call."""
        if request.method != "POST":
            return None
        if request.path == "/auth/refresh":
            return text_member(read_json(request), "refresh_token") or ""
        return read_grant(request) if request.path == "/oauth/token" else None

    def read_access_token(self, request: Request) -> str | None:
        """The access token of a request; None where it brings none."""
        return read_bearer(request)

    def render_tokens(self, pair: dict[str, Any]) -> Answer:
        """The answer that hands out tokens; `pair` has the members of evertoken's token answer."""
        return Answer.json(200, pair)

    def render_refused(self, refusal: Refusal) -> Answer:
        """The answer to what is refused; look at `refusal.kind`, and leave the other kinds to `super()`."""
        return refusals.render(refusal)

    def answer_resource(self, request: Request, subject: str) -> Answer:
        """What any other path answers to a request with a good access token; `subject` is whose it is."""
        digest = hashlib.sha256(request.body).hexdigest()
        seen = {"method": request.method, "path": request.target, "subject": subject}
        return Answer.json(200, {**seen, "length": len(request.body), "sha256": digest})

    # ---- how it answers ----

    def _now_ms(self) -> int:
        return system_clock() if self._clock is None else round(self._clock()[0] * 1000)

    def _handle(self, request: Request) -> Answer | Hangup:
        try:
            answer = self._answer(request)
        except Refused as refused:
            answer = self.render_refused(refused.refusal)
        if isinstance(answer, Answer) and answer.header("Date") is None:
            now = formatdate(self._now_ms() / 1000, usegmt=True)
            answer = Answer(answer.status, (*answer.headers, ("Date", now)), answer.body)
        self._records.answered(request.path, answer.status if isinstance(answer, Answer) else 0)
        return answer

    def _answer(self, request: Request) -> Answer | Hangup:
        presented = self.read_refresh(request)
        if presented is not None:
            return self._refresh(request, presented)
        allow = _METHODS.get(request.path)
        if allow is None:
            return self.answer_resource(request, self._checked(request).username)
        if request.method != allow and (allow, request.method) != ("GET", "HEAD"):
            methods = "GET, HEAD" if allow == "GET" else allow
            raise refusals.wrong_method(methods, is_oauth=request.path.startswith("/oauth/"))
        return self._routes()[request.path](request)

    def _routes(self) -> dict[str, Callable[[Request], Answer]]:
        return {
            "/auth/login": self._login,
            "/auth/logout": self._logout,
            "/auth/me": self._me,
            "/oauth/revoke": self._revoke,
            "/.well-known/oauth-authorization-server": self._metadata,
            "/.well-known/openid-configuration": self._metadata,
        }

    def _refresh(self, request: Request, presented: str) -> Answer | Hangup:
        with self._lock:
            self._records.arrive()
            fault = self._script.popleft() if self._script else None
            gate = self._gates[-1] if self._gates else None
        if gate is not None:
            gate.pass_through()
        instead = fault.instead(self._closing) if isinstance(fault, Fault) else fault
        if instead is not None:
            self._record("fault", presented)
            return instead
        loses = isinstance(fault, Fault) and fault.lose_answer
        try:
            answer = self._renewed(request, presented)
        except Refused:
            if not loses:
                raise
        return Hangup.CLOSE if loses else answer

    def _renewed(self, request: Request, presented: str) -> Answer:
        is_oauth = request.path.startswith("/oauth/")
        refreshed = self._sessions.refresh(presented, now_ms=self._now_ms(), client_id=read_client_id(request))
        self._record("unknown" if refreshed is None else refreshed.outcome.value, presented)
        if refreshed is None:
            raise refusals.refresh_token_unknown(is_oauth=is_oauth)
        if refreshed.pair is None:
            if refreshed.outcome is Outcome.STALE:
                raise refusals.stale(refreshed.retry_after_ms, is_oauth=is_oauth)
            raise refusals.session_over((refreshed.reason or Reason.UNKNOWN).value, is_oauth=is_oauth)
        answer = self.render_tokens(refreshed.pair)
        return Answer(answer.status, (*answer.headers, ("Pragma", "no-cache")), answer.body) if is_oauth else answer

    def _record(self, outcome: str, presented: str) -> None:
        at, session_id = self._now_ms() / 1000, self._sessions.session_of(presented)
        self._records.refreshed(RefreshRecord(outcome, at, session_id))

    def _checked(self, request: Request) -> FakeAccessToken:
        text = self.read_access_token(request)
        if text is None:
            raise Refused(refusals.NO_ACCESS_TOKEN)
        checked = self._sessions.check(text, now_ms=self._now_ms())
        if isinstance(checked, str):
            raise refusals.access_refused(checked)
        return checked

    def _login(self, request: Request) -> Answer:
        body = read_json(request, optional=False)
        username, password = text_member(body, "username"), text_member(body, "password")
        if not username or not password:
            raise refusals.bad_request("username and password are needed, both not empty.")
        if text_member(body, "delivery") not in (None, "body"):
            raise refusals.bad_request("This fake server has no cookie mode.")
        if self.users.get(username) != password:
            raise Refused(refusals.BAD_CREDENTIALS)
        return self.render_tokens(self.sign_in(username, client_id=text_member(body, "client_id") or "evertoken"))

    def _logout(self, request: Request) -> Answer:
        token = text_member(read_json(request), "refresh_token")
        if token is None and request.header("Authorization") is not None:
            session_id: str | None = self._checked(request).session_id
        else:
            session_id = self._sessions.session_of(token or "")
        if session_id is None:
            raise refusals.refresh_token_unknown(is_oauth=False)
        self._sessions.end(Reason.SIGNED_OUT, session_id)
        return Answer(204, (("Cache-Control", "no-store"),))

    def _revoke(self, request: Request) -> Answer:
        text = read_form(request).get("token")
        if text is None:
            raise refusals.bad_request("token is missing.", oauth_error="invalid_request")
        checked = self._sessions.check(text, now_ms=self._now_ms())
        session_id = self._sessions.session_of(text) if isinstance(checked, str) else checked.session_id
        if session_id is not None:
            self._sessions.end(Reason.SIGNED_OUT, session_id)
        return Answer(200, (("Cache-Control", "no-store"),))

    def _me(self, request: Request) -> Answer:
        return Answer.json(200, self._checked(request).claims(self.url))

    def _metadata(self, request: Request) -> Answer:
        """What a client needs of RFC 8414; there are no keys, for these tokens are no JWTs."""
        del request
        endpoints = {"token_endpoint": f"{self.url}/oauth/token", "revocation_endpoint": f"{self.url}/oauth/revoke"}
        methods = {f"{name}_auth_methods_supported": ["none"] for name in endpoints}
        grants = {"grant_types_supported": ["refresh_token"]}
        return Answer.json(200, {"issuer": self.url, **endpoints, **methods, **grants})
