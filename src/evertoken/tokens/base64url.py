"""Unpadded base64url (RFC 7515 §2), read strictly: one text for each sequence of bytes, and one only."""

import binascii
from typing import Final

from evertoken.errors import MalformedToken

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")


def encode(raw: bytes) -> str:
    """The one text that `decode` takes for these bytes."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """
    The bytes that `text` stands for.

    Raises:
        MalformedToken: `text` holds padding, white space, a character outside the URL alphabet or stray bits at
            its end. A lenient reader would take many spellings of one token, and what goes by the text of a
            token, such as a deny list, would miss all but one.

    Source: RFC 7515 §2; RFC 4648 §3.5 for the stray bits.
    """
    try:
        raw = binascii.a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"==")
    except ValueError:
        raise MalformedToken("not base64url") from None
    # The standard library skips what it does not know. Encoding anew finds everything that it skipped.
    if encode(raw) != text:
        raise MalformedToken("not base64url in its one spelling")
    return raw
