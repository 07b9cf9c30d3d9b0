"""What the fake server does: rotation, guarded resources, counts, other wires."""

import asyncio
import hashlib
import resource
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from evertoken.testing import Answer, FakeServer, MovingClock, Refusal, Request
from tests.support.server import client_at
from tests.testing_kit.playing import Stage


class TestRotation:
    """The rows of docs/rotation.md, reached by moving the clock."""

    def test_every_row_of_the_rotation_is_reached_by_moving_the_clock(self, server: FakeServer, fake: Stage) -> None:
        """REISSUE, EARLY, ADVANCE, STALE, REPLAY and GONE come as they do in the field, in no time."""
        first = server.sign_in()["refresh_token"]
        second = fake.refresh(first)["refresh_token"]
        assert "refresh_token" not in fake.refresh(second)
        fake.advance(240)
        third = fake.refresh(second)["refresh_token"]
        assert fake.refresh(first)["code"] == "stale"
        fake.advance(61)
        assert fake.refresh(first)["reason"] == "replayed"
        assert fake.refresh(third)["reason"] == "replayed"
        outcomes = [record.outcome for record in server.refreshes]
        assert outcomes == ["reissue", "early", "advance", "stale", "replay", "gone"]
        assert (server.refresh_count, server.reuses) == (6, 1)
        assert [record.at - 1_800_000_000 for record in server.refreshes] == [0, 0, 240, 240, 301, 301]

    def test_a_late_duplicate_is_told_how_long_to_wait(self, server: FakeServer, fake: Stage) -> None:
        """Retry-After is what is left of the overlap."""
        first = server.sign_in()["refresh_token"]
        second = fake.refresh(first)["refresh_token"]
        fake.advance(240)
        fake.refresh(second)
        fake.advance(20.5)
        answer = fake.http.post("/auth/refresh", json={"refresh_token": first})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "40")

    def test_a_session_can_be_ended_for_any_reason(self, server: FakeServer, fake: Stage) -> None:
        """`end_sessions` is an operator, a changed password, a disabled account."""
        pair = server.sign_in()
        server.end_sessions("password_changed")
        assert fake.me(pair["access_token"])["code"] == "token_invalid"
        assert fake.refresh(pair["refresh_token"])["reason"] == "password_changed"
        with pytest.raises(ValueError, match="no_such_reason"):
            server.end_sessions("no_such_reason")


class TestStrictRotation:
    """A foreign server with single-use refresh tokens."""

    @pytest.fixture
    def strict(self, moving: MovingClock) -> Iterator[FakeServer]:
        """Such a server."""
        with FakeServer(clock=moving, rotation="strict") as running:
            yield running

    def test_a_spent_token_ends_the_session_of_its_successor(self, strict: FakeServer) -> None:
        """Where refresh tokens can be used once, whoever sends one again has signed everybody out."""
        with client_at(strict.url) as http:
            stage = Stage(http, lambda _: None)
            first = strict.sign_in()["refresh_token"]
            second = stage.grant(first)["refresh_token"]
            third = stage.grant(second)["refresh_token"]
            assert (strict.reuses, third is not None) == (0, True)
            assert stage.grant(first)["error"] == "invalid_grant"
            assert stage.grant(third)["error"] == "invalid_grant"
        assert [record.outcome for record in strict.refreshes] == ["advance", "advance", "replay", "gone"]
        assert strict.reuses == 1

    def test_an_unknown_rotation_is_refused_at_once(self) -> None:
        """A mistake in a test is told when the server is made."""
        with pytest.raises(ValueError, match="strict"):
            FakeServer(rotation="loose")  # type: ignore[arg-type]


class TestResources:
    """Any other path is an application's."""

    def test_a_guarded_resource_tells_what_reached_it(self, server: FakeServer, fake: Stage) -> None:
        """A body that is sent again after a refresh must arrive whole: its length and SHA-256 say whether it has."""
        header = {"Authorization": f"Bearer {server.sign_in()['access_token']}"}
        parts = [b"x" * 70_000, b"y"]
        whole = b"".join(parts)
        expected = {
            "method": "PUT",
            "path": "/notes/1?draft=yes",
            "subject": "ada",
            "length": len(whole),
            "sha256": hashlib.sha256(whole).hexdigest(),
        }
        for body in (whole, iter(parts)):
            assert fake.http.put("/notes/1?draft=yes", headers=header, content=body).json() == expected

    def test_tokens_can_expire_before_their_holder_thinks_so(self, server: FakeServer, fake: Stage) -> None:
        """`expire_access_tokens` is the clock skew of which a client learns by a 401 only."""
        pair = server.sign_in()
        server.expire_access_tokens()
        answer = fake.http.get("/notes", headers={"Authorization": f"Bearer {pair['access_token']}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="evertoken", error="invalid_token"')
        renewed = fake.refresh(pair["refresh_token"])["access_token"]
        assert fake.http.get("/notes", headers={"Authorization": f"Bearer {renewed}"}).status_code == 200

    def test_requests_are_counted_by_path_and_status(self, server: FakeServer, fake: Stage) -> None:
        """A test can say how often the application asked for what."""
        header = {"Authorization": f"Bearer {server.sign_in()['access_token']}"}
        for headers in (header, header, {}):
            fake.http.get("/notes?page=1", headers=headers)
        assert server.requests == Counter({("/notes", 200): 2, ("/notes", 401): 1})

    def test_a_thousand_connections_at_once_are_all_answered(self) -> None:
        """A thousand tasks that meet an expired token at the same time are an ordinary test."""

        async def one(url: str, access_token: str) -> bytes:
            reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access_token}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await everybody.wait()
            writer.close()
            await writer.wait_closed()
            return head[:12]

        async def all_of_them(url: str, access_token: str) -> set[bytes]:
            return set(await asyncio.gather(*(one(url, access_token) for _ in range(1000))))

        everybody = asyncio.Barrier(1000)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], min(limits[1], 4096)), limits[1]))
        with FakeServer() as server:
            assert asyncio.run(all_of_them(server.url, server.sign_in()["access_token"])) == {b"HTTP/1.1 200"}


class HomeMade(FakeServer):
    """An API that says 401 in a body of status 400, and takes its tokens where it likes."""

    def read_refresh(self, request: Request) -> str | None:
        return request.query.get("refreshToken", "") if request.path == "/token/refresh" else None

    def read_access_token(self, request: Request) -> str | None:
        return request.header("X-Access-Token")

    def render_tokens(self, pair: dict[str, Any]) -> Answer:
        return Answer.json(200, {"code": 200, "data": {"token": pair["access_token"], "renew": pair["refresh_token"]}})

    def render_refused(self, refusal: Refusal) -> Answer:
        if refusal.kind == "access":
            return Answer.json(400, {"code": 401})
        if refusal.kind == "refresh":
            return Answer.json(200, {"code": 403})
        return super().render_refused(refusal)


class Broken(FakeServer):
    """A subclass with a mistake."""

    def answer_resource(self, request: Request, subject: str) -> Answer:
        raise LookupError(f"{subject} {request.path}")


class TestOtherWires:
    """A subclass speaks another API's wire."""

    def test_a_home_made_wire_takes_four_small_methods(self, moving: MovingClock) -> None:
        """The rotation, the clock and the faults stay; only the spelling is another."""
        with HomeMade(clock=moving) as server, client_at(server.url) as http:
            pair = server.sign_in()
            assert http.get("/notes", headers={"X-Access-Token": pair["access_token"]}).json()["subject"] == "ada"
            moving.advance(1800)
            refused = http.get("/notes", headers={"X-Access-Token": pair["access_token"]})
            assert (refused.status_code, refused.json()) == (400, {"code": 401})
            data = http.post("/token/refresh", params={"refreshToken": pair["refresh_token"]}).json()["data"]
            assert http.get("/notes", headers={"X-Access-Token": data["token"]}).status_code == 200
            server.end_sessions()
            over = http.post("/token/refresh", params={"refreshToken": data["renew"]})
            assert (over.status_code, over.json()) == (200, {"code": 403})

    def test_a_mistake_in_a_subclass_is_told_at_the_end(self, moving: MovingClock) -> None:
        """An error in the test's own server does not hide behind a 500."""

        def use_it() -> None:
            with Broken(clock=moving) as server:
                header = {"Authorization": f"Bearer {server.sign_in()['access_token']}"}
                assert httpx2.get(f"{server.url}/notes", headers=header).status_code == 500

        with pytest.raises(LookupError, match="ada /notes"):
            use_it()
