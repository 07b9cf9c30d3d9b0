"""The cases of conformance/dialects: verdicts on answers, opting out, documents that are refused, JSON Pointers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from evertoken.client import Session
from evertoken.client.judging import Refusal, judge, wants_body
from evertoken.wire.dialects import document
from evertoken.wire.dialects.dialect import Dialect, Match, TokenPointers
from evertoken.wire.dialects.kinds import DialectError
from evertoken.wire.dialects.known import EVERTOKEN, oauth2
from evertoken.wire.dialects.pointer import MISSING, find, parse

from . import dialect_json
from .loading import ROOT, BadCase, Members, body, cases, files, read, text

OAUTH2: Final = oauth2(
    token_endpoint="https://as.example.com/token",
    client_id="app",
    revocation_endpoint="https://as.example.com/revoke",
)


@dataclass(frozen=True)
class Verdict:
    """One case of verdicts.json or builtin.json."""

    dialect: Dialect
    status: int
    content_type: str | None
    content_length: str | None
    body: bytes
    expected: dict[str, Any]


def _verdicts(file_name: str) -> Iterator[Any]:
    with read(ROOT / "dialects" / file_name) as file:
        for name, case in cases(file):
            with case, case.inner("answer") as answer, case.inner("expect") as expect:
                length = answer.take("content_length", (str, list), None)
                verdict = expect.take("verdict", str)
                expected = {"verdict": verdict, "reads_body": expect.take("reads_body", bool)}
                if verdict == "over":
                    expected["reason"] = expect.take("reason", str)
                elif verdict not in {"accepted", "expired"}:
                    raise BadCase(f"{case.where}: does not know the verdict {verdict!r}")
                found = Verdict(
                    dialect_json.named(case),
                    answer.take("status", int),
                    answer.take("content_type", str, None),
                    None if length is None else text(length, case.where),
                    body(answer),
                    expected,
                )
            yield pytest.param(found, id=name)


VERDICTS: Final = [*_verdicts("verdicts.json"), *_verdicts("builtin.json")]


@pytest.mark.parametrize("case", VERDICTS)
def test_each_answer_of_a_resource_is_judged_as_told(case: Verdict) -> None:
    """
    An answer is read only where its body can tell more than its status, and says what the case says.
    """
    dialect = case.dialect
    is_judged = case.status in dialect.judged_statuses
    reads = is_judged and wants_body(dialect, case.status, case.content_type, case.content_length)
    refusal = judge(dialect, case.status, case.body if reads else None) if is_judged else None
    assert _told(refusal) | {"reads_body": reads} == case.expected


def _told(refusal: Refusal | None) -> dict[str, Any]:
    if refusal is None:
        return {"verdict": "accepted"}
    return {"verdict": "expired"} if refusal.over is None else {"verdict": "over", "reason": refusal.over}


def _opting_out() -> Iterator[Any]:
    with read(ROOT / "dialects" / "opting_out.json") as file:
        for name, case in cases(file):
            with case, case.inner("expect") as expect:
                opts_out = expect.take("opts_out", bool)
                found = (dialect_json.named(case), case.take("headers", dict), opts_out)
            yield pytest.param(*found, id=name)


@pytest.mark.parametrize(("dialect", "headers", "expected"), list(_opting_out()))
def test_a_request_opts_out_as_told(dialect: Dialect, headers: dict[str, str], expected: bool) -> None:
    """
    A request goes out as it is exactly where it carries the dialect's header with the dialect's value.
    """
    session = Session("https://api.example", dialect=dialect)
    assert session.is_opted_out({name.lower(): value for name, value in headers.items()}) == expected


def _documents() -> Iterator[Any]:
    with read(ROOT / "dialects" / "documents.json") as file:
        for name, case in cases(file):
            with case:
                found = (case.take("document", dict), case.take("refused", (str, type(None))))
            yield pytest.param(*found, id=name)


@pytest.mark.parametrize(("written", "refused"), list(_documents()))
def test_a_dialect_document_is_read_or_refused_as_told(written: dict[str, Any], refused: str | None) -> None:
    """
    A document is read, or refused with the place of the member that cannot stay as it is.
    """
    if refused is None:
        document.read(written)
        return
    with pytest.raises(DialectError) as error:
        document.read(written)
    assert error.value.field == refused


def _pointers() -> Iterator[Any]:
    with read(ROOT / "dialects" / "pointers.json") as file:
        for name, case in cases(file):
            with case:
                found = _Pointers.of(case)
            yield pytest.param(found, id=name)


@dataclass(frozen=True)
class _Pointers:
    document: Any
    finds: dict[str, Any]
    missing: list[str]
    invalid: list[str]

    @classmethod
    def of(cls, case: Members) -> "_Pointers":
        document = case.take_any("document") if case.has("document") else None
        return cls(
            document, case.take("finds", dict, {}), case.take("missing", list, []), case.take("invalid", list, [])
        )


POINTERS: Final = list(_pointers())


@pytest.mark.parametrize("case", POINTERS)
def test_each_pointer_finds_what_is_told(case: _Pointers) -> None:
    """
    A JSON Pointer finds the value that is there, nothing where there is none, and refuses what is no pointer.
    """
    for pointer, value in case.finds.items():
        # As JSON, because Python takes True for 1.
        assert json.dumps(find(case.document, pointer)) == json.dumps(value), pointer
    for pointer in case.missing:
        assert find(case.document, pointer) is MISSING, pointer
    for pointer in case.invalid:
        with pytest.raises(ValueError, match="is not a JSON Pointer"):
            parse(pointer)


@pytest.mark.parametrize("invalid", [pointer for param in POINTERS for pointer in param.values[0].invalid])
def test_what_is_no_pointer_is_refused_when_a_dialect_is_made(invalid: str) -> None:
    """
    A dialect with a slip in a pointer fails at the start of the program, not at the first refusal of a token.
    """
    with pytest.raises(ValueError, match="is not a JSON Pointer"):
        Match(status=400, body={"/code": (1,), invalid: (1,)})
    for name in TokenPointers.__slots__:
        with pytest.raises(ValueError, match="is not a JSON Pointer"):
            TokenPointers(**{name: invalid})


def test_the_known_dialects_are_ours() -> None:
    """
    The dialects that conformance/ spells as JSON are those that the client has.
    """
    known = dialect_json.of_cases()
    assert known["evertoken"] == EVERTOKEN
    assert known["oauth2"] == OAUTH2


def test_the_default_dialect_says_every_member() -> None:
    """
    The JSON form of the default dialect shows every member, with the value that it has where it is left out.
    """
    with read(ROOT / "dialects" / "known.json") as file:
        written = file.take("dialects", dict)["default"]
    assert written == dialect_json.render(Dialect())
    assert dialect_json.parse({}, "nothing") == dialect_json.parse(written, "everything") == Dialect()


def test_every_dialect_is_the_same_after_a_round_trip() -> None:
    """
    A dialect that is written as JSON and read again is the same dialect.
    """
    for name, dialect in dialect_json.of_cases().items():
        assert dialect_json.parse(json.loads(json.dumps(dialect_json.render(dialect))), name) == dialect


def test_no_file_of_the_folder_is_left_out() -> None:
    """
    Each file of the folder has a driver.
    """
    assert [path.name for path in files("dialects")] == [
        "builtin.json",
        "documents.json",
        "known.json",
        "opting_out.json",
        "pointers.json",
        "verdicts.json",
    ]
