"""Whole servers over one database: what they promise alone they promise together, whichever engine it is."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest

from evertoken.assembly import build
from evertoken.edge.settings import Settings
from evertoken.errors import ConfigurationError
from evertoken.secret import Secret
from evertoken.sessions.model import session_id_bytes
from tests.support.process import ServerProcess, run_evertoken
from tests.support.server import LiveServer, client_at, live_server

SECRET = "a-secret-of-more-than-thirty-two-characters"
SOON_SECONDS = 20.0
PASSWORD_BEGINS = "p4ss"
"""As the password in every database of the tests does, in a URL and by itself."""


class Database(Protocol):
    """A database server of the test's own."""

    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def back_up(self) -> Path: ...

    def restore(self, copy: Path) -> None: ...


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def _refresh(client: httpx2.Client, tokens: dict[str, Any]) -> httpx2.Response:
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def _wait_until_ready(client: httpx2.Client) -> None:
    give_up_at = time.monotonic() + SOON_SECONDS
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < give_up_at


@contextlib.contextmanager
def two_servers(database: Database, folders: pytest.TempPathFactory) -> Iterator[list[LiveServer]]:
    """Two servers, each with a loop and connections of its own, as on two machines behind one address."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                live_server(
                    folders.mktemp(f"machine-{number}"),
                    store=database.url(),
                    secret=(Secret(SECRET),),
                    issuer="http://auth.test",
                )
            )
            for number in range(2)
        ]
        for server in started:
            server.url = f"http://127.0.0.1:{server.server.services.settings.port}"  # of this one, not the issuer's
        started[0].add_user("ada")
        yield started


class WholeServers:
    """
    The fixtures `database`, and `servers` over it, belong to the module of the engine.

    `running` gives a database server of its own for as long as its context lasts.
    """

    running: Callable[[], contextlib.AbstractContextManager[Database]]

    def test_a_session_begins_on_one_machine_goes_on_on_another_and_ends_on_both(
        self, servers: list[LiveServer]
    ) -> None:
        """Sign in, refresh, list, change nothing else: whichever machine a call comes to, the answer is the same."""
        with servers[0].client() as here, servers[1].client() as there:
            tokens = servers[0].sign_in(here)
            assert there.get("/auth/me", headers=_bearer(tokens)).json()["sid"] == tokens["session_id"]
            renewed = _refresh(there, tokens)
            assert renewed.status_code == 200
            assert _refresh(here, renewed.json()).status_code == 200  # early: its parent is good still
            listed = here.get("/auth/sessions", headers=_bearer(tokens)).json()
            assert [one["id"] for one in listed["sessions"]] == [tokens["session_id"]]
            assert there.post("/auth/logout", headers=_bearer(tokens)).status_code == 204
            for client in (here, there):
                refused = _refresh(client, tokens)
                assert (refused.status_code, refused.json()["reason"]) == (401, "signed_out")

    def test_an_access_token_that_was_ended_on_one_machine_is_soon_refused_by_another(
        self, servers: list[LiveServer]
    ) -> None:
        """Every machine follows the revocations of all, without being asked for anything."""
        with servers[0].client() as here, servers[1].client() as there:
            tokens = servers[0].sign_in(here)
            assert there.get("/auth/me", headers=_bearer(tokens)).status_code == 200
            assert here.post("/auth/logout", headers=_bearer(tokens)).status_code == 204
            assert here.get("/auth/me", headers=_bearer(tokens)).status_code == 401
            give_up_at = time.monotonic() + SOON_SECONDS
            while there.get("/auth/me", headers=_bearer(tokens)).status_code == 200:
                assert time.monotonic() < give_up_at
                time.sleep(0.02)  # the other server asks for revocations four times a second of real time

    def test_wrong_passwords_count_wherever_they_are_tried(self, servers: list[LiveServer]) -> None:
        """Guessing at two machines in turn is slowed down as at one."""
        with servers[0].client() as here, servers[1].client() as there:
            answers = [
                client.post("/auth/login", json={"username": "nobody", "password": "wrong-horse-battery"}).status_code
                for _ in range(6)
                for client in (here, there)
            ]
            assert answers[:5] == [401] * 5
            assert 429 in answers

    def test_machines_sign_with_the_same_keys(self, servers: list[LiveServer]) -> None:
        """The first machine made the keys, the others read them."""
        sets = []
        for server in servers:
            with server.client() as client:
                sets.append(client.get("/.well-known/jwks.json").json())
        assert sets[0] == sets[1]
        assert sets[0]["keys"]

    def test_a_database_that_goes_away_is_503_and_comes_back(
        self, database: Database, servers: list[LiveServer], capfd: pytest.CaptureFixture[str]
    ) -> None:
        """While it is gone: 503 with Retry-After, not ready; then everybody goes on, and no password is logged."""
        with servers[0].client() as client:
            tokens = servers[0].sign_in(client)
            database.kill()
            refused = _refresh(client, tokens)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            database.start()
            _wait_until_ready(client)
            assert _refresh(client, tokens).status_code == 200
        told = "".join(capfd.readouterr())
        assert PASSWORD_BEGINS not in told

    def test_a_restored_backup_ends_no_session_that_it_knows(self, tmp_path: Path) -> None:
        """A failover that lost commits, or a backup put back: who was signed in then goes on, with the newest token."""
        with self.running() as own, contextlib.ExitStack() as stack:
            # At an overlap of 0 every successor counts at once: each refresh is one that the backup does not know.
            live = stack.enter_context(
                live_server(tmp_path, store=own.url(), secret=(Secret(SECRET),), overlap=timedelta(0))
            )
            live.add_user("ada")
            client = stack.enter_context(live.client())
            tokens = _refresh(client, live.sign_in(client)).json()
            copy = own.back_up()
            _wait_until_ready(client)
            for _ in range(4):
                tokens = _refresh(client, tokens).json()
            begun_since = live.sign_in(client)
            own.restore(copy)
            _wait_until_ready(client)
            renewed = _refresh(client, tokens)
            assert renewed.status_code == 200
            assert renewed.json()["session_id"] == tokens["session_id"]
            (healed,) = [event for event in live.run(live.server.store.newest_events(20)) if event.kind == "heal"]
            assert healed.session_id == session_id_bytes(tokens["session_id"])
            gone = _refresh(client, begun_since)
            assert (gone.status_code, gone.json()["reason"]) == (401, "unknown")
            # Guards go on from where they were: what is ended now has a number above those that were lost.
            assert client.post("/auth/logout", headers=_bearer(renewed.json())).status_code == 204
            assert client.get("/auth/me", headers=_bearer(renewed.json())).status_code == 401

    def test_a_shared_database_needs_a_secret_that_is_shared_too(self, database: Database) -> None:
        """No machine makes up a secret of its own, which the others would not know."""
        settings = Settings(store=database.url())
        with pytest.raises(ConfigurationError, match=r"secret: must be set for \w+://evertoken:") as raised:
            build(settings)
        assert PASSWORD_BEGINS not in str(raised.value) + repr(settings)

    def test_the_command_line_works_on_it_as_on_a_file(self, database: Database, tmp_path: Path) -> None:
        """Users, sessions and doctor take the same --store; workers of `serve` share it."""
        environment = {"EVERTOKEN_STORE": database.url(), "EVERTOKEN_SECRET": SECRET}
        added = run_evertoken(
            "users", "add", "bob", "--password-stdin", environment=environment, stdin="correct-horse-battery\n"
        )
        assert added.stdout == "added bob\n", added.stderr
        with (
            ServerProcess(tmp_path, store=database.url(), workers=2, environment=environment) as server,
            client_at(server.url) as client,
        ):
            answer = client.post("/auth/login", json={"username": "bob", "password": "correct-horse-battery"})
            assert answer.status_code == 200, answer.text
            assert _refresh(client, answer.json()).status_code == 200
        listed = run_evertoken("sessions", "list", "--user", "bob", environment=environment)
        assert answer.json()["session_id"] in listed.stdout
        looked = run_evertoken("doctor", environment=environment)
        assert "can be read and written" in looked.stdout
        told = listed.stdout + looked.stdout + looked.stderr + server.stdout + server.stderr
        assert PASSWORD_BEGINS not in told
