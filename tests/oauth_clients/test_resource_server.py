"""A resource server of somebody else's checks our access tokens with oauth4webapi."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.tokens.signing_keys import Algorithm
from tests.oauth_clients.node import NodeError, NodeProgram, node_program
from tests.oauth_clients.stage import APP, Stage
from tests.support.clock import MovingClock
from tests.support.server import live_server


@pytest.fixture(scope="module")
def program() -> Iterator[NodeProgram]:
    """The resource server."""
    with node_program("oauth4webapi.mjs", library="oauth4webapi") as running:
        yield running


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.EDDSA, Algorithm.RS256])
def test_oauth4webapi_verifies_an_access_token_knowing_the_issuer_alone(
    program: NodeProgram, tmp_path: Path, algorithm: Algorithm
) -> None:
    """A resource server of somebody else's needs no code of ours: metadata, JWK set and RFC 9068 are enough."""
    with live_server(tmp_path, clock=MovingClock(), algorithm=algorithm) as live, live.client() as http:
        live.add_user("ada")
        stage = Stage(live, http)
        question = {
            "issuer": stage.issuer,
            "access_token": stage.tokens["access_token"],
            "ahead": live.clock() // 1000 - int(time.time()),
        }
        claims = program.ask("verify", audience=stage.issuer, **question)
        assert (claims["sub"], claims["client_id"]) == ("u_ada", APP)
        with pytest.raises(NodeError, match="aud"):
            program.ask("verify", audience="https://orders.example.com", **question)
