"""What several machines on one database promise: what one promises. A file for each database subclasses this."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from evertoken.errors import TokenRevoked
from evertoken.guards import Guard
from evertoken.sessions.model import Caller, RotationRequest
from evertoken.sessions.rotation import Outcome
from evertoken.stores.store import Store
from evertoken.testing import ChaosProxy
from evertoken.tokens import refresh_token
from tests.guards.elsewhere import Standing
from tests.machines.databases import Opened
from tests.machines.people import People, Record, until
from tests.machines.world import Host, World, bearer, refresh, sign_in, world
from tests.processes.ledger import Ledger

CLIENTS: Final = 64
USERS: Final[dict[str, tuple[str, ...]]] = {
    **{f"user{number}": () for number in range(CLIENTS)},
    **dict.fromkeys(("ada", "bob", "carol", "dan", "erin"), ()),
    "root": ("admin",),
}
ACCESS_LIFETIME_SECONDS: Final = 4
OVERLAP_SECONDS: Final = 1
LIFE_SECONDS: Final = 0.9
"""On a bad network, the longest that a request and its answer live: just under the overlap."""

FREE_FAILURES: Final = 5
KNOWN_WITHIN_SECONDS: Final = 2.0
DEADLINE_SECONDS: Final = 10.0
"""A server gives up on its database after 8 s; the rest is for a busy machine."""

BACK_WITHIN_SECONDS: Final = 30.0
ASKED_EACH: Final = 6
"""Connections to one machine, so that each of its workers gets some."""


def aged(presented: str, count: int = 1) -> list[str]:
    """Children of a refresh token as the server would have made them an hour ago: ripe."""
    ledger = Ledger()
    parent = ledger.read(presented)
    return [
        refresh_token.mint(refresh_token.child_of(parent, now_ms=round(time.time() * 1000) - 3_600_000), ledger.secrets)
        for _ in range(count)
    ]


def accepted(world: World, access_token: str) -> set[int]:
    """How the workers of all machines answer to an access token."""
    return {answer for _, answer in _asked_everywhere(world, access_token)}


def _asked_everywhere(world: World, access_token: str) -> list[tuple[float, int]]:
    """When each of many connections to every machine asked, and the answer."""
    headers = bearer(access_token) | {"Connection": "close"}
    with httpx2.Client(verify=False) as client:
        return [
            (time.monotonic(), client.get(f"{host.url}/auth/me", headers=headers).status_code)
            for host in world.hosts
            for _ in range(ASKED_EACH)
        ]


def refused_everywhere(world: World, access_token: str, *, since: float) -> float:
    """Wait until no worker takes a token; returns when, after `since`, the last one was asked that still took it."""
    last = since
    while taken := [asked_at for asked_at, answer in _asked_everywhere(world, access_token) if answer != 401]:
        last = max(taken)
        assert last - since < BACK_WITHIN_SECONDS
    return last - since


def follower(world: World, client_id: str, *, monotonic: Callable[[], float] = time.monotonic) -> Guard:
    """A guard in another service, which knows nginx's address and nothing of the machines."""
    told = dict(line.split() for line in world.hosts[0].run("clients", "add", client_id).splitlines())
    return Guard(
        world.url,
        world.url,
        client_id=told["client_id"],
        client_secret=told["client_secret"],
        allow_http=True,
        monotonic=monotonic,
    )


def three_machines(
    folder: Path,
    opened: Opened,
    *,
    environments: Sequence[dict[str, str]] = ({}, {}, {}),
    **settings: Any,
) -> AbstractContextManager[World]:
    """
    The world that the rules are for.

    Args:
        environments: What each machine's server has in its environment besides the secret.
        settings: Of all servers, as flags.
    """
    return world(
        folder,
        opened,
        environments=environments,
        users=USERS,
        access_lifetime=f"{ACCESS_LIFETIME_SECONDS}s",
        overlap=f"{OVERLAP_SECONDS}s",
        **settings,
    )


class Together:
    """The rules. A subclass's module gives the fixture `world`, for the whole file."""

    def test_every_machine_is_ready(self, world: World) -> None:
        """Each says so at its own address; nginx does not say it in the name of one of them."""
        with world.ways() as ways, world.client() as front:
            for way in ways:
                assert [way.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
            assert front.get("/readyz").status_code == 404

    def test_a_session_begun_on_one_machine_goes_on_on_every_other(self, world: World) -> None:
        """Whichever machine a call comes to, the answer is the same; nothing has to stick."""
        with world.ways() as ways:
            tokens = sign_in(ways[0], "ada")
            for way in ways * 2:
                answer = refresh(way, tokens["refresh_token"])
                assert answer.status_code == 200, answer.text
                tokens |= answer.json()
                for other in ways:
                    me = other.get("/auth/me", headers=bearer(tokens["access_token"]))
                    assert (me.status_code, me.json().get("sid")) == (200, tokens["session_id"])
            sets = [way.get("/.well-known/jwks.json").json() for way in ways]
            assert sets[0]["keys"]
            assert all(one == sets[0] for one in sets)

    def test_siblings_that_race_over_all_machines_leave_one_chain(self, world: World) -> None:
        """Tabs got a child each of one token and present them to different machines at once: one wins."""
        with world.ways() as ways:
            tokens = sign_in(ways[0], "ada")

            async def race() -> list[httpx2.Response]:
                siblings = aged(tokens["refresh_token"], 12)
                async with httpx2.AsyncClient() as client:
                    return await asyncio.gather(
                        *(
                            client.post(
                                f"{world.hosts[number % len(ways)].url}/auth/refresh", json={"refresh_token": one}
                            )
                            for number, one in enumerate(siblings)
                        )
                    )

            answers = asyncio.run(race())
            assert sorted(answer.status_code for answer in answers) == [200] + [503] * 11
            assert {answer.json()["code"] for answer in answers if answer.status_code == 503} == {"stale"}
            (winner,) = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
            assert {refresh(way, winner).status_code for way in ways} == {200}

    def test_a_stolen_token_is_seen_by_whichever_machine_it_comes_to(self, world: World) -> None:
        """A token whose successors were presented elsewhere ends the session for thief and owner, on all machines."""
        with world.ways() as ways:
            tokens = sign_in(ways[0], "bob")
            (child,) = aged(tokens["refresh_token"])
            (grandchild,) = aged(child)
            assert refresh(ways[0], child).status_code == 200
            assert refresh(ways[1], grandchild).status_code == 200
            for way, token in ((ways[2], tokens["refresh_token"]), (ways[0], grandchild), (ways[1], grandchild)):
                refused = refresh(way, token)
                assert (refused.status_code, refused.json()["reason"]) == (401, "replayed")
        refused_everywhere(world, tokens["access_token"], since=time.monotonic())

    def test_what_ends_on_one_machine_is_refused_by_every_guard_within_two_seconds(
        self, world: World, tell: Callable[[str], None]
    ) -> None:
        """By all workers of all machines, and by a service elsewhere that follows through nginx."""
        with world.ways() as ways, follower(world, "orders") as guard:
            tokens, other = sign_in(ways[0], "bob"), sign_in(ways[1], "bob")
            assert accepted(world, tokens["access_token"]) == {200}
            assert guard.check(tokens["access_token"]).sid == tokens["session_id"]
            out = ways[0].post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
            since = time.monotonic()
            assert out.status_code == 204
            elsewhere = _until_refused(guard, tokens["access_token"], since=since)
            here = refused_everywhere(world, tokens["access_token"], since=since)
            assert max(elsewhere, here) < KNOWN_WITHIN_SECONDS
            for way in ways:
                assert refresh(way, tokens["refresh_token"]).json()["reason"] == "signed_out"
            assert accepted(world, other["access_token"]) == {200}
            assert guard.check(other["access_token"]).sid == other["session_id"]
        tell(f"{elsewhere:.2f} s until a service elsewhere refused it, {here:.2f} s until every worker did")

    def test_signing_out_everywhere_reaches_sessions_of_all_machines(self, world: World) -> None:
        """One call to one machine ends what the others began; somebody else's session goes on."""
        with world.ways() as ways:
            mine = [sign_in(way, "carol") for way in ways]
            theirs = sign_in(ways[0], "dan")
            listed = ways[1].get("/auth/sessions", headers=bearer(mine[0]["access_token"])).json()["sessions"]
            assert {one["id"] for one in listed} == {one["session_id"] for one in mine}
            assert ways[2].delete("/auth/sessions", headers=bearer(mine[0]["access_token"])).status_code < 300
            for way, tokens in zip(ways[1:] + ways[:1], mine, strict=True):
                assert refresh(way, tokens["refresh_token"]).status_code == 401
            assert refresh(ways[1], theirs["refresh_token"]).status_code == 200
        refused_everywhere(world, mine[2]["access_token"], since=time.monotonic())

    def test_wrong_passwords_are_one_count_whichever_machine_they_come_to(self, world: World) -> None:
        """Guesses that nginx spreads over all machines are slowed down as if there were one."""
        wrong = {"username": "erin", "password": "not the one she chose"}

        async def guess() -> list[int]:
            async with httpx2.AsyncClient(base_url=world.url, timeout=60.0) as client:
                tries = [client.post("/auth/login", json=wrong) for _ in range(FREE_FAILURES * len(world.hosts))]
                return [answer.status_code for answer in await asyncio.gather(*tries)]

        answers = Counter(asyncio.run(guess()))
        assert answers.keys() == {401, 429}, "as many as each machine would let pass if it counted alone"
        assert answers[401] >= FREE_FAILURES

    def test_an_operator_sees_the_sessions_of_all_machines_at_any(self, world: World) -> None:
        """The admin page's list holds what every machine began, and ends it from wherever it is asked."""
        with world.ways() as ways:
            operator = bearer(sign_in(ways[0], "root")["access_token"])
            begun = {sign_in(way, "dan")["session_id"]: way for way in ways}
            for way in ways:
                page = way.get("/admin/sessions", params={"search": "dan", "limit": "100"}, headers=operator).json()
                assert begun.keys() <= {one["id"] for one in page["sessions"]}
            for session_id in begun:
                assert ways[2].delete(f"/admin/sessions/{session_id}", headers=operator).status_code < 300
            page = ways[0].get("/admin/sessions", params={"search": "dan", "limit": "100"}, headers=operator).json()
            assert not begun.keys() & {one["id"] for one in page["sessions"]}

    @pytest.mark.slow
    def test_sixty_four_clients_on_a_bad_network_stay_signed_in_while_keys_are_rotated(
        self, world: World, tmp_path: Path, tell: Callable[[str], None]
    ) -> None:
        """
        Refreshes spread over all machines, answers lost, requests doubled and late, and a new signing key meanwhile:
        nobody is signed out, nobody's token is refused, here or in a service elsewhere, and each session is one chain.
        """
        record = Record()
        tell(asyncio.run(_weather(world, tmp_path, record, refreshes=2 * CLIENTS)))
        check_chains(world, record)
        assert "me 401" not in record.answers
        assert "Traceback" not in world.errors()

    @pytest.mark.soak
    def test_sixty_four_clients_on_a_bad_network_stay_signed_in_for_long(
        self, world: World, tmp_path: Path, tell: Callable[[str], None]
    ) -> None:
        """The same for some minutes."""
        record = Record()
        tell(asyncio.run(_weather(world, tmp_path, record, refreshes=60 * CLIENTS)))
        check_chains(world, record)

    def test_a_machine_without_its_database_says_so_while_the_others_go_on(self, world: World) -> None:
        """Its link to the database is cut: 503 within the deadline there; when it is back, so is the machine."""
        cut = world.hosts[0]
        with world.ways() as ways:
            tokens = sign_in(ways[0], "ada")
            cut.machine.cut_off(world.database.machine)
            try:
                refused, unready = asyncio.run(_refused_at(cut, tokens["refresh_token"]))
                assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
                assert int(refused.headers["retry-after"]) >= 1
                assert unready.status_code == 503
                assert ways[0].get("/healthz").status_code == 200
                assert ways[0].get("/auth/me", headers=bearer(tokens["access_token"])).status_code in {200, 401}
                for way in ways[1:]:
                    assert way.get("/readyz").status_code == 200
                    assert refresh(way, tokens["refresh_token"]).status_code == 200
            finally:
                cut.machine.reconnect(world.database.machine)
            give_up_at = time.monotonic() + BACK_WITHIN_SECONDS
            while ways[0].get("/readyz", timeout=DEADLINE_SECONDS).status_code != 200:
                assert time.monotonic() < give_up_at
            assert refresh(ways[0], tokens["refresh_token"]).status_code == 200
            assert cut.server.is_running()


def _until_refused(guard: Guard, access_token: str, *, since: float) -> float:
    """As `refused_everywhere`, of a guard elsewhere."""
    last = since
    while True:
        asked_at = time.monotonic()
        try:
            guard.check(access_token)
        except TokenRevoked:
            return last - since
        last = asked_at
        assert last - since < BACK_WITHIN_SECONDS
        time.sleep(0.005)  # the guard's own thread hears of it from a real server


async def _refused_at(host: Host, presented: str) -> tuple[httpx2.Response, httpx2.Response]:
    """What a refresh and the question of readiness get, within the deadline; both at once."""
    async with httpx2.AsyncClient(base_url=host.url, timeout=DEADLINE_SECONDS) as client:
        refused, unready = await asyncio.gather(
            client.post("/auth/refresh", json={"refresh_token": presented}), client.get("/readyz")
        )
    return refused, unready


async def _weather(world: World, folder: Path, record: Record, *, refreshes: int) -> str:
    """Sixty-four clients behind a bad network, and a key rotation; gives the figures."""
    standing = Standing()
    checked = 0
    within_seconds = 60 + refreshes / 5  # some fifteen come in a second on two cores
    with (
        ChaosProxy(
            world.url,
            lose_requests=0.03,
            lose_answers=0.05,
            duplicate=0.05,
            delay_seconds=(0.0, LIFE_SECONDS / 3 - 0.01),
            bound_seconds=LIFE_SECONDS,
            only=r"^/auth/(refresh|me)$",
        ) as network,
        await asyncio.to_thread(lambda: follower(world, f"weather-{refreshes}", monotonic=standing).start()) as guard,
    ):
        people = People(network.url, CLIENTS, record=record, chance=random.Random(), folder=folder)
        network.change(lose_requests=0.0, lose_answers=0.0, duplicate=0.0)
        await people.sign_in()
        network.change(lose_requests=0.03, lose_answers=0.05, duplicate=0.05)
        old = set(guard.status().key_ids)

        async def check() -> None:
            """Every access token, in a service elsewhere; it learns of the new key when it sees one."""
            nonlocal checked
            while True:
                for token, came_ms in record.take():
                    await guard.check_async(token, now_ms=came_ms)
                    checked += 1
                await asyncio.sleep(0.01)  # for more tokens; it is cancelled at the end

        async with asyncio.TaskGroup() as group:
            using = group.create_task(people.use())
            checking = group.create_task(check())
            await until(lambda: record.refreshes >= refreshes // 3, within_seconds=within_seconds)
            printed = await asyncio.to_thread(world.hosts[1].run, "keys", "rotate", "--announce", "5s")
            standing.now += 60.0  # a guard asks for unknown keys twice a minute at most
            await until(lambda: set(guard.status().key_ids) - old)
            await until(lambda: record.refreshes >= refreshes, within_seconds=within_seconds)
            so_far = record.refreshes
            await until(lambda: record.refreshes >= so_far + CLIENTS // 2)
            people.stop()
            await using
            await until(lambda: not record.take())
            checking.cancel()
        network.calm()
        await asyncio.to_thread(network.settle)
        await people.refresh_all()
        network.assert_nobody_signed_out()
        assert printed.split()[0] in guard.status().key_ids
        lost = {name: network.counts[name] for name in ("requests_lost", "answers_lost", "duplicated")}
        assert min(lost.values()) > 0
    return f"{record.in_words()}; {checked} tokens checked elsewhere; on the way: {lost}; seed {network.seed}"


def check_chains(world: World, record: Record) -> None:
    """Each session lives, and the token that its owner holds is the newest or the newest one's child."""

    async def look(store: Store) -> list[str]:
        wrong = []
        for session_id, held in record.held.items():
            session = await store.find(session_id)
            if session is None or session.revoked_at_ms is not None:
                wrong.append(f"{held[-6:]}: it has ended: {session and session.revoked_reason}")
                continue
            outcome = await store.judge(RotationRequest(record.ledger.read(held), Caller()))
            if outcome not in {Outcome.REISSUE, Outcome.EARLY, Outcome.ADVANCE}:
                wrong.append(f"{held[-6:]}: {outcome}")
            acknowledged = record.ledger.sessions[session_id].granted
            if session.rotations < acknowledged:
                wrong.append(f"{held[-6:]}: {session.rotations} rotations, {acknowledged} were acknowledged")
        return wrong

    assert len(record.held) == CLIENTS
    assert world.in_store(look) == []
