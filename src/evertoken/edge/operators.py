"""Who may act as an operator, and what is read from an operator's request."""

import re
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from evertoken.edge.answers import Refused, refuse
from evertoken.edge.credentials import Credentials
from evertoken.edge.services import Services
from evertoken.sessions.model import Caller, session_id_bytes, session_id_text
from evertoken.sessions.operating import SessionCursor
from evertoken.wire import problems

ROLE: Final = "admin"
"""What an access token must carry. A role that is taken away counts at the next refresh of each session."""

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
MAX_PART_CHARACTERS: Final = 128
MAX_CURSOR_CHARACTERS: Final = 512

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_SESSION_CURSOR: Final = re.compile(r"([0-9]{1,15})\.([A-Za-z0-9_-]{22})", re.ASCII)


class Operators:
    """Lets operators in; keeps everybody else out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._credentials = Credentials(services)

    def admit(self, request: Request) -> Caller:
        """
        The operator as a caller, for the audit trail.

        Raises:
            Refused: 401 as everywhere; 403 for a page elsewhere that would change something, and for a token without
                the role.
        """
        if request.method not in ("GET", "HEAD"):
            self._services.origins.refuse_foreign(request)
        claims = self._credentials.claims(request)
        if ROLE not in claims.roles:
            raise Refused(problems.rights_missing(()))
        return replace(self._services.callers.read(request), operator=claims.sub)


def limit_of(request: Request) -> int:
    """How many entries are asked for."""
    text = _one(request, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not _NUMBER.fullmatch(text) or int(text) > MAX_LIMIT:
        raise refuse(400, "invalid_request", f"`limit` must be a number from 1 to {MAX_LIMIT}.")
    return int(text)


def text_of(request: Request, name: str, *, most: int = MAX_PART_CHARACTERS) -> str:
    """A text of the query; empty where there is none."""
    text = _one(request, name) or ""
    if len(text) > most:
        raise refuse(400, "invalid_request", f"`{name}` may hold at most {most} characters.")
    return text


def cursor_of(request: Request) -> SessionCursor | None:
    """Where the page before ended."""
    text = _one(request, "after")
    if text is None:
        return None
    found = _SESSION_CURSOR.fullmatch(text)
    session_id = session_id_bytes(found[2]) if found else None
    if found is None or session_id is None:
        raise refuse(400, "invalid_request", "`after` must be the `next` of the page before.")
    return SessionCursor(int(found[1]), session_id)


def cursor_text(cursor: SessionCursor | None) -> str | None:
    """The other way round."""
    return None if cursor is None else f"{cursor.created_at_ms}.{session_id_text(cursor.id)}"


def _one(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise refuse(400, "invalid_request", f"`{name}` came more than once.")
    return values[0] if values else None
