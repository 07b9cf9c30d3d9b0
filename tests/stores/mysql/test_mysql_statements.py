"""How values are written into statements: nothing that a stranger sends is ever read as SQL."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertoken.stores.mysql.connection import Connection, connect, storable
from evertoken.stores.mysql.statements import Sql, literal, table, written
from tests.stores.mysql.server import MariadbServer

NASTY = ("", "'", "\\", "\\'", "'; DROP TABLE users; --", "$1 [users] %s", '\0\n\r\x1a"`', "ada ", "名 \U0001f600")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One for the whole file, as for its connection."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def connection(server: MariadbServer, loop: asyncio.AbstractEventLoop) -> Iterator[Connection]:
    """A connection as the store's own are."""
    made = loop.run_until_complete(connect(server.url(), prefix=""))
    yield made
    loop.run_until_complete(made.close(timeout=5))


TEXTS = st.one_of(st.sampled_from(NASTY), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300), TEXTS)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=8))
def test_every_value_comes_back_as_it_was_sent(
    connection: Connection, loop: asyncio.AbstractEventLoop, values: list[int | str | bytes | None]
) -> None:
    """Quotes, backslashes, NULs and what looks like our own placeholders are only text."""
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    row = loop.run_until_complete(connection.fetchrow(f"SELECT {marks}", *values))
    assert row is not None
    assert list(row) == values


def test_a_list_is_in_brackets_and_an_empty_one_matches_nothing(
    connection: Connection, loop: asyncio.AbstractEventLoop
) -> None:
    """What is asked for none gives none, and is no error."""
    count = "SELECT COUNT(*) FROM (SELECT 7 AS n) AS one WHERE n IN $1"
    for given_, expected in (((), 0), ((6, 7), 1), ([8], 0)):
        assert loop.run_until_complete(connection.fetchval(count, given_)) == expected
    assert literal(True) == "1"
    with pytest.raises(TypeError, match="float is no value"):
        literal(1.5)  # type: ignore[arg-type]


def test_texts_compare_byte_by_byte_and_a_space_at_the_end_counts(
    connection: Connection, loop: asyncio.AbstractEventLoop
) -> None:
    """Two users whose ids differ by case or by a space are two, also in a batch beside a column."""
    listed = table(("name",), [(name,) for name in ("ada", "ada ", "Ada")])
    found = loop.run_until_complete(connection.fetch("SELECT name FROM ($1) AS listed WHERE name = $2", listed, "ada"))
    assert found == [("ada",)]


def test_names_of_tables_get_the_prefix_and_values_do_not() -> None:
    """A device that calls itself [users] stays what it is."""
    text = written("SELECT * FROM [users] WHERE a = $1 AND b IN $2", "shop_", ("[users] $2", (b"\x01", b"")))
    assert text == "SELECT * FROM `shop_users` WHERE a = '[users] $2' AND b IN (x'01',x'')"
    assert isinstance(text, Sql)


def test_texts_are_made_fit_for_their_columns() -> None:
    """Half a surrogate pair, or more than the column takes, is no error."""
    assert storable("a\ud800") == "a?"
    assert len(storable("名" * 9_000, "device")) == 512
