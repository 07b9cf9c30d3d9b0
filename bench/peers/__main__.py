"""`python -m bench.peers`: play every situation with every library; print a table, and its rows in words."""

import argparse
import logging
import os
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from bench.peers.peers import PEERS
from bench.peers.playing import Peer
from bench.peers.scenarios import SCENARIOS, Scenario
from evertoken.clock import system_clock


def table(scenarios: list[Scenario], peers: list[Peer]) -> str:
    """Play, row by row."""
    lines = ["| | " + " | ".join(peer.name for peer in peers) + " |", "|---" * (len(peers) + 1) + "|"]
    for scenario in scenarios:
        cells = []
        for peer in peers:
            print(f"{scenario.key}: {peer.name}", file=sys.stderr)
            cells.append(scenario.cell(peer))
        lines.append(f"| {scenario.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def versions(peers: list[Peer]) -> str:
    """What was compared."""
    packages = dict.fromkeys(["evertoken", *(package for peer in peers for package in peer.packages)])
    return ", ".join(f"{package} {version(package)}" for package in packages)


def environment() -> None:
    """No proxy stands between the libraries and a server on this machine, which speaks http."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    keys = {scenario.key: scenario for scenario in SCENARIOS}
    names = {peer.name: peer for peer in PEERS}
    parser.add_argument("--only", choices=keys, action="append", help="this situation; may be repeated")
    parser.add_argument("--peer", choices=names, action="append", help="this library; may be repeated")
    asked = parser.parse_args()
    environment()
    logging.getLogger("evertoken").addHandler(logging.NullHandler())
    peers = [names[name] for name in asked.peer or names]
    scenarios = [keys[key] for key in asked.only or keys]
    print(table(scenarios, peers) + "\n")
    for scenario in scenarios:
        print(f"- **{scenario.title}**: {scenario.what}")
    today = datetime.fromtimestamp(system_clock() / 1000, UTC).date()
    print(f"\n{today}, Python {sys.version.split()[0]}: {versions(peers)}")


if __name__ == "__main__":
    main()
