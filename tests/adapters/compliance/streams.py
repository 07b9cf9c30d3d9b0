"""Answers that are streams stay streams."""

import dataclasses
import json
from typing import Any

import pytest

from evertoken.client import EVERTOKEN, Match
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, Once
from tests.adapters.compliance.stage import Stage
from tests.adapters.serving import Trickle

JUDGES_200 = dataclasses.replace(
    EVERTOKEN, expired=(Match(status=401), Match(status=200, body={"/code": (401,)})), refresh_is_repeatable=False
)
"""A dialect that looks into the JSON of answers that say 200."""

PIECES = [b"first\n", b"second\n" * 50_000, b"last\n"]


class Streams(Stage):
    @pytest.mark.parametrize("dialect", [EVERTOKEN, JUDGES_200], ids=["evertoken", "judges 200"])
    @pytest.mark.parametrize("refusals", [0, 1])
    @pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream"])
    def test_a_long_answer_is_delivered_piece_by_piece(
        self, playing: Any, dialect: Any, refusals: int, kind: str
    ) -> None:
        """The first piece is there while the server still holds back the rest, on the first sending and the second."""
        self._streams(playing, dialect, Trickle(kind, PIECES, refusals=refusals), refusals)

    def test_long_json_is_delivered_piece_by_piece_though_json_is_judged(self, playing: Any) -> None:
        """JSON of more than a megabyte is data and not a refusal: it is not read for a judgement."""
        pieces = [b'["' + b"x" * 4096, b"x" * 2**20, b'"]']
        self._streams(playing, JUDGES_200, Trickle("application/json", pieces, has_length=True), 0)

    def _streams(self, playing: Any, dialect: Any, server: Trickle, refusals: int) -> None:
        with server.running(), playing(dialect=dialect, origins=(server.url,)) as play:
            first = Once()
            pending = play.client.start(Ask(server.url, on_chunk=first))
            assert first.wait().startswith(server.pieces[0][:1])
            assert not pending.done()
            assert len(b"".join(first.pieces)) < sum(map(len, server.pieces))
            server.gate.release()
            reply = pending.result(PATIENCE_SECONDS)
            assert (reply.status, reply.content) == (200, b"".join(server.pieces))
            assert play.api.refresh_count == refusals

    @pytest.mark.parametrize("has_length", [False, True])
    @pytest.mark.parametrize("as_stream", [False, True])
    def test_an_answer_that_was_judged_can_still_be_read(self, playing: Any, as_stream: bool, has_length: bool) -> None:
        """After its body was looked into, `.json()` and reading it in pieces give all of it to the application."""
        content = json.dumps({"code": 0, "data": "x" * 100_000}).encode()
        pieces = [content[:50_000], content[50_000:]]
        server = Trickle("application/json", pieces, has_length=has_length)
        server.gate.release()
        with server.running(), playing(dialect=JUDGES_200, origins=(server.url,)) as play:
            read = Once()
            reply = play.client.send(Ask(server.url, on_chunk=read if as_stream else None))
            assert (reply.status, reply.content, reply.members) == (200, content, json.loads(content))
            assert play.api.refresh_count == 0
