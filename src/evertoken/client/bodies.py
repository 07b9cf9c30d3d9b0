"""Whether a request's body can be sent a second time, whole, and how. Pure, but for files that it looks into."""

from collections.abc import Callable, Sequence
from typing import Any

Rewind = Callable[[], object]
"""Makes a body ready to be sent once more."""


def as_it_is() -> None:
    """The rewind of a body that nothing has to be done to."""


def rewind_of(content: Any, *, start: int | None = None) -> Rewind | None:
    """
    How to send content once more; None where it cannot be, or where nobody knows.

    Args:
        content: A file, chunks, or whatever else the application gave the HTTP library as a body.
        start: From where a file was sent; None: from where it stands now.
    """
    if hasattr(content, "read"):
        if not is_seekable(content):
            return None
        offset = content.tell() if start is None else start
        return lambda: content.seek(offset)
    # A list of chunks can be gone through again. Of anything else nobody knows: what wraps a file, as a progress bar
    # does, gives a new iterator each time, and the second finds the file read.
    return as_it_is if isinstance(content, Sequence) else None


def is_seekable(file: Any) -> bool:
    """Whether a file can be set back."""
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(file, "seek") and hasattr(file, "tell")
