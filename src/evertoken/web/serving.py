"""
Serving the pages and the browser client. No build step: what is served are the sources.

Only what was found at start-up can be asked for; a request names an entry of a table, never a file.
"""

import functools
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.edge.envelope import OWN_HEADERS
from evertoken.edge.requests import header
from evertoken.edge.settings import Settings
from evertoken.web.files import PAGES, StaticFile, read_folder, static_file, with_facts
from evertoken.wire.origins import is_trustworthy

CLIENT: Final = static_file(b'export * from "./client/index.js";\n', "js")
"""/auth/client.js: one short address for a page without npm."""

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE_HEADERS: Final = (
    *_ALWAYS,
    (b"content-security-policy", _POLICY.encode()),
    # Not no-referrer: on plain http in a LAN, Referer is all that tells GET /auth/csrf that our own page asks.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""A page runs our files and nothing else, is in nobody's frame, and tells no other origin where it was."""

_OPENER_POLICY: Final = (b"cross-origin-opener-policy", b"same-origin")
"""No page that opened ours, or that ours opens, shares its browsing context group. Ignored, with a complaint in the
console, where the origin is not trustworthy: so it is not sent there."""

MODULE_HEADERS: Final = (
    *_ALWAYS,
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"),
    # Modules are asked for by CORS, whose allow-list decides; a preload without it, or a page under COEP, may load
    # them as well: they are the same for everybody and hold no secret.
    (b"cross-origin-resource-policy", b"cross-origin"),
)


class WebRoutes:
    """
    The routes of the pages and of the client.

    Args:
        settings: `pages` leaves the pages away; the client stays.
        has_demo: Whether the demo page and its files are there too.

    Raises:
        ConfigurationError: the files are missing.
    """

    def __init__(self, settings: Settings, *, has_demo: bool = False) -> None:
        self._page_headers: tuple[tuple[bytes, bytes], ...] = PAGE_HEADERS
        self._client = read_folder("client")
        self._pages: dict[str, StaticFile] = {}
        self._files: dict[str, StaticFile] = {}
        if settings.pages:
            self._read_pages(settings, has_demo=has_demo)

    def _read_pages(self, settings: Settings, *, has_demo: bool) -> None:
        found = {path: file for path, file in read_folder("static").items() if has_demo or not path.startswith("demo")}
        names = [name for name in PAGES if f"{name}.html" in found]
        facts = {
            "service": settings.service_name,
            "pages": " ".join(names),
            "password-length": "" if settings.user_directory else str(settings.password_min_length),
        }
        if is_trustworthy(settings.issuer_url):
            self._page_headers = (*PAGE_HEADERS, _OPENER_POLICY)
        self._pages = {name: with_facts(found[f"{name}.html"], facts) for name in names}
        self._files = {path: file for path, file in found.items() if not path.endswith(".html")}

    def routes(self) -> list[Route]:
        """For the end of the router's list, where no other route is matched later for their sake."""
        client = [
            Route("/auth/client.js", self.client_entry, methods=["GET"]),
            Route("/auth/client/{path:path}", self.client_module, methods=["GET"]),
        ]
        if not self._pages:
            return client
        return [
            *client,
            *(
                Route(f"/{name}", functools.partial(self.page, file), methods=["GET"])
                for name, file in self._pages.items()
            ),
            Route("/pages/{path:path}", self.page_file, methods=["GET"]),
        ]

    async def client_entry(self, request: Request) -> Response:
        """The module to import: `import { createSession } from "/auth/client.js"`."""
        request.scope[OWN_HEADERS] = MODULE_HEADERS
        return answer(request, CLIENT)

    async def client_module(self, request: Request) -> Response:
        """One of the modules behind it."""
        file = _find(self._client, request.path_params["path"])
        request.scope[OWN_HEADERS] = MODULE_HEADERS
        return answer(request, file)

    async def page(self, file: StaticFile, request: Request) -> Response:
        """A page holds nobody's data: what a visitor may see is decided by the JSON routes that it calls."""
        request.scope[OWN_HEADERS] = self._page_headers
        return answer(request, file)

    async def page_file(self, request: Request) -> Response:
        """A script, style sheet or picture of a page."""
        return answer(request, _find(self._files, request.path_params["path"]))


def _find(table: Mapping[str, StaticFile], name: str) -> StaticFile:
    file = table.get(name)
    if file is None:
        raise HTTPException(404)
    return file


def answer(request: Request, file: StaticFile) -> Response:
    """The file, or 304 for whoever has it already (RFC 9110 §13.1.2): it is asked for anew each time, and small."""
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if _has_it(header(request, b"if-none-match"), file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers={**headers, "Content-Type": file.media_type})


def _has_it(sent: str | None, etag: str) -> bool:
    """Compared weakly: a proxy that compresses makes our strong validators weak."""
    if sent is None:
        return False
    return sent.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in sent.split(","))
