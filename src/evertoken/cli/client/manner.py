"""How the server of a session is spoken to: what only `evertoken login` was told, and the later commands need. Pure."""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from evertoken.wire.dialects.dialect import AccessTokenPlace, Dialect
from evertoken.wire.dialects.known import EVERTOKEN, oauth2

FORMAT: Final = 1


class NotOurs(ValueError):
    """The text is none of ours, or is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """
    How one server is spoken to; no secret is in it.

    Args:
        server: The base URL that it is about.
        header: Which header carries the access token.
        scheme: The word before the token; empty for the bare token.
        client_id: For an OAuth server, what the client is called there.
        token_endpoint, revocation_endpoint: For an OAuth server, absolute URLs.
    """

    server: str
    header: str = "Authorization"
    scheme: str = "Bearer"
    client_id: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None

    @property
    def is_usual(self) -> bool:
        """Whether it is that of an evertoken server, so that there is nothing to remember."""
        return self == Manner(server=self.server)

    @property
    def dialect(self) -> Dialect:
        """The same as the client wants it."""
        spoken = EVERTOKEN
        if self.token_endpoint is not None and self.client_id is not None:
            spoken = oauth2(
                token_endpoint=self.token_endpoint,
                revocation_endpoint=self.revocation_endpoint,
                client_id=self.client_id,
            )
        return replace(spoken, access_token=AccessTokenPlace(self.header, self.scheme or None))


def render(manner: Manner) -> str:
    """The document that is kept."""
    return json.dumps({"evertoken_manner": FORMAT, **asdict(manner)}, indent=1)


def parse(document: str) -> Manner:
    """
    Read a document.

    Raises:
        NotOurs: It is damaged, foreign, or of a later format.
    """
    try:
        members = json.loads(document)
    except (ValueError, RecursionError):
        raise NotOurs("it is not JSON") from None
    if not isinstance(members, dict) or members.get("evertoken_manner") != FORMAT:
        raise NotOurs("it was not written by this evertoken")
    known = {field.name for field in fields(Manner)}
    values = {name: value for name, value in members.items() if name in known and value is not None}
    if "server" not in values or not all(isinstance(value, str) for value in values.values()):
        raise NotOurs("it is damaged")
    return Manner(**values)
