"""Three machines on one PostgreSQL, over TLS, with clocks that differ by minutes."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from evertoken.errors import TokenExpired, TokenNotYetValid
from evertoken.guards import Guard
from tests.machines.clocks import clock_off_by, need_wrong_clocks
from tests.machines.databases import postgresql
from tests.machines.going import Going
from tests.machines.together import (
    ACCESS_LIFETIME_SECONDS,
    DEADLINE_SECONDS,
    Together,
    accepted,
    three_machines,
)
from tests.machines.world import World, bearer, sign_in
from tests.stores.postgresql.server import PASSWORD, PASSWORD_ITSELF
from tests.support.process import run_evertoken

pytestmark = pytest.mark.alone

OFF_BY_SECONDS = (0, 180, -180)
"""Whose clock is how far from the database's. More than the minute that a guard forgives, either way."""


@pytest.fixture(scope="module", name="world")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for the whole file."""
    with three_machines(
        tmp_path_factory.mktemp("machines"),
        postgresql,
        environments=[clock_off_by(seconds) for seconds in OFF_BY_SECONDS],
        workers=2,
        drain="1s",
    ) as running:
        yield running


class TestPostgresql(Together, Going):
    """The rules, on PostgreSQL, with wrong clocks."""


# ---- clocks ----


def test_machines_whose_clocks_differ_by_minutes_take_each_others_tokens(world: World) -> None:
    """The database's clock decides: a token made on any machine is good on all, and its dates are the database's."""
    need_wrong_clocks()
    with world.ways() as ways:
        for way in ways:
            tokens = sign_in(way, "ada")
            assert accepted(world, tokens["access_token"]) == {200}
            claims = way.get("/auth/me", headers=bearer(tokens["access_token"])).json()
            assert abs(claims["iat"] - time.time()) < DEADLINE_SECONDS
            assert 0 <= claims["exp"] - claims["iat"] - ACCESS_LIFETIME_SECONDS <= 1
            listed = way.get("/auth/sessions", headers=bearer(tokens["access_token"])).json()["sessions"]
            assert tokens["session_id"] in {one["id"] for one in listed}


@pytest.mark.parametrize("number", range(len(OFF_BY_SECONDS)))
def test_doctor_and_log_tell_of_a_clock_that_is_off(world: World, number: int) -> None:
    """Whoever runs `evertoken doctor` on a machine, or reads its log, learns by how much its clock is wrong."""
    need_wrong_clocks()
    host, off = world.hosts[number], OFF_BY_SECONDS[number]
    which_way = "ahead of" if off > 0 else "behind"
    wrong = f"this machine's is 3 min 0 s {which_way} the store's, by which the server goes; keep both by NTP"
    said = f"mend   clock: {wrong}" if off else "ok     clock: agrees with the store's to within 2 s"
    (line,) = [line for line in host.run("doctor").splitlines() if line.startswith(said)]
    warned = [line for line in host.server.stderr.splitlines() if "this machine's clock is 3 min 0 s" in line]
    assert bool(warned) is bool(off), line


def test_a_guard_elsewhere_goes_by_its_own_clock_and_forgives_a_minute(world: World) -> None:
    """It knows no store: `leeway_seconds` is what it forgives after the end, and a minute before the beginning."""
    with world.client() as front:
        token = sign_in(front, "ada")["access_token"]
        now_ms = round(time.time() * 1000)
        for leeway_seconds in (0, 60):
            with Guard(world.url, world.url, allow_http=True, leeway_seconds=leeway_seconds) as guard:
                with pytest.raises(TokenNotYetValid):
                    guard.check(token, now_ms=now_ms - 70_000)
                claims = guard.check(token, now_ms=now_ms - 50_000)
                end_ms = round(claims.exp * 1000)
                assert guard.check(token, now_ms=end_ms - 1 + leeway_seconds * 1000) == claims
                with pytest.raises(TokenExpired):
                    guard.check(token, now_ms=end_ms + leeway_seconds * 1000)


# ---- the database's own address ----


def test_postgresql_is_reached_over_tls_and_only_under_its_own_name(world: World) -> None:
    """With `sslmode=verify-full` every connection is TLS, and a server that others vouch for is refused in one line."""
    url = str(world.database.settings["store"])
    with world.ways() as ways:
        assert [way.get("/readyz").status_code for way in ways] == [200] * len(ways)
    plain, own = asyncio.run(_connections(url))
    assert (plain, own > 0) == (0, True)
    stranger = url.replace(str(world.database.certificates.authority), str(world.database.certificates.server))
    refused = run_evertoken("serve", "--store", stranger, environment={"EVERTOKEN_SECRET": "x" * 40})
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("evertoken: store: postgresql://evertoken:***@")
    assert "certificate verify failed" in line
    assert PASSWORD not in refused.stderr
    assert PASSWORD_ITSELF not in refused.stderr


async def _connections(url: str) -> tuple[int, int]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'evertoken'"
        )
    finally:
        await connection.close()
    return sum(not row[0] for row in rows), sum(row[0] for row in rows)
