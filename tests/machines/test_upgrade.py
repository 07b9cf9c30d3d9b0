"""A newer evertoken comes to the database of one that runs: both serve, and the older one starts no more."""

import asyncio
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import evertoken
from tests.machines.people import People, Record, until
from tests.machines.world import ENVIRONMENT, add_users_to, refresh, sign_in
from tests.stores.postgresql.server import PostgresServer, running_postgres
from tests.support.process import ServerProcess, run_evertoken
from tests.support.server import client_at

pytestmark = pytest.mark.alone

CLIENTS = 24
_SETTINGS = {"access_lifetime": "2s", "overlap": "1s", "issuer": "http://auth.test"}
_STEP = '''"""What the next version adds."""

from alembic import op

revision = "9999"
down_revision = "{newest}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE sessions ADD COLUMN note text")
    op.execute("ALTER TABLE users ADD COLUMN note text NOT NULL DEFAULT 'none'")
    op.execute("CREATE TABLE notes (id bigint PRIMARY KEY)")
    op.execute("CREATE INDEX users_by_note ON users (note)")
'''


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A database of its own."""
    with running_postgres() as running:
        yield running


def next_version(folder: Path) -> dict[str, str]:
    """The environment of a copy of evertoken that has one migration more."""
    copy = folder / "evertoken"
    shutil.copytree(Path(evertoken.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    schema = copy / "stores" / "postgresql" / "schema.py"
    text = schema.read_text()
    (versions,) = re.findall(r"^VERSIONS = \((.+?),?\)$", text, re.MULTILINE)
    schema.write_text(text.replace(f"VERSIONS = ({versions}", f'VERSIONS = ({versions}, "9999"'))
    newest = versions.rpartition('"')[0].rpartition('"')[2]
    steps = copy / "stores" / "postgresql" / "migrations" / "versions"
    (steps / "v9999_next.py").write_text(_STEP.format(newest=newest))
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}  # nobody will ever run this copy again


def test_two_versions_serve_on_one_database_while_it_is_upgraded(database: PostgresServer, tmp_path: Path) -> None:
    """
    The newer one brings the tables forward under the load of the older one, which goes on without an error; then both
    refresh the same sessions, and an older one that is started says in one line why it does not.
    """
    url = database.url()
    add_users_to({"store": url}, {f"user{number}": () for number in range(CLIENTS)})
    record = Record()
    folders = [tmp_path / name for name in ("old", "new", "next")]
    for folder in folders:
        folder.mkdir()
    old = ServerProcess(folders[0], store=url, environment=ENVIRONMENT, workers=2, **_SETTINGS)
    new = ServerProcess(folders[1], store=url, environment=ENVIRONMENT | next_version(folders[2]), **_SETTINGS)
    with old:
        asyncio.run(_upgraded(old, new, url, record, tmp_path))
        os.kill(old.workers()[0], signal.SIGKILL)  # it cannot come again; the other one goes on
        try:
            with client_at(old.url) as here, client_at(new.url) as there:
                tokens = sign_in(there, "user0")
                for client in (here, there, here):
                    answer = refresh(client, tokens["refresh_token"])
                    assert answer.status_code == 200, answer.text
                    tokens |= answer.json()
        finally:
            new.interrupt()
            new.wait()
        refused = run_evertoken("serve", "--store", url, "--port", str(new.port), environment=ENVIRONMENT)
    assert refused.returncode == 1
    where = f"postgresql://evertoken:***@127.0.0.1:{database.port}/postgres"
    said = f"{where} was written by a newer evertoken (schema 9999, this one knows {_newest()})"
    assert refused.stderr.splitlines() == [f"evertoken: store: {said}"]
    assert set(record.answers) == {"login 200", "refresh 200", "me 200"}, record.answers
    assert "Traceback" not in new.stderr


def _newest() -> str:
    from evertoken.stores.postgresql.schema import VERSIONS

    return VERSIONS[-1]


async def _upgraded(old: ServerProcess, new: ServerProcess, url: str, record: Record, folder: Path) -> None:
    """Load on the old one before, during and after the step of the new one."""
    people = People(old.url, CLIENTS, record=record, chance=random.Random(), folder=folder)
    await people.sign_in()
    async with asyncio.TaskGroup() as group:
        group.create_task(people.use())
        await until(lambda: record.refreshes >= CLIENTS // 2)
        await asyncio.to_thread(new.start)
        so_far = record.refreshes
        await until(lambda: record.refreshes >= so_far + CLIENTS)
        people.stop()
    await people.refresh_all()
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT version_num FROM evertoken.schema_version") == "9999"
    finally:
        await connection.close()
