"""`python -m bench.peers.sharing`: one of several processes that share a session; told to go by a line."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bench.peers.peers import PEERS
from bench.peers.playing import ANSWER_WITHIN_SECONDS, THINGS, Start, outcome, playing

PROCESSES = 4
_ROOT = Path(__file__).resolve().parents[2]


def outcomes_in_processes(peer: str, start: Start) -> list[str]:
    """Open a library in each of several processes, then let all of them send one request at the same moment."""
    told = json.dumps(dataclasses.asdict(start) | {"file": str(start.file), "peer": peer})
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.peers.sharing", told],
            cwd=_ROOT,
            env=os.environ | {"OAUTHLIB_INSECURE_TRANSPORT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    watchdogs = [threading.Timer(2 * ANSWER_WITHIN_SECONDS, each.kill) for each in started]
    for watchdog in watchdogs:
        watchdog.start()
    try:
        if [_line(each) for each in started] != ["ready"] * PROCESSES:
            raise RuntimeError(f"a process with {peer} did not start")
        for each in started:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        return [_line(each) for each in started]
    finally:
        for each in started:
            each.communicate()
        for watchdog in watchdogs:
            watchdog.cancel()
            watchdog.join()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip() or "process ended"


def main(told: dict[str, Any]) -> None:
    """The program."""
    name = told.pop("peer")
    peer = next(each for each in PEERS if each.name == name)
    start = Start(**(told | {"file": Path(told["file"])}))
    with playing(peer, peer.halves[0], start) as begin:
        print("ready", flush=True)
        sys.stdin.readline()
        print(outcome(begin(THINGS, None)), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
