import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.errors import MalformedToken
from evertoken.tokens import base64url

from .forging import patient


@patient
@given(st.binary())
def test_bytes_written_and_read_come_back(raw: bytes) -> None:
    """
    What is encoded can be decoded.
    """
    assert base64url.decode(base64url.encode(raw)) == raw


@patient
@given(st.one_of(st.text(), st.text("ABCabc019-_+/=\n ")))
def test_any_text_has_one_spelling_or_is_refused(text: str) -> None:
    """
    A text is either the one spelling of its bytes, or no base64url at all.
    """
    try:
        raw = base64url.decode(text)
    except MalformedToken:
        return
    assert base64url.encode(raw) == text


@pytest.mark.parametrize(
    "text",
    [
        "QQ==",
        "QQ=",
        "QR",
        "QUF",
        "Q",
        "QUFB\n",
        " QUFB",
        "QU FB",
        "QUF+",
        "QUF/",
        "QUFB.",
        "QUFBQ",
        "QÜFB",
        "\ud800",
        "=",
    ],
)
def test_a_second_spelling_is_refused(text: str) -> None:
    """
    Padding, white space, the other alphabet and stray bits at the end are refused.
    """
    with pytest.raises(MalformedToken):
        base64url.decode(text)


def test_nothing_is_the_empty_text() -> None:
    """
    No bytes are the empty text.
    """
    assert base64url.encode(b"") == ""
    assert base64url.decode("") == b""
