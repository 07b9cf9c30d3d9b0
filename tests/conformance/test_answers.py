"""The cases of conformance/answers: what an answer to a refresh means."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evertoken.client.refresher.answers import Over, Tokens, Unusable, read_refresh
from evertoken.wire.dialects.dialect import Dialect

from . import dialect_json
from .loading import BadCase, Members, body, cases, files, read, text
from .stories import NUMBER


@dataclass(frozen=True)
class Case:
    """One case."""

    name: str
    dialect: Dialect
    session_id: str | None
    status: int
    headers: dict[str, str]
    body: bytes
    expected: Tokens | Over | Unusable


def _cases(path: Path) -> Iterator[Case]:
    with read(path) as file:
        for name, case in cases(file):
            with case, case.inner("answer") as answer, case.inner("expect") as expect:
                headers = answer.take("headers", dict, {})
                if any(header != header.lower() for header in headers):
                    raise BadCase(f"{case.where}: names of headers are in lower case")
                yield Case(
                    name,
                    dialect_json.named(case),
                    case.take("session_id", str, None),
                    answer.take("status", int),
                    headers,
                    body(answer),
                    said(expect),
                )


def said(expect: Members) -> Tokens | Over | Unusable:
    """What a file says that an answer means."""
    kind = expect.only(("tokens", "over", "unusable"))
    if kind == "over":
        return Over(expect.take("over", str))
    with expect.inner(kind) as inner:
        if kind == "unusable":
            return Unusable(
                "",
                inner.take("retry_after_seconds", NUMBER, None),
                is_stale=inner.take("is_stale", bool, default=False),
                is_final=inner.take("is_final", bool, default=False),
            )
        session_id = inner.take("session_id", (str, list), None)
        return Tokens(
            text(inner.take("access_token", (str, list)), inner.where),
            inner.take("refresh_token", str, None),
            inner.take("expires_in", NUMBER, None),
            inner.take("refresh_expires_in", NUMBER, None),
            None if session_id is None else text(session_id, inner.where),
        )


CASES = [case for path in files("answers") for case in _cases(path)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_answer_to_a_refresh_means_what_is_told(case: Case) -> None:
    """
    An answer to a refresh is new tokens, the end of the session, or nothing to go on with.
    """
    found = read_refresh(
        case.dialect, status=case.status, headers=case.headers, body=case.body, session_id=case.session_id
    )
    if isinstance(found, Unusable):
        assert found.why and len(found.why) < 160
        found = Unusable("", found.retry_after_seconds, is_stale=found.is_stale, is_final=found.is_final)
    assert found == case.expected


def test_no_reason_shown_to_people_holds_what_the_server_wrote() -> None:
    """
    Whatever a server answers, why nothing could be done with it is said in words of our own.
    """
    for case in CASES:
        found = read_refresh(case.dialect, status=case.status, headers=case.headers, body=case.body, session_id="s1")
        if isinstance(found, Unusable):
            assert found.why.isprintable()
            assert not any(word in found.why for word in ("a2", "r2", "r 2", "X-Admin", "<html>", "invalid_grant"))


def test_the_answers_together_hold_every_meaning() -> None:
    """
    Tokens, ends and each kind of nothing occur in some case, and no name occurs twice in a file.
    """
    unusable = {
        (case.expected.is_stale, case.expected.is_final) for case in CASES if isinstance(case.expected, Unusable)
    }
    assert unusable == {(False, False), (True, False), (False, True)}
    assert {type(case.expected) for case in CASES} == {Tokens, Over, Unusable}
