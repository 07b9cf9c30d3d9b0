"""
The fake server in a process of its own: says its address, then obeys one JSON command per line and answers each.

Its clock can be moved.
"""
# ruff: noqa: INP001

import json
import sys
import time
from typing import Any

from evertoken.testing import Answer, FakeServer, Fault, Request, refusals

_FOREVER = ("/always-401",)


class _Server(FakeServer):
    """With a route that refuses every access token, however new."""

    def answer_resource(self, request: Request, subject: str) -> Answer:
        if request.path in _FOREVER:
            raise refusals.access_refused("token_invalid")
        return super().answer_resource(request, subject)


class _MovedClock:
    """This machine's time, and what a test has let pass besides."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> tuple[float, float]:
        return time.time() + self.ahead_seconds, time.monotonic() + self.ahead_seconds


def _fault(members: dict[str, Any]) -> Fault:
    body = members.pop("body", None)
    return Fault(body=None if body is None else body.encode(), **members)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    users = {"ada": "correct-horse-battery", "bob": "staple-of-the-stable"}
    clock = _MovedClock()
    with _Server(clock=clock, users=users, **json.loads(sys.argv[1])) as server:
        _say(server.url)
        gate = None
        for line in sys.stdin:
            command = json.loads(line)
            match command["do"]:
                case "expire":
                    server.expire_access_tokens()
                case "move":
                    clock.ahead_seconds += command["seconds"]
                case "end":
                    server.end_sessions(command["reason"])
                case "script":
                    server.script_refresh(*(_fault(members) for members in command["faults"]))
                case "hold":
                    gate = server.hold_refreshes()
                case "await_held" if gate is not None:
                    gate.wait_for_arrival(count=command["count"])
                case "release" if gate is not None:
                    gate.release()
                case "count":
                    pass
                case unknown:
                    raise ValueError(f"no command: {unknown}")
            _say(json.dumps({"refreshes": server.refresh_count, "reuses": server.reuses}))


if __name__ == "__main__":
    main()
