"""The standard library under `evertoken request` keeps every promise that the adapters keep."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from evertoken.client import Session
from evertoken.client.http import Call, HttpTransport
from evertoken.client.plain import Body, PlainClient
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, Reply, SyncBench
from tests.adapters.compliance import Compliance
from tests.adapters.material import FORM, MEMBERS, OFFSET, Material


class PlainBench(SyncBench):
    """`PlainClient`: every answer is a stream, every connection is its own."""

    refuses = frozenset({"generator"})

    def body(self, kind: str, material: Material) -> dict[str, Any] | None:
        match kind:
            case "empty":
                return {}
            case "bytes":
                return {"body": Body(material.content)}
            case "text":
                return {"body": Body(material.text.encode())}
            case "json":
                return _as_json(MEMBERS)
            case "form":
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                return {"body": Body(urlencode(FORM).encode()), "headers": form}
            case "file":
                return {"body": Body(material.file())}
            case "file from an offset":
                return {"body": Body(material.file(OFFSET))}
            case "unseekable file":
                return {"body": Body(material.unseekable())}  # short enough to be held
            case "generator":
                with mock.patch("evertoken.client.plain.HELD_BYTES", 1000):
                    return {"body": Body(material.unseekable())}
            case _:
                return None

    @contextlib.contextmanager
    def opened(self, session: Session, connections: int | None) -> Iterator[PlainClient]:
        yield PlainClient(session, idle_timeout_seconds=PATIENCE_SECONDS)

    def exchange(self, native: PlainClient, ask: Ask) -> Reply:
        if ask.opt_out:
            answer = HttpTransport()(Call(ask.method, ask.url), timeout_seconds=PATIENCE_SECONDS)
            return _reply(answer.status, answer.body, answer.headers.get("content-type"))
        given = dict(ask.body)
        if "json" in given:
            given |= _as_json(given.pop("json"))
        with native.send(ask.method, ask.url, **given) as reply:
            pieces = []
            for piece in reply.parts():
                if ask.on_chunk is not None:
                    ask.on_chunk(piece)
                pieces.append(piece)
            return _reply(reply.status, b"".join(pieces), reply.header("content-type"))

    def status_of(self, response: Any) -> int:
        return int(response.status)


def _as_json(members: Any) -> dict[str, Any]:
    return {"body": Body(json.dumps(members).encode()), "headers": {"Content-Type": "application/json"}}


def _reply(status: int, content: bytes, kind: str | None) -> Reply:
    return Reply(status, content, json.loads(content) if kind and "json" in kind else None)


class TestAdapter(Compliance):
    bench = PlainBench()
