"""Honest clients through our Python client, over aiohttp, which write down what they asked and what they got."""

import asyncio
import contextlib
import json
import random
from collections.abc import Sequence
from typing import Self

import aiohttp

from evertoken.client.aiohttp import SilentAuth
from evertoken.client.calls import refresh_call
from evertoken.client.http import Answer, HttpTransport, NoAnswer, NotSent
from evertoken.client.http.transport import Call as HttpCall
from evertoken.client.session import Session
from evertoken.errors import (
    RefreshUnavailable,
    SignedOut,
    SignInUnavailable,
    SignOutUnavailable,
    TemporarilyUnavailable,
)
from evertoken.wire.dialects.known import EVERTOKEN
from tests.chaos.history import Ask, Call, Clock, Got, History, Theft
from tests.chaos.history import SignedOut as WasSignedOut
from tests.chaos.reading import access_of, claims_access, token_of, verdict
from tests.support.server import PASSWORD

_ASKS = {"/auth/login": Ask.SIGN_IN, "/auth/refresh": Ask.REFRESH, "/auth/logout": Ask.SIGN_OUT}
_DONE = {Ask.SIGN_IN: 200, Ask.REFRESH: 200, Ask.SIGN_OUT: 204, Ask.USE: 200, Ask.END: 204}

_NO_ANSWER = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)

GUARDS_KNOW_WITHIN_SECONDS = 4.2
"""When the access token of an ended session is tried, see `stage.PROMISES`."""


async def _as_told(later: TemporarilyUnavailable) -> None:
    """Wait for as long as the server said: servers and databases die and come back in real time here."""
    await asyncio.sleep(later.retry_after_seconds)


class Recorded:
    """
    The client's own way to send its calls, written down.

    Args:
        account: The id of the user whose calls these are.
    """

    def __init__(self, who: str, account: str, history: History, clock: Clock) -> None:
        self.who = who
        self.account = account
        self.session = ""
        self.newest = ""
        """The newest refresh token. A secret."""
        self.over = ""
        """The session that the server has just said to be over, until the client has told so."""
        self._history = history
        self._clock = clock
        self._send = HttpTransport(proxy="")

    def __call__(self, call: HttpCall, *, timeout_seconds: float) -> Answer:
        """Send it, as `Transport` says."""
        ask = _ASKS[call.url[call.url.index("/auth/") :]]
        text = json.loads(call.body).get("refresh_token")
        presented = None if text is None else token_of(text)
        session = "" if presented is None else presented.session
        began = self._clock()
        try:
            answer = self._send(call, timeout_seconds=timeout_seconds)
        except NoAnswer:
            self._note(Call(self.who, ask, Got.LOST, began, self._clock(), self.account, session, presented))
            raise
        ended = self._clock()
        got, reason = verdict(answer.status, answer.body, done=_DONE[ask])
        child, access = None, None
        if got is Got.DONE and ask is not Ask.SIGN_OUT:
            members = json.loads(answer.body)
            access = access_of(members["access_token"])
            if "refresh_token" in members:
                child = token_of(members["refresh_token"])
                self.newest = members["refresh_token"]
            session = session or members["session_id"]
            self.session = session
        elif got is Got.OVER or got is Got.DONE:
            self.over = session
        self._note(
            Call(self.who, ask, got, began, ended, self.account, session, presented, child, access, reason=reason)
        )
        return answer

    def _note(self, call: Call) -> None:
        self._history.calls.append(call)


class Client:
    """
    One device of one user: signs in, asks who it is, refreshes, and sometimes signs out.

    Args:
        url: Where it finds the servers.
        account: A user's name; `tests.support.process.add_users` gives the id.
        pace: Seconds between two requests, at most.
    """

    def __init__(
        self, who: str, url: str, account: str, history: History, clock: Clock, chance: random.Random, *, pace: float
    ) -> None:
        self.who = who
        self.account = account
        self.sent = Recorded(who, f"usr_{account}", history, clock)
        self.siblings: Sequence[Client] = ()
        self._url = url
        self._history = history
        self._clock = clock
        self._chance = chance
        self._pace = pace
        self._stopping = asyncio.Event()
        self._after: list[asyncio.Task[None]] = []
        self._victims: dict[str, str] = {}
        self._session = Session(url, transport=self.sent)
        self._session.on_signed_out(self._told)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            self._url,
            middlewares=(SilentAuth(self._session), self._watch),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=12),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http is not None
        await self._http.close()

    @property
    def session(self) -> str:
        """The id of the session that it had last."""
        return self.sent.session

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    async def sign_in(self) -> None:
        """Until it is signed in."""
        while True:
            try:
                await self._session.alogin(self.account, PASSWORD)
            except SignInUnavailable as later:
                await _as_told(later)
            else:
                return

    async def live(self) -> None:
        """Go on until `stop`."""
        while not self._stopping.is_set():
            await self._once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._chance.uniform(0, self._pace))
        for task in self._after:
            if task.done():
                task.result()
            else:
                task.cancel()  # there is no time left to find out

    async def refresh(self) -> None:
        """Refresh once, however often it has to ask."""
        while True:
            try:
                await self._session.arefresh()
            except RefreshUnavailable as later:
                await _as_told(later)
            except SignedOut:
                await self.sign_in()
            else:
                return

    async def _once(self) -> None:
        drawn = self._chance.random()
        try:
            if drawn < 0.25:
                await self._session.arefresh()
            elif drawn < 0.26:
                await self._sign_out_and_in()
            elif drawn < 0.265:
                await self._end_a_sibling()
            else:
                await self.use()
        except RefreshUnavailable as later:
            await _as_told(later)
        except SignedOut:
            await self.sign_in()

    async def use(self) -> None:
        """Ask who it is."""
        assert self._http is not None
        with contextlib.suppress(*_NO_ANSWER):
            async with self._http.get("/auth/me") as answer:
                await answer.read()

    async def end(self, victim: "Client") -> None:
        """End the session that another device has now."""
        session = victim.session
        self._victims[session] = victim.sent.account
        assert self._http is not None
        own = self.account == victim.account
        with contextlib.suppress(*_NO_ANSWER):
            async with self._http.delete(
                f"/auth/sessions/{session}" if own else f"/admin/sessions/{session}"
            ) as answer:
                await answer.read()

    async def _end_a_sibling(self) -> None:
        if self.siblings:
            await self.end(self._chance.choice(self.siblings))

    async def _sign_out_and_in(self) -> None:
        """Sign out until that is acknowledged, and see to it that nothing of the session is good any more."""
        access_token = await self._session.atoken()
        refresh_token = self.sent.newest
        while True:
            try:
                await self._session.alogout()
            except SignOutUnavailable as later:
                await _as_told(later)
            else:
                break
        await self._present(refresh_token)
        self._after.append(asyncio.create_task(self._use_later(access_token)))
        await self.sign_in()

    async def _present(self, refresh_token: str) -> None:
        """Show a refresh token that must be worth nothing."""
        ghost = Recorded(f"{self.who} after its end", self.sent.account, self._history, self._clock)
        with contextlib.suppress(NotSent, NoAnswer):
            await asyncio.to_thread(ghost, refresh_call(self._url, EVERTOKEN, refresh_token), timeout_seconds=10)

    async def _use_later(self, access_token: str) -> None:
        # The workers are processes of their own, whose clocks cannot be moved: what is promised is real time.
        await asyncio.sleep(GUARDS_KNOW_WITHIN_SECONDS)
        headers = {"Authorization": f"Bearer {access_token}"}
        assert self._http is not None
        with contextlib.suppress(*_NO_ANSWER):
            async with self._http.get("/auth/me", headers=headers, middlewares=(self._watch,)) as answer:
                await answer.read()

    async def _watch(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """One request as it goes out, with the token that it carries; aiohttp may send it anew."""
        access = access_of(request.headers["Authorization"].removeprefix("Bearer "))
        ask, session, account = Ask.USE, access.session, self.sent.account
        if request.method == "DELETE":
            ask, session = Ask.END, request.url.name
            account = self._victims[session]
        began, got, reason, told = self._clock(), Got.LOST, "", None
        try:
            answer = await handler(request)
            body = await answer.read()
            got, reason = verdict(answer.status, body, done=_DONE[ask])
            told = claims_access(json.loads(body)) if got is Got.DONE and ask is Ask.USE else None
        finally:
            shown = access if ask is Ask.USE else None
            self._note(
                Call(
                    *(self.who, ask, got, began, self._clock(), account, session),
                    access=shown,
                    told=told,
                    reason=reason,
                )
            )
        return answer

    def _told(self, reason: str) -> None:
        session, self.sent.over = self.sent.over or self.sent.session, ""
        self._history.signed_out.append(WasSignedOut(self.who, self._clock(), session, reason))

    def _note(self, call: Call) -> None:
        self._history.calls.append(call)


class Thief:
    """Copies the newest refresh token of a client, and refreshes with what comes of it until nothing does."""

    def __init__(self, who: str, url: str, victim: Client, history: History, clock: Clock) -> None:
        self.sent = Recorded(who, victim.sent.account, history, clock)
        self._url = url
        self._token = victim.sent.newest
        self.session = token_of(self._token).session
        self.is_over = False
        history.thefts.append(Theft(self.session, clock()))

    async def once(self) -> None:
        """Refresh, until the session is over for good."""
        if self.is_over:
            return
        call = refresh_call(self._url, EVERTOKEN, self._token)
        try:
            answer = await asyncio.to_thread(self.sent, call, timeout_seconds=15)
        except (NotSent, NoAnswer):
            return
        self._token = self.sent.newest or self._token
        self.is_over = answer.status == 401
