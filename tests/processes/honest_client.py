"""An honest client, without any window or file: one refresh at a time, nothing thrown away."""

import asyncio
import random
from typing import Any

from tests.processes.connection import Answer, Connection, ConnectionLost
from tests.processes.ledger import Ledger
from tests.support.server import PASSWORD

RECONNECT_AFTER_SECONDS = (0.02, 0.12)


class SignedOut(Exception):
    """The server told an honest client that its session is over."""


class HonestClient:
    """
    Signs in and keeps refreshing.

    Args:
        waits_until_ripe_seconds: Presents each new refresh token only when it is this old; None: all the time.
        signs_out_every: Signs out, and in again, after so many refreshes; None: never.
    """

    def __init__(
        self,
        username: str,
        port: int,
        ledger: Ledger,
        chance: random.Random,
        *,
        waits_until_ripe_seconds: float | None = None,
        signs_out_every: int | None = None,
    ) -> None:
        self.username = username
        self.refresh_token = ""
        self._connection = Connection(port)
        self.is_signing_in = False
        self._is_stopping = False
        self._ledger = ledger
        self._chance = chance
        self._ripe_after = waits_until_ripe_seconds
        self._signs_out_every = signs_out_every

    async def sign_in(self) -> None:
        """Sign in; again where the answer was lost."""
        self.is_signing_in = True
        body = {"username": self.username, "password": PASSWORD}
        tokens = (await self._until_answered("/auth/login", body, lost="sign-in lost")).json()
        self._ledger.signed_in(tokens)
        self.refresh_token = tokens["refresh_token"]
        self.is_signing_in = False

    async def keep_refreshing(self) -> None:
        """Go on until `stop`; then finish what was begun."""
        since_sign_in = 0
        while not self._is_stopping:
            await self.refresh()
            since_sign_in += 1
            if self._signs_out_every is not None and since_sign_in >= self._signs_out_every:
                await self.sign_out()
                await self.sign_in()
                since_sign_in = 0

    async def refresh(self) -> None:
        """Get a new access token, and adopt a new refresh token where one comes."""
        presented = self.refresh_token
        tokens = (await self._until_answered("/auth/refresh", {"refresh_token": presented}, lost="")).json()
        self._ledger.refreshed(presented, tokens)
        self.refresh_token = tokens.get("refresh_token", presented)
        if self._ripe_after is None:
            await asyncio.sleep(self._chance.uniform(0, 0.1))
        elif self.refresh_token != presented:
            await asyncio.sleep(self._ripe_after * self._chance.uniform(1.0, 1.1))

    async def sign_out(self) -> None:
        """Sign out, and make sure that the refresh token is worth nothing once that is acknowledged."""
        body = {"refresh_token": self.refresh_token}
        self._ledger.signing_out(self.refresh_token)
        await self._until_answered("/auth/logout", body, lost="sign-out lost", expected=204)
        self._ledger.signed_out(self.refresh_token)
        answer = await self._until_answered("/auth/refresh", body, lost="", expected=401)
        assert answer.json()["reason"] == "signed_out"

    def stop(self) -> None:
        """Begin nothing more."""
        self._is_stopping = True

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    async def _until_answered(self, path: str, body: dict[str, Any], *, lost: str, expected: int = 200) -> Answer:
        """
        Send the same request until there is an answer that decides.

        Raises:
            SignedOut: the session is over.
        """
        while True:
            try:
                await self._connection.open()
            except ConnectionLost:
                await asyncio.sleep(self._chance.uniform(*RECONNECT_AFTER_SECONDS))
                continue
            try:
                answer = await self._connection.post(path, body)
            except ConnectionLost:
                if lost:
                    self._ledger.outcomes[lost] += 1
                else:
                    self._ledger.lost(body["refresh_token"])
                continue
            if answer.status == expected:
                return answer
            if answer.status == 401:
                raise SignedOut(f"{self.username}: {answer.body.decode()}")
            assert answer.status in {429, 503}, answer
            self._ledger.outcomes[answer.code] += 1
            await asyncio.sleep(int(answer.headers["retry-after"]))
