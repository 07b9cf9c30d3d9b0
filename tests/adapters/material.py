"""Bodies of every kind, with the same bytes in them, and what a server has to see of each."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

OFFSET = 70_001
MEMBERS = {"name": "Ada", "numbers": list(range(2000))}
FORM = {"name": "Ada", "note": "x" * 3000}

KINDS = (
    "empty",
    "bytes",
    "text",
    "json",
    "form",
    "multipart in memory",
    "multipart with a file",
    "multipart with an unseekable file",
    "file",
    "file from an offset",
    "unseekable file",
    "list of chunks",
    "generator",
    "async generator",
    "progress bar",
)


class Unseekable(io.RawIOBase):
    """Gives its bytes once, as a pipe or a socket does."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._left = content

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        piece, self._left = self._left[: len(into)], self._left[len(into) :]
        into[: len(piece)] = piece
        return len(piece)


class ProgressBar:
    """Goes through a file, and can be asked for an iterator more than once; the second finds the file read."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._file.read(16_384):
            yield piece


class Material:
    """
    Makes fresh bodies; `close` closes the files that it opened.

    Args:
        path: Where a file may be written.
    """

    content = bytes(range(256)) * 1200
    text = "a text with äöü, " * 9000

    def __init__(self, path: Path) -> None:
        path.write_bytes(self.content)
        self._path = path
        self._opened: list[Any] = []

    def file(self, offset: int = 0) -> Any:
        """An open file."""
        file = self._path.open("rb")
        file.seek(offset)
        self._opened.append(file)
        return file

    def unseekable(self) -> Any:
        """A file that gives its bytes once."""
        file = io.BufferedReader(Unseekable(self.content))
        self._opened.append(file)
        return file

    def chunks(self) -> list[bytes]:
        """All of it in pieces."""
        return [self.content[start : start + 50_000] for start in range(0, len(self.content), 50_000)]

    def generator(self) -> Iterator[bytes]:
        """All of it, once."""
        yield from self.chunks()

    async def async_generator(self) -> AsyncIterator[bytes]:
        """All of it, once, for a task."""
        for chunk in self.chunks():
            yield chunk

    def progress_bar(self) -> ProgressBar:
        """All of it, behind something that looks as if it could be gone through again."""
        return ProgressBar(self.file())

    def expected(self, kind: str) -> bytes | None:
        """What the server must see of it; None where the library writes it in its own way."""
        match kind:
            case "empty":
                return b""
            case "text":
                return self.text.encode()
            case "json" | "form":
                return None
            case "file from an offset":
                return self.content[OFFSET:]
            case _:
                return self.content

    def close(self) -> None:
        """Close what was opened."""
        for file in self._opened:
            file.close()
