"""After a failure the library's connections are free again."""

import dataclasses
from typing import Any

import pytest

from evertoken.client import EVERTOKEN
from evertoken.errors import NotReplayable, RefreshUnavailable, SignedOut
from evertoken.testing import Answer, Fault, Refusal
from tests.adapters.benches.bench import Ask, Once
from tests.adapters.compliance.stage import Play, Stage
from tests.adapters.material import Material
from tests.adapters.serving import Api

FEW = 2
OFTEN = 7

PLAIN = dataclasses.replace(EVERTOKEN, over=(), refresh_over=EVERTOKEN.over, refresh_is_repeatable=False)
"""A dialect that looks into no refusal: it is not read for a judgement, so it has to be got rid of on purpose."""


class Wordy(Api):
    """Refuses at length, so that a refusal does not lie in a buffer as a whole."""

    def render_refused(self, refusal: Refusal) -> Answer:
        answer = super().render_refused(refusal)
        return dataclasses.replace(answer, body=answer.body + b" " * 2**20) if refusal.kind == "access" else answer


class Pools(Stage):
    @pytest.mark.parametrize("as_stream", [False, True])
    def test_not_replayable_gives_the_connection_back(self, playing: Any, as_stream: bool, tmp_path: Any) -> None:
        """However often a body could not be sent twice, a pool of two connections is not used up."""
        material = Material(tmp_path / "material")
        kind = "generator" if self.bench.body("generator", material) else "async generator"
        with playing(dialect=PLAIN, server=Wordy, connections=FEW) as play:
            errors = []
            for _ in range(OFTEN):
                play.expire("by the server")
                body = self.bench.body(kind, material) or {}
                on_chunk = Once() if as_stream else None
                errors += play.client.failures(
                    [play.client.start(Ask(play.at("/upload"), method="POST", body=body, on_chunk=on_chunk))]
                )
            assert [type(error) for error in errors] == [NotReplayable] * OFTEN
            self._is_usable(play)

    @pytest.mark.parametrize("as_stream", [False, True])
    def test_refresh_unavailable_gives_the_connection_back(self, playing: Any, as_stream: bool) -> None:
        """The same for a refresh that fails after a refusal."""
        with playing(dialect=PLAIN, server=Wordy, connections=FEW) as play:
            errors = []
            for _ in range(OFTEN):
                play.expire("by the server")
                play.api.script_refresh(Fault(status=503))
                on_chunk = Once() if as_stream else None
                errors += play.client.failures([play.client.start(Ask(play.me, on_chunk=on_chunk))])
                play.clock.advance(40)
            assert [type(error) for error in errors] == [RefreshUnavailable] * OFTEN
            self._is_usable(play)

    @pytest.mark.parametrize("as_stream", [False, True])
    def test_signed_out_gives_the_connection_back(self, playing: Any, as_stream: bool) -> None:
        """The same for sessions that are over; after a sign-in the same client goes on."""
        with playing(dialect=PLAIN, server=Wordy, connections=FEW) as play:
            errors = []
            for _ in range(OFTEN):
                play.api.end_sessions()
                on_chunk = Once() if as_stream else None
                errors += play.client.failures([play.client.start(Ask(play.me, on_chunk=on_chunk))])
                play.session.login("ada", "correct-horse-battery")
            assert [type(error) for error in errors] == [SignedOut] * OFTEN
            self._is_usable(play)

    def test_refusals_and_replays_give_the_connections_back(self, playing: Any) -> None:
        """The same for requests that succeed on their second sending, and for those that are refused for good."""
        with playing(dialect=PLAIN, server=Wordy, connections=FEW) as play:
            for _ in range(OFTEN):
                play.expire("by the server")
                assert play.client.get(play.me).status == 200
                assert play.client.get(play.at("/stubborn")).status == 401
                play.clock.advance(31)  # until then a refusal of what has just been renewed renews nothing
            self._is_usable(play)

    def _is_usable(self, play: Play) -> None:
        # One after the other: httpcore's pool may close a connection that it has just given to another thread
        # (encode/httpcore#1110), and a connection lost at each failure would have used the pool up by now.
        assert [play.client.get(play.me).status for _ in range(2 * FEW)] == [200] * 2 * FEW
