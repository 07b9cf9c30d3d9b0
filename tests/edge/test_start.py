"""A server that cannot start says why in a line."""

from pathlib import Path
from typing import Any

import pytest

from evertoken.assembly import build
from evertoken.edge.settings import Settings
from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.secret import Secret


async def _started(store: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[Any]:
    """What the application tells whoever runs it, when its store cannot be started for this reason."""
    server = build(Settings(store=str(store), secret=(Secret("a secret of thirty-two characters"),)))

    async def start() -> None:
        raise error

    monkeypatch.setattr(server.store, "start", start)
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    with pytest.raises(type(error)):
        await server.app({"type": "lifespan", "state": {}}, receive, send)
    return told


@pytest.mark.parametrize("error", [StoreUnavailable("the database is away"), ConfigurationError("store", "is no good")])
async def test_a_worker_whose_store_is_away_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is tried again every second, and the log is not filled with traces."""
    told = await _started(tmp_path / "evertoken.db", monkeypatch, error)
    assert told == [{"type": "lifespan.startup.failed", "message": f"cannot start: {error}"}]


async def test_a_fault_of_ours_at_the_start_shows_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has foreseen comes with its trace."""
    (told,) = await _started(tmp_path / "evertoken.db", monkeypatch, ZeroDivisionError("no"))
    assert told["type"] == "lifespan.startup.failed"
    assert "Traceback" in told["message"]
