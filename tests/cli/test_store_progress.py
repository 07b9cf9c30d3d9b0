"""How long work comes along, for people and for logs."""

import io

import pytest

from evertoken.cli.store import progress
from evertoken.cli.store.progress import Shown


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_for_each_stage() -> None:
    """It names the stage and counts, and is left in its last state."""
    stream = Terminal()
    with Shown(stream) as shown:
        shown.begin("sessions", 10)
        shown.advance(10)
        shown.begin("audit trail", None)
        shown.advance(3)
    assert "sessions" in stream.getvalue()
    assert "10/10" in stream.getvalue()
    assert "3/?" in stream.getvalue()


def test_a_log_gets_a_line_for_each_stage_and_one_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar is drawn where nobody watches; five seconds of silence are the most."""
    seconds = 0.0
    monkeypatch.setattr(progress, "monotonic_seconds", lambda: seconds)
    stream = io.StringIO()
    with Shown(stream) as shown:
        shown.begin("sessions", 10)
        shown.advance(2)
        seconds = 6.0
        shown.advance(2)
        shown.advance(6)
        shown.begin("audit trail", None)
        shown.advance(3)
    assert stream.getvalue() == "sessions: 4 of 10\nsessions: 10 done\naudit trail: 3 done\n"
    quiet = io.StringIO()
    with Shown(quiet, quiet=True) as shown:
        shown.begin("sessions", 10)
        shown.advance(10)
    assert quiet.getvalue() == ""
