"""Reading what `strace -f -y -xx -o FILE` wrote: system calls in the order in which they began and ended."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(?P<pid>\d+)\s+(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\(\d+<(?P<target>[^>]*)>(?P<arguments>.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>.*")
_RESULT = re.compile(r"\)\s+=\s+(?P<result>-?\d+)[^=]*$")
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(slots=True)
class SystemCall:
    """
    One call on an open file or socket.

    Args:
        target: What the file descriptor stands for.
        data: What was written.
        began: Its place in the trace; `ended` likewise, None where it never did.
        result: What it returned.
    """

    name: str
    target: str
    data: bytes
    began: int
    ended: int | None = None
    result: int | None = None


def read_trace(path: Path) -> list[SystemCall]:
    """Every call, in the order in which they began; interrupted lines are put together by thread."""
    calls: list[SystemCall] = []
    running: dict[str, SystemCall] = {}
    for place, pid, rest in _lines(path):
        call = running.pop(pid, None) if _RESUMED.match(rest) else None
        if call is None:
            begun = _CALL.match(rest)
            if begun is None:
                continue
            call = SystemCall(begun["name"], _text(begun["target"]), _data(begun["arguments"]), place)
            calls.append(call)
            if rest.endswith("<unfinished ...>"):
                running[pid] = call
                continue
        result = _RESULT.search(rest)
        if result is not None:
            call.ended, call.result = place, int(result["result"])
    return calls


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    with path.open(encoding="ascii", errors="replace") as file:
        for place, line in enumerate(file):
            found = _LINE.match(line.rstrip("\n"))
            if found:
                yield place, found["pid"], found["rest"]


def _text(target: str) -> str:
    """What a descriptor stands for; -xx spells paths in hexadecimal, too."""
    return bytes.fromhex(target.replace("\\x", "")).decode("utf-8", "replace") if target[:2] == "\\x" else target


def _data(arguments: str) -> bytes:
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _BYTES.findall(arguments))
