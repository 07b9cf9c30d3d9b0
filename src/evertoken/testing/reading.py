"""Reading evertoken's requests: JSON, forms, tokens. A request that is not as it must be raises `Refused`."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from evertoken.testing import refusals
from evertoken.testing.listener import Request
from evertoken.testing.refusals import Refused

MAX_FORM_PARAMETERS: Final = 50


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return (request.header("Content-Type") or "").partition(";")[0].strip().lower()


def read_json(request: Request, *, optional: bool = True) -> dict[str, Any]:
    """
    A JSON object.

    Args:
        optional: No body at all counts as an empty object.
    """
    if optional and not request.body:
        return {}
    if media_type(request) != "application/json":
        detail = "Send JSON with Content-Type: application/json."
        raise refusals.bad_request(detail, status=415, code="unsupported_media_type")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise refusals.bad_request("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise refusals.bad_request("Expected `object`.")
    return body


def text_member(body: Mapping[str, Any], name: str) -> str | None:
    """A member that is a text, or None where it is absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise refusals.bad_request(f"Expected `str` - at `$.{name}`.")
    return value


def read_form(request: Request) -> dict[str, str]:
    """A form without repeated parameters; an empty value counts as omitted."""
    if media_type(request) != "application/x-www-form-urlencoded":
        detail = "Send a form: application/x-www-form-urlencoded."
        raise refusals.bad_request(detail, oauth_error="invalid_request")
    try:
        pairs = parse_qsl(
            request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_PARAMETERS
        )
    except ValueError as error:
        raise refusals.bad_request("The body is not a form.", oauth_error="invalid_request") from error
    if len(dict(pairs)) < len(pairs):
        raise refusals.bad_request("A parameter is repeated.", oauth_error="invalid_request")
    return {name: value for name, value in pairs if value}


def read_grant(request: Request) -> str:
    """The refresh token of a refresh_token grant (RFC 6749 §6)."""
    form = read_form(request)
    if "grant_type" not in form:
        raise refusals.bad_request("grant_type is missing.", oauth_error="invalid_request")
    if form["grant_type"] != "refresh_token":
        detail = "Only the refresh_token grant is offered here."
        raise refusals.bad_request(detail, oauth_error="unsupported_grant_type")
    if "refresh_token" not in form:
        raise refusals.bad_request("refresh_token is missing.", oauth_error="invalid_request")
    if "scope" in form:
        raise refusals.bad_request("These sessions carry no scopes; leave scope out.", oauth_error="invalid_scope")
    return form["refresh_token"]


def read_client_id(request: Request) -> str | None:
    """The client that a form names; None where the body is no form, or names none."""
    if media_type(request) != "application/x-www-form-urlencoded":
        return None
    return read_form(request).get("client_id")


def read_bearer(request: Request) -> str | None:
    """The access token of a request (RFC 6750 §2.1); None where it brings none of the Bearer scheme."""
    sent = request.headers_named("Authorization")
    if not sent:
        return None
    scheme, _, token = sent[0].partition(" ")
    if scheme.lower() != "bearer" and len(sent) == 1:
        return None
    token = token.strip(" ")
    if len(sent) > 1 or not token or " " in token or "access_token" in request.query:
        raise Refused(refusals.ACCESS_TOKEN_MISUSED)
    return token
