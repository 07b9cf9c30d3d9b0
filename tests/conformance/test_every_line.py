"""Whether the cases together go through all of the core."""

import dis
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Final

import pytest

from evertoken.client import judging
from evertoken.client.refresher import answers, holding, plan, record, refresher
from evertoken.wire.dialects import pointer

from . import test_answers, test_dialects, test_records
from .stories import play, stories

CORE: Final = (refresher, holding, plan, answers, record, judging, pointer)
DEAD: Final = {"answers.py": ("_status_told",)}
"""Functions that write for people only: what they say is no part of the cases."""


def _lines(module: ModuleType) -> set[int]:
    """The lines of a module's functions that hold code."""
    assert module.__file__ is not None
    path = Path(module.__file__)
    whole = compile(path.read_text(encoding="utf-8"), module.__file__, "exec")
    found = set()
    for code in _functions(whole):
        if code.co_name not in DEAD.get(path.name, ()):
            found |= {line for _, line in dis.findlinestarts(code) if line and line != code.co_firstlineno}
    return found


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # The bodies of classes have run when the module was imported.
            if constant.co_flags & 0x2:
                yield constant
            yield from _functions(constant)


def _traced(work: Callable[[], None]) -> dict[str, set[int]]:
    """The lines of the core that run meanwhile, by file."""
    seen: dict[str, set[int]] = {module.__file__: set() for module in CORE if module.__file__ is not None}

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        lines = seen.get(frame.f_code.co_filename)
        if lines is None:
            return None

        def on_line(frame: FrameType, event: str, _argument: Any) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
            return on_line

        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen


def _play_all() -> None:
    for story in stories():
        play(story)
    for case in test_answers.CASES:
        test_answers.test_each_answer_to_a_refresh_means_what_is_told(case)
    for check, params in (
        (test_dialects.test_each_answer_of_a_resource_is_judged_as_told, test_dialects.VERDICTS),
        (test_dialects.test_each_pointer_finds_what_is_told, test_dialects.POINTERS),
        (test_records.test_each_document_is_read_or_refused_as_told, test_records.DOCUMENTS),
        (test_records.test_each_record_in_the_store_means_what_is_told, test_records.JUDGINGS),
        (test_records.test_each_refresh_leaves_the_record_that_is_told, test_records.SUCCESSIONS),
    ):
        for param in params:
            check(param.values[0])


@pytest.fixture(scope="module")
def seen() -> dict[str, set[int]]:
    """The lines of the core that the cases go through, by file."""
    return _traced(_play_all)


@pytest.mark.parametrize("module", CORE, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_cases_go_through_every_line_of_the_core(module: ModuleType, seen: dict[str, set[int]]) -> None:
    """
    There is no line in what the client decides that no case goes through.
    """
    assert module.__file__ is not None
    assert sorted(_lines(module) - seen[module.__file__]) == []
