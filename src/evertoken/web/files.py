"""The static files of the pages and of the browser client: read once at start-up, then looked up by their names."""

import hashlib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from evertoken.errors import ConfigurationError

MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",  # RFC 9239
    "svg": "image/svg+xml",
}
"""What is served, by its ending; nothing else in the folders is."""

PAGES: Final = ("demo", "sessions", "admin")
"""The pages, in the order of the navigation."""

_HTML_TAG: Final = b'<html lang="en">'


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, ready to be sent."""

    body: bytes
    media_type: str
    etag: str
    """A strong validator (RFC 9110 §8.8.3): the same bytes have the same one in every process and release."""


def static_file(body: bytes, ending: str) -> StaticFile:
    """These bytes as a file of this kind, one of `MEDIA_TYPES`."""
    return StaticFile(body, MEDIA_TYPES[ending], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def read_folder(name: str) -> dict[str, StaticFile]:
    """
    Every file of a folder of this package that has a media type of ours, by its path below the folder.

    Args:
        name: `static` or `client`.

    Raises:
        ConfigurationError: there is none, as in a checkout whose symbolic links were not made.
    """
    folder = files("evertoken.web").joinpath(name)
    found = {path: static_file(file.read_bytes(), ending) for path, file, ending in _walk(folder, "")}
    if not found:
        raise ConfigurationError(
            "pages",
            f"the files in {folder} are missing; install evertoken again, or let git make the link in your checkout"
            " (git config core.symlinks true, then git checkout it)",
        )
    return found


def _walk(folder: Traversable, below: str) -> Iterator[tuple[str, Traversable, str]]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        path = below + entry.name
        if entry.is_dir():
            yield from _walk(entry, path + "/")
        elif (ending := entry.name.rpartition(".")[2]) in MEDIA_TYPES:
            yield path, entry, ending


def with_facts(page: StaticFile, facts: dict[str, str]) -> StaticFile:
    """
    A page that knows what its server is like: facts as data attributes of its <html>.

    Raises:
        ValueError: the page does not begin with the tag that they are written into.
    """
    if page.body.count(_HTML_TAG) != 1:
        raise ValueError(f"a page must hold {_HTML_TAG.decode()} once")
    attributes = "".join(f' data-{name}="{html.escape(value)}"' for name, value in facts.items())
    return static_file(page.body.replace(_HTML_TAG, f'<html lang="en"{attributes}>'.encode()), "html")
