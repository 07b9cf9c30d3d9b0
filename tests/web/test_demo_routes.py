"""What only `evertoken demo` serves: figures to look at, and ways to break things, for a page of its own origin."""

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.accounts.users import User
from evertoken.assembly import Server, build
from evertoken.cli.demo import PASSWORD, USERNAME
from evertoken.cli.walkthrough import walkthrough
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.web.demo_routes import CLAIMS_HOOK, DemoRoutes, DemoUser, LosesAnswers
from evertoken.web.demo_tiles import POINTS, TILES, tile
from tests.support.clock import START_MS, MovingClock
from tests.support.server import WEAK, LiveServer

URL = "http://localhost:8000"
OURS = {"Sec-Fetch-Site": "same-origin"}
OVERLAP_SECONDS = 3
MATURITY_SECONDS = 12


class Browser:
    """A page of the demo's origin, signed in in cookie mode."""

    def __init__(self, http: httpx2.AsyncClient, clock: MovingClock) -> None:
        self.http = http
        self.clock = clock
        self.tokens: dict[str, Any] = {}

    async def sign_in(self) -> None:
        body = {"username": USERNAME, "password": PASSWORD, "delivery": "cookie"}
        answer = await self.http.post("/auth/login", json=body, headers=OURS)
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    async def refresh(self, **headers: str) -> httpx2.Response:
        csrf = {"X-CSRF-Token": self.tokens["csrf_token"]}
        answer = await self.http.post("/auth/refresh", headers={**OURS, **csrf, **headers})
        if answer.status_code == 200:
            self.tokens = answer.json()
        return answer

    async def tile(self, name: str = "orders") -> httpx2.Response:
        return await self.http.get(
            f"/demo/api/{name}", headers={"Authorization": f"Bearer {self.tokens['access_token']}"}
        )

    async def control(self, method: str, path: str) -> Any:
        answer = await self.http.request(method, path, headers=OURS)
        assert answer.status_code in (200, 204), answer.text
        return answer.json() if answer.content else None

    @property
    def cookie(self) -> str | None:
        return self.http.cookies.get("__Host-Http-evertoken")


@pytest.fixture
async def demo(tmp_path: Path, clock: MovingClock) -> AsyncIterator[Server]:
    """A demo server whose time is `clock`, with its user."""
    settings = Settings(
        store=str(tmp_path / "evertoken.db"),
        access_lifetime=timedelta(seconds=15),
        overlap=timedelta(seconds=OVERLAP_SECONDS),
        claims_hook=CLAIMS_HOOK,
    )
    user = DemoUser(USERNAME, Secret(PASSWORD))
    server = build(
        settings,
        clock=clock,
        hashing_parameters=WEAK,
        demo_routes=lambda services: DemoRoutes(services, user).routes(),
    )
    await server.start()
    hashed = server.hashing.hash_now(Secret(PASSWORD))
    await server.store.add_user(User("u_ada", USERNAME, hashed, 0, False, (), clock()))
    yield server
    server.close()


@pytest.fixture
async def stranger(demo: Server) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that is not signed in."""
    # https, for the cookie is Secure and only browsers make an exception for localhost.
    transport = httpx2.ASGITransport(app=LosesAnswers(demo.app))
    async with httpx2.AsyncClient(transport=transport, base_url=URL.replace("http:", "https:")) as http:
        yield http


@pytest.fixture
async def browser(stranger: httpx2.AsyncClient, clock: MovingClock) -> Browser:
    """A browser that is signed in."""
    browser = Browser(stranger, clock)
    await browser.sign_in()
    return browser


def test_the_demo_prints_the_address_of_its_page_before_anything_else() -> None:
    """What `evertoken demo` prints begins with the page to open."""
    first = walkthrough("http://localhost:8123", USERNAME, PASSWORD, "15").strip().splitlines()[0]
    assert first.startswith("Open http://localhost:8123/demo in a browser")


@pytest.mark.parametrize("name", TILES)
def test_the_same_time_and_seed_give_the_same_figures(name: str) -> None:
    """The dashboard's figures are made up from the time and a seed, and from nothing else."""
    assert tile(name, now_ms=START_MS, seed="a") == tile(name, now_ms=START_MS, seed="a")
    later = [tile(name, now_ms=START_MS + step * 2000, seed="a") for step in range(1, 6)]
    assert any(figures != tile(name, now_ms=START_MS, seed="a") for figures in later)


@pytest.mark.parametrize("name", ["orders", "queue", "temperature"])
def test_a_chart_moves_on_by_one_figure_every_two_seconds(name: str) -> None:
    """What a chart showed two seconds ago is still there, one place further back."""
    before, after = (tile(name, now_ms=START_MS + ms, seed="a") for ms in (0, 2000))
    assert before is not None
    assert after is not None
    assert len(after["history"]) == POINTS
    assert before["history"][1:] == after["history"][:-1]
    assert all(math.isfinite(value) and value >= 0 for value in after["history"])


async def test_a_tile_without_a_good_access_token_is_a_401_that_asks_for_one(stranger: httpx2.AsyncClient) -> None:
    """The demo's figures are guarded like any resource: no token, or a bad one, is a 401 with a challenge."""
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = await stranger.get("/demo/api/orders", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_tile_that_does_not_exist_is_a_404(browser: Browser) -> None:
    """An unknown tile is not there, whoever asks."""
    assert (await browser.tile("nonsense")).status_code == 404
    assert (await browser.tile("clock")).json() == {"now_ms": START_MS}


async def test_expiring_refuses_the_tokens_of_before_and_takes_those_of_after(browser: Browser) -> None:
    """The demo's expire button makes real 401s: the token of before is expired, that of the next refresh is good."""
    assert (await browser.tile()).status_code == 200
    await browser.control("POST", "/demo/expire")
    refused = await browser.tile()
    assert (refused.status_code, refused.json()["code"]) == (401, "token_expired")
    assert (await browser.refresh()).status_code == 200
    assert (await browser.tile()).status_code == 200  # in the same millisecond: the clock stands still


async def test_expiring_concerns_one_session_only(browser: Browser, stranger: httpx2.AsyncClient) -> None:
    """Another session of the same user goes on with the token it has."""
    answer = await stranger.post(
        "/auth/login", json={"username": USERNAME, "password": PASSWORD}, headers={**OURS, "Cookie": ""}
    )
    other = answer.json()["access_token"]
    await browser.control("POST", "/demo/expire")
    assert (await browser.tile()).status_code == 401
    answer = await stranger.get("/demo/api/orders", headers={"Authorization": f"Bearer {other}"})
    assert answer.status_code == 200


async def test_a_lost_answer_is_committed_and_brings_no_cookie(browser: Browser) -> None:
    """A refresh whose answer is to be lost is done all the same; its cookie never arrives, the old one is good."""
    cookie = browser.cookie
    lost = await browser.refresh(**{"X-Demo-Lose": "1"})
    assert (lost.status_code, lost.content, lost.headers["X-Demo-Lost"]) == (204, b"", "1")
    assert "set-cookie" not in lost.headers
    assert browser.cookie == cookie
    assert (await browser.refresh()).status_code == 200
    assert browser.cookie != cookie


async def test_a_refused_refresh_is_refused_though_its_answer_is_lost(browser: Browser) -> None:
    """Losing an answer does not change what the server decides."""
    await browser.http.post("/auth/logout", headers={"Authorization": f"Bearer {browser.tokens['access_token']}"})
    assert (await browser.refresh(**{"X-Demo-Lose": "1"})).status_code == 204
    assert (await browser.refresh()).status_code == 401


async def test_a_thief_who_waits_is_shut_out_and_the_session_ends(browser: Browser) -> None:
    """A copied token dies once the owner has used a ripe successor; presenting it then ends the session for both."""
    assert (await browser.control("POST", "/demo/thief"))["owner_holds"] == "the_same"
    assert (await browser.refresh()).status_code == 200
    told = await browser.control("GET", "/demo/thief")
    assert (told["owner_holds"], told["would_be"]) == ("successor", "reissue")
    assert told["owner_ripe_in_seconds"] == MATURITY_SECONDS
    browser.clock.advance(MATURITY_SECONDS)
    assert (await browser.refresh()).status_code == 200
    told = await browser.control("GET", "/demo/thief")
    assert (told["owner_holds"], told["would_be"]) == ("later", "stale")
    browser.clock.advance(OVERLAP_SECONDS + 0.001)
    assert (await browser.control("GET", "/demo/thief"))["would_be"] == "replay"
    assert await browser.control("POST", "/demo/thief/use") == {"answer": "over", "reason": "replayed"}
    owners = await browser.refresh()
    assert (owners.status_code, owners.json()["reason"]) == (401, "replayed")
    assert (await browser.control("GET", "/demo/thief"))["would_be"] == "gone"


async def test_a_thief_who_is_quick_is_found_out_at_the_owners_next_ripe_step(browser: Browser) -> None:
    """A thief who uses the copy first is let in, until owner and thief have gone different ways: then it is over."""
    await browser.control("POST", "/demo/thief")
    assert await browser.control("POST", "/demo/thief/use") == {"answer": "granted", "has_refresh_token": True}
    assert (await browser.refresh()).status_code == 200
    browser.clock.advance(MATURITY_SECONDS)
    assert (await browser.control("POST", "/demo/thief/use"))["answer"] == "granted"
    stale = await browser.refresh()
    assert (stale.status_code, stale.json()["code"]) == (503, "stale")
    browser.clock.advance(OVERLAP_SECONDS + 0.001)
    assert (await browser.refresh()).json()["reason"] == "replayed"
    assert await browser.control("POST", "/demo/thief/use") == {"answer": "over", "reason": "replayed"}


async def test_a_thief_is_told_to_wait_while_the_copy_may_be_a_late_message(browser: Browser) -> None:
    """Within the overlap a dead copy gets no tokens and ends nothing."""
    await browser.control("POST", "/demo/thief")
    await browser.refresh()
    browser.clock.advance(MATURITY_SECONDS)
    await browser.refresh()
    told = await browser.control("POST", "/demo/thief/use")
    assert told == {"answer": "stale", "retry_after_seconds": OVERLAP_SECONDS}
    assert (await browser.refresh()).status_code == 200


async def test_no_token_is_told_to_the_page_by_a_theft(browser: Browser) -> None:
    """The copy stays in the server: no answer of the demo's routes holds a refresh token."""
    answers = [await browser.http.request(method, path, headers=OURS) for method, path in _CONTROLS]
    assert all(answer.status_code in (200, 204) for answer in answers)
    assert "etr_" not in "".join(answer.text for answer in answers)


_CONTROLS = [("POST", "/demo/expire"), ("POST", "/demo/thief"), ("GET", "/demo/thief"), ("POST", "/demo/thief/use")]


@pytest.mark.parametrize(("method", "path"), _CONTROLS)
async def test_the_demos_controls_obey_pages_of_its_own_origin_only(browser: Browser, method: str, path: str) -> None:
    """A page elsewhere can neither expire, nor steal, nor look, though the cookie may come along."""
    for headers in ({}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}):
        answer = await browser.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert (await browser.tile()).status_code == 200


@pytest.mark.parametrize(("method", "path"), _CONTROLS)
async def test_without_a_session_there_is_nothing_to_break(
    stranger: httpx2.AsyncClient, method: str, path: str
) -> None:
    """The demo's controls act on the caller's own session, and a caller without one gets a 401."""
    assert (await stranger.request(method, path, headers=OURS)).status_code == 401


async def test_using_what_was_never_stolen_is_a_404(browser: Browser) -> None:
    """A thief needs a theft."""
    for method, path in (("GET", "/demo/thief"), ("POST", "/demo/thief/use")):
        assert (await browser.http.request(method, path, headers=OURS)).status_code == 404


async def test_the_root_leads_to_the_demo_and_the_demo_says_what_it_needs(stranger: httpx2.AsyncClient) -> None:
    """GET / leads to /demo; /demo/about names the demo user and the durations that the page speaks of."""
    home = await stranger.get("/")
    assert (home.status_code, home.headers["Location"]) == (303, "/demo")
    page = await stranger.get("/demo")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (await stranger.get("/demo/about")).json() == {
        "username": USERNAME,
        "password": PASSWORD,
        "access_seconds": 15,
        "overlap_seconds": OVERLAP_SECONDS,
        "maturity_seconds": MATURITY_SECONDS,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [*_CONTROLS, ("GET", "/"), ("GET", "/demo"), ("GET", "/demo/about"), ("GET", "/demo/api/orders")],
)
def test_a_server_that_is_no_demo_has_none_of_it(live: LiveServer, http: httpx2.Client, method: str, path: str) -> None:
    """`evertoken serve` knows no route of the demo."""
    assert http.request(method, path, headers=OURS).status_code == 404


def test_a_server_that_is_no_demo_serves_no_file_of_it_and_loses_no_answer(
    live: LiveServer, http: httpx2.Client
) -> None:
    """The demo's scripts are not there, and the header that loses an answer does nothing."""
    assert http.get("/pages/style.css").status_code == 200
    assert http.get("/pages/demo/main.js").status_code == 404
    tokens = live.sign_in(http)
    body = {"refresh_token": tokens["refresh_token"]}
    assert http.post("/auth/refresh", json=body, headers={"X-Demo-Lose": "1"}).status_code == 200
