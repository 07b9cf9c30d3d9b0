import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import MalformedToken
from evertoken.tokens import strict_json

from .forging import patient

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**90), 10**90)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


@patient
@given(st.dictionaries(_TEXT, _VALUES), st.booleans())
def test_an_honest_object_is_read_as_it_was_written(value: dict[str, Any], is_ascii: bool) -> None:
    """
    Whatever object an honest program writes, with or without escapes, is read.
    """
    assert strict_json.parse_object(json.dumps(value, ensure_ascii=is_ascii).encode()) == value


@patient
@given(st.one_of(st.binary(), st.text('{}[]:,"\\u0dnNaIf1e \n').map(str.encode)))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    """
    Bytes from strangers lead to an object or to a refusal, and to nothing else.
    """
    with contextlib.suppress(MalformedToken):
        assert strict_json.parse_object(raw).keys() is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"{",
        b"{} {}",
        b"{}x",
        b"{'a':1}",
        b'{"a":1,}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":["\\udc00\\ud800"]}',
        b'{"\\ud800":1}',
        b'{"a":"\\u0000"}',
        b'{"a":{"b\\u0000":1}}',
        b'{"a":"\x00"}',
        b'{"a":"\n"}',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":' + b"9" * 101 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1.' + b"0" * 200 + b"}",
        b'{"a":01}',
    ],
)
def test_what_parsers_disagree_about_is_refused(raw: bytes) -> None:
    """
    Byte order marks, repeated members, half surrogate pairs, NaN and their like are refused.
    """
    with pytest.raises(MalformedToken):
        strict_json.parse_object(raw)


@pytest.mark.parametrize("text", ['"\\\\u0000"', '"\\ud83d\\ude00"', '"\\u00e9"', '"{[{[{[{[{[{[{[{[{[{[{["'])
def test_what_only_looks_like_it_is_read(text: str) -> None:
    """
    An escaped backslash before u0000, a whole surrogate pair and brackets in a string are ordinary text.
    """
    assert strict_json.parse_object(f'{{"a":{text}}}'.encode()) == {"a": json.loads(text)}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('["[",', "]")])
def test_nesting_is_read_to_sixteen_and_no_deeper(opening: str, closing: str) -> None:
    """
    Sixteen levels are read; seventeen, or five thousand, are refused and exhaust nothing.
    """

    def nested(depth: int) -> bytes:
        return ('{"a":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}").encode()

    assert strict_json.parse_object(nested(16))
    for depth in (17, 5000, 100_000):
        with pytest.raises(MalformedToken):
            strict_json.parse_object(nested(depth))


def test_many_short_branches_are_not_deep() -> None:
    """
    A wide object is not a deep one.
    """
    wide = {"a": [{"b": [1]}] * 50}
    assert strict_json.parse_object(json.dumps(wide).encode()) == wide


def test_a_text_full_of_quotes_costs_linear_time() -> None:
    """
    Quotes that close nothing do not make the depth check search again and again.
    """
    with pytest.raises(MalformedToken):
        strict_json.parse_object(b"{}" * 17 + b'"' + b'\\"' * 500_000)
