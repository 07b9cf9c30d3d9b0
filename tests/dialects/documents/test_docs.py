"""docs/dialects/document.md: its tables are the reader's own, its example can be served, and its code runs."""

import json
import re

import pytest

from evertoken.dialects import DialectError, read
from evertoken.wire.dialects.serving import refuse_unservable
from tests.dialects.documents.docs import PAGE, parts, renewed
from tests.readme.blocks import blocks_of

TEXT = PAGE.read_text("utf-8")


def test_the_tables_of_the_page_are_those_of_the_schema() -> None:
    """
    Every member stands in the page with its kind, its default and its sentence, letter by letter.
    """
    assert renewed(TEXT) == TEXT, "python -m tests.dialects.documents.docs writes them anew"
    assert {part.made.__name__ for part in parts()} == set(re.findall(r"<!-- members of (\w+) -->", TEXT))


def test_the_example_of_the_page_is_a_dialect_that_a_server_can_speak() -> None:
    """
    The document shown first is read, and could be served as it stands.
    """
    (shown,) = (block.text for block in blocks_of(PAGE) if block.language == "json")
    dialect = read(shown)
    refuse_unservable(dialect)
    assert dialect.name == json.loads(shown)["name"]


def test_the_code_of_the_page_prints_what_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The Python of the page runs as it stands there.
    """
    (source,) = (block.text for block in blocks_of(PAGE) if block.language == "python")
    exec(compile(source, "read_it.py", "exec"), {})
    assert capsys.readouterr().out.split() == ["/user/refresh", "/access_token/header"]


def test_the_error_that_the_page_shows_is_the_one_that_is_raised() -> None:
    """
    The message in the first paragraph is what a person sees.
    """
    (shown,) = re.findall(r"`(dialect /\S+: [^`]+)`", TEXT)
    with pytest.raises(DialectError) as refused:
        read({"refresh": {"url": "/r", "method": "GET"}})
    assert str(refused.value) == shown
