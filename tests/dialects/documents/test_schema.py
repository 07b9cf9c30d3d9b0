"""The JSON Schema of a dialect document, and the reader: they take and refuse the same documents."""

import copy
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evertoken.wire.dialects import answering, members
from evertoken.wire.dialects.document import Contradiction, DialectError, read, refuse_unservable, write
from evertoken.wire.dialects.known import NAMES, named, text_of
from evertoken.wire.dialects.pointer import find
from evertoken.wire.problems import ProblemAnswer, rights_missing, token_misused, unauthorized
from tests.dialects.documents.test_built_in import BROKEN, TOKENS, answered

SCHEMA = json.loads(resources.files("evertoken.wire.dialects").joinpath("dialect.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

Path = tuple[str | int, ...]

NEAR = [
    *("", "/", "/a", "/a~1b", "/a~2", "a", "a b", "//a/b", "/a/../b", "https://a.example/b", "https://u@a/b", "/a#b"),
    *("é", "body", "cookie", "query", "header", "GET", "HEAD", "form", "always", "401", "Authorization", "x" * 70),
    *("\n", "a\n"),
]
near = st.sampled_from(NEAR)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.sampled_from([0, 1, 199, 200, 401, 401.0, 401.5, 599, 600, -1.0, 1e300])
    | near
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(near | st.sampled_from(["url", "status", "body", "kind", "name"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inside:
        yield from places(each, (*at, step))


def changed(document: Any, at: Path, change: str, name: str, value: Any) -> Any:
    """A copy of the document with one thing changed at one place."""
    document = copy.deepcopy(document)
    if not at:
        return {**document, name: value} if change == "add" and isinstance(document, dict) else value
    holder = document
    for step in at[:-1]:
        holder = holder[step]
    if change == "remove":
        del holder[at[-1]]
    elif change == "add" and isinstance(holder[at[-1]], dict):
        holder[at[-1]][name] = value
    else:
        holder[at[-1]] = value
    return document


@st.composite
def nearly_dialects(draw: st.DrawFn) -> Any:
    """Built-in documents with one to three changes."""
    document: Any = write(named(draw(st.sampled_from(NAMES))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from(sorted(places(document), key=repr)))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        document = changed(document, at, change, draw(near), draw(anything))
    return document


def is_well_formed(document: Any) -> bool:
    """Whether the reader finds every member to be what it must be, alone."""
    try:
        read(json.dumps(document))
    except Contradiction:
        return True
    except DialectError:
        return False
    return True


@given(nearly_dialects())
@example({"expired": [{"status": 401.0}]})
@example({"expired": [{"status": True}]})
@example({"login": {"url": "/a\n"}})
@example({"login": None, "logout": None})
@example([])
def test_whatever_the_schema_accepts_and_the_reader_refuses_is_a_contradiction(document: Any) -> None:
    """
    An editor that knows the schema marks every slip that the reader would refuse; only what members say together is
    left to the reader.
    """
    assert VALIDATOR.is_valid(document) == is_well_formed(document)


@given(nearly_dialects())
def test_whatever_can_be_served_is_understood_by_its_clients(document: Any) -> None:
    """
    In any dialect that a server takes, the expired is expired, the end an end, and nothing else is either.
    """
    try:
        dialect = read(json.dumps(document))
        refuse_unservable(dialect)
    except DialectError:
        return
    for code in ("token_expired", "token_invalid"):
        assert dialect.verdict(*answered(dialect, unauthorized(code, "..."), "resource")) == "expired"
    for code in ("session_over", "token_invalid"):
        assert dialect.refresh_verdict(*answered(dialect, unauthorized(code, "..."), "refresh")) == "over"
    for problem in (rights_missing(()), token_misused(), ProblemAnswer(429, "rate_limited", "..."), BROKEN):
        for place in ("resource", "refresh", "other"):
            said = answered(dialect, problem, place)
            assert dialect.verdict(*said) == dialect.refresh_verdict(*said) == "accepted"
    good = answering.good(dialect, TOKENS, presented="OLD")
    found = json.loads(good.body)
    assert dialect.verdict(200, found) == dialect.refresh_verdict(200, found) == "accepted"
    assert find(found, dialect.tokens.access_token) == "A"


def test_the_schema_is_the_one_that_the_reader_goes_by() -> None:
    """
    The checked-in schema is written from the table that the reader uses.
    """
    assert members.schema() == SCHEMA


def test_every_member_is_described() -> None:
    """
    Each member has a sentence that says what it is for.
    """
    bare = [path for path, node in properties(SCHEMA) if not str(node.get("description", "")).endswith(".")]
    assert bare == []
    assert len(list(properties(SCHEMA))) > 70


def properties(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every member that a schema describes."""
    if isinstance(node, dict):
        for name, each in node.items():
            if name == "properties":
                yield from ((f"{path}/{member}", about) for member, about in each.items())
            yield from properties(each, f"{path}/{name}")
    elif isinstance(node, list):
        for index, each in enumerate(node):
            yield from properties(each, f"{path}/{index}")


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_document_fits_the_schema(name: str) -> None:
    """
    Each built-in document fits the schema, as it is written and with every member written out.
    """
    VALIDATOR.validate(json.loads(text_of(name)))
    VALIDATOR.validate(write(named(name)))
