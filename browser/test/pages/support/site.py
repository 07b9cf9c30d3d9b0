"""A whole evertoken with its pages, in a process of its own: says its address, then obeys one JSON command per line."""
# ruff: noqa: INP001

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.server import PASSWORD, LiveServer, free_port, live_server

from evertoken.edge import logs
from evertoken.edge.settings.definitions import definitions


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    parsers = {definition.name: definition.parse for definition in definitions()}
    return {name: parsers[name](str(value)) for name, value in given.items()}


def _say(what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def _obey(live: LiveServer, command: dict[str, Any]) -> Any:
    match command:
        case {"do": "add_user", "username": username, "roles": roles}:
            return live.add_user(username, roles=tuple(roles)).id
        case unknown:
            raise ValueError(f"no command: {unknown}")


def main() -> None:
    logs.configure(level="error", as_json=True)
    given = json.loads(sys.argv[1])
    if name := given.pop("host_name", None):
        given["port"] = free_port()
        given["issuer"] = f"http://{name}:{given['port']}"
    settings = _settings(given)
    with (
        tempfile.TemporaryDirectory(prefix="evertoken-pages-") as folder,
        live_server(Path(folder), **settings) as live,
    ):
        _say({"url": live.url, "password": PASSWORD})
        for line in sys.stdin:
            _say(_obey(live, json.loads(line)))


if __name__ == "__main__":
    main()
