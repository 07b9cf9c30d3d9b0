"""That a case with a slip of the pen fails instead of passing for another case."""

import json
from pathlib import Path
from typing import Any

import pytest

from . import dialect_json, stories
from .loading import ROOT, BadCase, cases, read, text

SEND: Any = {"event": "before_sending", "expect": {"step": "wait"}}


def _story(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"about": "A.", "cases": [{"name": "a_case", "sentence": "It is so.", "steps": list(steps), **more}]}


@pytest.mark.parametrize(
    "file",
    [
        _story(SEND, tags=[]),
        _story({**SEND, "is_repeatible": False}),
        _story({**SEND, "event": "before_send"}),
        _story({**SEND, "expect": {"step": "waits"}}),
        _story({**SEND, "expect": {"step": "wait", "generation": 1}}),
        _story({**SEND, "expect": {"step": "send"}}),
        _story({**SEND, "at": {"wall": 1}}),
        _story({**SEND, "at": {"wall": 1, "monotonic": 2, "utc": 3}}),
        _story({**SEND, "at": True}),
        _story({"event": "before_sending"}),
        _story({**SEND, "event": "on_demand", "generation": 1}),
        _story({"event": "flight_ended", "outcome": {"ended": {"reason": "x", "is_new": True}}}),
        _story({"event": "flight_ended", "outcome": {"renewed": {"access_token": "a", "is_fetched": 1}}}),
        _story({"event": "flight_started"}),
        _story({"event": "flight_ended", "outcome": {"failed": {}, "ended": {"reason": "x"}}}),
        _story({"event": "flight_ended", "outcome": {"failed": {"retry_after": 3}}}),
        _story({"event": "flight_ended", "outcome": {"ended": {}}}),
        _story({"event": "flight_ended", "outcome": {"renewed": {}}}),
        _story({"event": "flight_ended", "outcome": {"failed": {}}, "expect": {"step": "wait"}}),
        {**_story(), "more": []},
        {"cases": []},
        {"about": "A.", "cases": [*_story()["cases"], *_story()["cases"]]},
        {"about": "A.", "cases": [{**_story()["cases"][0], "name": "A case"}]},
        {"about": "A.", "cases": [{**_story()["cases"][0], "sentence": "no end"}]},
    ],
)
def test_a_story_with_a_slip_is_refused(file: dict[str, Any], tmp_path: Path) -> None:
    """
    A member that the README does not know, or one that is missing, makes the file fail.
    """
    path = tmp_path / "slip.json"
    path.write_text(json.dumps(file))
    with pytest.raises(BadCase):
        list(stories.read_stories(path))


@pytest.mark.parametrize("document", ['{"about": "A.", "about": "B."}', '{"about": "A.", "n": NaN}'])
def test_a_file_that_is_not_quite_json_is_refused(document: str, tmp_path: Path) -> None:
    """
    A member that occurs twice, or a number that JSON does not have, makes the file fail: parsers differ there.
    """
    path = tmp_path / "slip.json"
    path.write_text(document)
    with pytest.raises(BadCase):
        read(path)


@pytest.mark.parametrize(
    "dialect",
    [
        {"nam": "x"},
        {"access_token": {"name": "x"}},
        {"tokens": {"access_token": None}},
        {"refresh": {"url": "/x", "encoding": "xml"}},
        {"refresh": {"url": "/x", "token": {"kind": "cookie"}}},
        {"expired": {"status": 401}},
        {"expired": [{"status": "401"}]},
        {"expired": [{"status": 401, "body": {"/code": 1}}]},
        {"refresh_is_repeatable": 1},
        {"lifetime_seconds": True},
    ],
)
def test_a_dialect_with_a_slip_is_refused(dialect: dict[str, Any]) -> None:
    """
    A dialect written as JSON may hold what the dataclasses hold, and nothing else.
    """
    with pytest.raises(BadCase):
        dialect_json.parse(dialect, "slip")


def test_a_text_may_be_given_in_parts() -> None:
    """
    A long text is given by what is repeated in it.
    """
    assert text(["a", {"repeat": "bc", "times": 2}], "here") == "abcbc"
    with pytest.raises(BadCase):
        text([{"repeat": "b", "time": 2}], "here")


def test_a_name_of_a_case_occurs_once_in_its_folder() -> None:
    """
    A case that fails in another language can be found by its name.
    """
    for folder in ("refresher", "answers", "dialects", "records"):
        names = []
        for path in sorted((ROOT / folder).glob("*.json")):
            file = read(path)
            if file.has("cases"):
                names += [name for name, _ in cases(file)]
        assert sorted(set(names)) == sorted(names), folder
