"""Any OAuth 2 authorization server: its endpoints found by discovery, its refresh tokens taken for single-use."""

import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from evertoken.client.http import Call, HttpTransport, NoAnswer, NotSent, Transport
from evertoken.client.origins import origin_of
from evertoken.client.session import Session
from evertoken.errors import ConfigurationError, TemporarilyUnavailable
from evertoken.secret import Secret
from evertoken.wire.dialects.known import oauth2

WELL_KNOWN = ("oauth-authorization-server", "openid-configuration")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an authorization server takes refreshes and revocations; the latter may be missing."""

    token_endpoint: str
    revocation_endpoint: str | None


def discover(issuer: str, *, transport: Transport | None = None, timeout_seconds: float = 10.0) -> Endpoints:
    """
    Read the metadata of an authorization server.

    Args:
        issuer: Its identifier, an https URL (http only on this machine or where you say so by writing it).
        transport: How to ask; by default over the standard library.
        timeout_seconds: For each of the at most three places where the metadata may be.

    Raises:
        TemporarilyUnavailable: It could not be asked, or is in trouble.
        ConfigurationError: There is no metadata, it is somebody else's, or it lacks a usable token endpoint.

    Source: RFC 8414 §3 (the place, with the issuer's path after it), §3.3 (the issuer in it must be the one asked for).
    """
    if origin_of(issuer) is None:
        raise ConfigurationError("issuer", f"{issuer!r} is not an http or https URL with a host")
    ask = transport or HttpTransport()
    tried = []
    for url in _places(issuer):
        try:
            answer = ask(Call("GET", url, {"Accept": "application/json"}), timeout_seconds=timeout_seconds)
        except (NotSent, NoAnswer) as error:
            raise TemporarilyUnavailable(f"the metadata of {issuer} could not be read: {error}") from error
        if answer.status >= 500 or answer.status == 429:  # noqa: PLR2004
            raise TemporarilyUnavailable(f"the metadata of {issuer} could not be read: {url} answers {answer.status}")
        if answer.status == 200:  # noqa: PLR2004
            return _endpoints(issuer, url, answer.body)
        tried.append(f"{url} answers {answer.status}")
    raise ConfigurationError("issuer", "no authorization server metadata: " + "; ".join(tried))


def oauth_session(
    base_url: str,
    *,
    client_id: str,
    issuer: str | None = None,
    token_endpoint: str | None = None,
    revocation_endpoint: str | None = None,
    client_secret: Secret | str | None = None,
    client_authentication: Literal["basic", "post"] = "basic",
    scope: str | None = None,
    **settings: Any,
) -> Session:
    """
    A session at an API whose tokens come from an OAuth 2 authorization server. Hand it a pair with `Session.adopt`.

    Args:
        base_url: Where the API is; the access token goes there only.
        client_id, client_secret, client_authentication: As registered at the authorization server.
        issuer: Asked for its endpoints (`discover`), unless they are given.
        token_endpoint, revocation_endpoint: Absolute URLs.
        scope: A narrower scope to ask for.
        settings: Those of `Session`.

    Raises:
        As `discover` and `Session`.
    """
    if token_endpoint is None:
        if issuer is None:
            raise ConfigurationError("issuer", "give the issuer, or the token_endpoint")
        found = discover(issuer, transport=settings.get("transport"))
        token_endpoint = found.token_endpoint
        revocation_endpoint = revocation_endpoint or found.revocation_endpoint
    dialect = oauth2(
        token_endpoint=token_endpoint,
        revocation_endpoint=revocation_endpoint,
        client_id=client_id,
        client_secret=client_secret,
        client_authentication=client_authentication,
        scope=scope,
    )
    return Session(base_url, dialect=dialect, **settings)


def _places(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    places = [f"{root}/.well-known/{name}{path}" for name in WELL_KNOWN]
    # OpenID Connect Discovery §4 puts it behind the path.
    return places if not path else [*places, f"{root}{path}/.well-known/{WELL_KNOWN[1]}"]


def _endpoints(issuer: str, url: str, body: bytes) -> Endpoints:
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise ConfigurationError("issuer", f"{url} does not hold a JSON object")
    if metadata.get("issuer") != issuer:
        raise ConfigurationError("issuer", f"{url} is the metadata of another issuer; write it exactly as it does")
    token_endpoint = metadata.get("token_endpoint")
    if not isinstance(token_endpoint, str) or origin_of(token_endpoint) is None:
        raise ConfigurationError("issuer", f"{url} names no usable token_endpoint")
    revocation = metadata.get("revocation_endpoint")
    usable = isinstance(revocation, str) and origin_of(revocation) is not None
    return Endpoints(token_endpoint, revocation if usable else None)
