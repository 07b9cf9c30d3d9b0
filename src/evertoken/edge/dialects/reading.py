"""Reading a call as its dialect spells it: user name and password, refresh token, access token."""

from typing import Any

import msgspec
from starlette.requests import Request

from evertoken.edge.answers import refuse
from evertoken.edge.requests import media_type, read_body
from evertoken.edge.routes.auth import Password, Username
from evertoken.errors import MalformedToken
from evertoken.secret import Secret
from evertoken.tokens import strict_json
from evertoken.wire.dialects.dialect import AccessTokenPlace, AuthCall
from evertoken.wire.forms import FormMisused, parse_form

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class CallReader:
    """
    Reads one call.

    Args:
        limit: The largest body that is read, in bytes.
    """

    def __init__(self, call: AuthCall, *, limit: int) -> None:
        self._call = call
        self._limit = limit
        self._sign_in = msgspec.defstruct(
            "SignIn",
            [("username", Username), ("password", Password)],
            rename={"username": call.username, "password": call.password},
        )

    async def credentials(self, request: Request) -> tuple[str, Secret]:
        """
        User name and password.

        Raises:
            Refused: 415, 413, 400 with the member that is wrong; no message repeats a value.
        """
        members = self._members(request, await read_body(request, limit=self._limit))
        try:
            found: Any = msgspec.convert(members, self._sign_in)
        except msgspec.ValidationError as error:
            raise refuse(400, "invalid_request", f"{error}.") from error
        return found.username, Secret(found.password)

    async def refresh_token(self, request: Request) -> str | None:
        """
        The refresh token, None where none came along; one that comes by cookie is looked for elsewhere.

        Raises:
            Refused: 415, 413, 400 for what cannot be read or came twice.
        """
        raw = await read_body(request, limit=self._limit)  # of a body that says nothing, too: it has its limit
        place = self._call.token
        match place.kind:
            case "body":
                return None if not raw else self._body_token(request, raw)
            case "header":
                return header_token(request, place.name, place.scheme)
            case "query":
                return _query_token(request, place.name)
            case "cookie":
                return None

    def _body_token(self, request: Request, raw: bytes) -> str | None:
        name = self._call.token.name
        found = self._members(request, raw).get(name)
        if found is not None and not isinstance(found, str):
            raise refuse(400, "invalid_request", f"The member {name} must be a text.")
        return found

    def _members(self, request: Request, raw: bytes) -> dict[str, Any]:
        wanted = _FORM if self._call.encoding == "form" else _JSON
        if media_type(request) != wanted:
            raise refuse(415, "unsupported_media_type", f"Send Content-Type: {wanted}.")
        try:
            return parse_form(raw) if wanted == _FORM else strict_json.parse_object(raw)
        except (MalformedToken, FormMisused) as error:
            what = "a form" if wanted == _FORM else "one JSON object"
            raise refuse(400, "invalid_request", f"The body must be {what}, with no member twice.") from error


def header_token(request: Request, name: str, scheme: str | None) -> str | None:
    """
    The token of a header; None where the header is not there, is empty, or is of another scheme.

    Args:
        scheme: The word before the token, in any case (RFC 9110 §11.1); None for the bare token.

    Raises:
        Refused: 400 where the header came twice, or holds more than one token.
    """
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise refuse(400, "invalid_request", f"Send one header {name}.")
    if not values:
        return None
    token = values[0].strip(" \t")
    if scheme is not None:
        word, _, token = token.partition(" ")
        if word.lower() != scheme.lower():
            return None
        token = token.strip(" ")
    if " " in token or not token.isascii():
        raise refuse(400, "invalid_request", f"The header {name} must hold one token.")
    return token or None  # empty is what a page sends whose store is


def access_token_of(request: Request, place: AccessTokenPlace) -> str | None:
    """The access token of a request; see `header_token`."""
    return header_token(request, place.header, place.scheme)


def _query_token(request: Request, name: str) -> str | None:
    try:
        return parse_form(request.scope["query_string"]).get(name)
    except FormMisused as error:
        raise refuse(
            400, "invalid_request", "The query of the URL cannot be read, or has a parameter twice."
        ) from error
