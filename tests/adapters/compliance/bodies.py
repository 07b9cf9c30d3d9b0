"""What becomes of a request's body when its token is refused: whole, or refused out loud, and never less."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evertoken.errors import NotReplayable
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask
from tests.adapters.compliance.stage import Stage
from tests.adapters.material import KINDS, Material

UPLOAD = "/upload"


class Bodies(Stage):
    @pytest.fixture
    def material(self, tmp_path: Path) -> Iterator[Material]:
        """What bodies are made of."""
        material = Material(tmp_path / "material")
        yield material
        material.close()

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_body_after_a_refusal_arrives_whole_or_is_refused_out_loud(
        self, play: Any, material: Material, kind: str
    ) -> None:
        """A body of any kind is sent again whole, or NotReplayable is raised with the token renewed; never less."""
        expected = self._seen_when_all_is_well(play, material, kind)
        play.expire("by the server")
        ask = Ask(play.at(UPLOAD), method="POST", body=self.bench.body(kind, material) or {})
        if kind in self.bench.refuses:
            with pytest.raises(NotReplayable) as raised:
                play.client.send(ask)
            assert self.bench.status_of(raised.value.response) == 401
            assert play.api.requests[UPLOAD, 200] == 1
        else:
            reply = play.client.send(ask)
            assert (reply.status, reply.members["length"], reply.members["sha256"]) == (200, *expected)
        assert play.api.requests[UPLOAD, 401] == 1
        assert play.api.refresh_count == 1
        assert play.client.get(play.me).status == 200
        assert play.api.refresh_count == 1

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_body_that_goes_once_waits_for_a_token_that_lasts(self, play: Any, material: Material, kind: str) -> None:
        """With a token about to end, a body that cannot be sent twice waits for its renewal, and goes through."""
        expected = self._seen_when_all_is_well(play, material, kind)
        play.clock.advance(1790)
        with play.api.hold_refreshes() as gate:
            ask = Ask(play.at(UPLOAD), method="POST", body=self.bench.body(kind, material) or {})
            pending = play.client.start(ask)
            gate.wait_for_arrival()
            if kind in self.bench.refuses:
                play.waiting.wait_for(1)
                assert play.api.requests[UPLOAD, 200] == 1
            else:
                assert pending.result(PATIENCE_SECONDS).status == 200
            play.api.expire_access_tokens()
            gate.release()
            reply = pending.result(PATIENCE_SECONDS)
        assert (reply.status, reply.members["length"], reply.members["sha256"]) == (200, *expected)
        assert play.api.requests[UPLOAD, 401] == 0
        assert play.api.refresh_count == 1

    def _seen_when_all_is_well(self, play: Any, material: Material, kind: str) -> tuple[int, str]:
        """What the server sees of such a body when its token is good."""
        body = self.bench.body(kind, material)
        if body is None:
            pytest.skip("this library takes no such body")
        reply = play.client.send(Ask(play.at(UPLOAD), method="POST", body=body))
        assert reply.status == 200
        content = material.expected(kind)
        if content is not None:
            assert reply.members["sha256"] == hashlib.sha256(content).hexdigest()
            assert reply.members["length"] == len(content)
        return reply.members["length"], reply.members["sha256"]
