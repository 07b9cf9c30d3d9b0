"""oidc-provider as a process of Node.js, for one test: where it is, who may ask it, and what it has counted."""

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.needs import is_missing, need

FOLDER = Path(__file__).parent
SECONDS = 30.0
LIBRARY = "oidc-provider"

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Counts:
    """
    What the server has counted.

    Args:
        refreshes: Refresh calls that it answered with tokens.
        refused: Calls of the token endpoint that it refused.
        reuses: Those of them that it took for reuse.
        twice: Calls whose refresh token had been shown before, whatever it answered.
        revoked: Grants that it revoked, for reuse or because a client asked.
        ok, unauthorized, lost: What became of the requests to the API.
    """

    refreshes: int
    refused: int
    reuses: int
    twice: int
    revoked: int
    ok: int
    unauthorized: int
    lost: int


@dataclass(frozen=True)
class ForeignServer:
    """
    The running server.

    Args:
        url: Its issuer identifier; the API is behind `api_url`.
        public_id: A client without a secret.
        confidential_id, secret: A client that authenticates with HTTP Basic.
    """

    url: str
    public_id: str
    confidential_id: str
    secret: str

    @property
    def api_url(self) -> str:
        """The API that takes live access tokens only."""
        return f"{self.url}/api"

    def sign_in(self, client_id: str) -> dict[str, Any]:
        """A new grant of ada's, and its first pair: what `Session.adopt` takes."""
        return dict(self._ask("POST", f"/test/sign-in?client_id={client_id}"))

    def revoke_grants(self) -> None:
        """End every grant, as an operator would; no client is told."""
        self._ask("POST", "/test/revoke")

    def counts(self) -> Counts:
        """What has happened so far."""
        return Counts(**self._ask("GET", "/test/counts"))

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self.url + path, method=method)
        with _opener.open(request, timeout=SECONDS) as answer:
            return json.load(answer)


@contextlib.contextmanager
def foreign_server(
    folder: Path, *, access_seconds: int, api_seconds: int | None = None, lose_every: int = 0
) -> Iterator[ForeignServer]:
    """
    Start it; it is gone at the end. Skipped, or failed under CI=true, where it cannot run.

    Args:
        folder: Where its standard error is kept.
        access_seconds: How long an access token lives; it counts in whole seconds, so up to one second less.
        api_seconds: How long the API takes it, in the same way; None: as long as it lives.
        lose_every: Every nth request to the API loses its connection instead of an answer; 0: none.
    """
    node = need("node", f"it runs {LIBRARY}")
    if not (FOLDER / "node_modules" / LIBRARY).is_dir():
        is_missing(f"{LIBRARY} is not installed: run npm ci in tests/foreign_server, as make test does")
    log = folder / "oidc-provider.txt"
    settings = json.dumps(
        {"access_seconds": access_seconds, "api_seconds": api_seconds or access_seconds, "lose_every": lose_every}
    )
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [node, "server.mjs", settings],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"the server did not start:\n{log.read_text()[-4000:]}"
            yield ForeignServer(**json.loads(line))
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
