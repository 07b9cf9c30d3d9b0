"""The one text that a token store keeps, as bytes: its bounds, and what is refused as damaged."""

from evertoken.errors import TokenStoreRefused

MAX_BYTES = 64 * 1024
"""The largest document, in bytes of UTF-8."""


def encoded(document: str, *, where: str) -> bytes:
    """
    Give the bytes of a document that is to be stored.

    Args:
        document: 1 byte to 64 KiB of UTF-8.
        where: Names the store in the error.

    Raises:
        TokenStoreRefused: It is empty, over 64 KiB, or not to be had as UTF-8.
    """
    try:
        data = document.encode()
    except UnicodeEncodeError:
        data = None
    # Not raised above: the error there carries the document, and would travel along as its context.
    if data is None:
        raise TokenStoreRefused(f"{where}: the document to store is not Unicode text; nothing was written")
    if not data or len(data) > MAX_BYTES:
        raise TokenStoreRefused(f"{where}: the document to store has {len(data)} bytes, not 1 to {MAX_BYTES}")
    return data


def decoded(data: bytes, *, where: str, remedy: str) -> str:
    """
    Give the document that was found in a store.

    Args:
        data: What was found; one byte over 64 KiB is enough to be refused.
        where: Names the store in the error.
        remedy: What a person can do about a damaged one.

    Raises:
        TokenStoreRefused: It is empty, over 64 KiB, or not UTF-8: no store of ours has written it so.
    """
    if not data:
        raise TokenStoreRefused(f"{where} is damaged: it is empty; {remedy}")
    if len(data) > MAX_BYTES:
        raise TokenStoreRefused(f"{where} is not ours: it has more than {MAX_BYTES} bytes; {remedy}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass  # it carries the data, so it must not become the context of the error below
    raise TokenStoreRefused(f"{where} is damaged: it is not UTF-8; {remedy}")
