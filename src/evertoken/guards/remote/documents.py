"""What a guard elsewhere reads from an issuer: metadata (RFC 8414), keys (RFC 7517), the revocation feed. Pure."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from evertoken.errors import ConfigurationError, MalformedToken
from evertoken.guards.remote.plan import FeedFailure, Page, retry_after_seconds
from evertoken.tokens import strict_json
from evertoken.tokens.verification_keys import VerificationKey, read_jwks
from evertoken.wire.origins import is_trustworthy
from evertoken.wire.revocations import RevocationsAnswer

WELL_KNOWN: Final = ("oauth-authorization-server", "openid-configuration")

_PAGE: Final = msgspec.json.Decoder(RevocationsAnswer)
_OK: Final = 200
_MOST_KEPT_SECONDS: Final = 366 * 24 * 3600


class BadDocument(Exception):
    """An answer is not what it must be; the message says in what, and never repeats it."""


def check_url(setting: str, url: str, *, allow_http: bool) -> str:
    """
    The URL, as it is.

    Raises:
        ConfigurationError: It is not the URL of a server, or a stranger on the way could forge its answers.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ConfigurationError(setting, f"{url!r} is not a URL") from error
    is_bare = is_url and not parts.fragment and not (parts.query and setting == "issuer")  # RFC 8414 §2
    if not is_bare or parts.username is not None or parts.password is not None:
        raise ConfigurationError(setting, f"{url!r} is not the URL of a server, such as https://auth.example.com")
    if parts.scheme == "http" and not allow_http and not is_trustworthy(url):
        raise ConfigurationError(
            setting, f"{url!r} is plain http: anybody on the way could forge the keys. Use https, or allow_http=True"
        )
    return url


def metadata_urls(issuer: str) -> list[str]:
    """Where an issuer's metadata may be (RFC 8414 §3.1 and §5; OpenID Connect Discovery §4), the best place first."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    return [f"{base}/.well-known/{WELL_KNOWN[0]}{path}", f"{base}{path}/.well-known/{WELL_KNOWN[1]}"]


def jwks_url_in(raw: bytes, *, issuer: str, allow_http: bool) -> str:
    """
    Where the keys are, by the metadata.

    Raises:
        BadDocument: It is no metadata.
        ConfigurationError: It is another issuer's (RFC 8414 §3.3), or names no usable place of keys.
    """
    document = _object(raw, "metadata")
    told = document.get("issuer")
    if told != issuer:
        shown = f"{told!r}" if isinstance(told, str) and len(told) < 200 else "something else"  # noqa: PLR2004
        raise ConfigurationError(
            "issuer", f"is {issuer!r}, but the server there says it is {shown}; they must be equal"
        )
    url = document.get("jwks_uri")
    if not isinstance(url, str):
        raise ConfigurationError("issuer", f"the metadata of {issuer} names no jwks_uri; give jwks_url")
    return check_url("jwks_uri in the metadata", url, allow_http=allow_http)


def keys_in(raw: bytes) -> dict[str, VerificationKey]:
    """
    The keys that verify, by kid.

    Raises:
        BadDocument: It is no JWK set, or holds no key that this guard can use.
    """
    try:
        keys = read_jwks(_object(raw, "JWK set"))
    except ConfigurationError as error:
        raise BadDocument(str(error)) from error
    if not keys:
        raise BadDocument("there is no key for ES256, EdDSA or RS256 (an HS256 key is secret: it is never published)")
    return keys


def page_in(status: int, headers: Mapping[str, str], raw: bytes) -> Page | FeedFailure:
    """What an answer of the feed says."""
    if status == _OK:
        try:
            return _page(raw)
        except BadDocument as error:
            return FeedFailure(str(error))
    match status:
        case 401 | 403:
            return FeedFailure(
                f"the issuer refuses the client ({status}); add one there: evertoken clients add ID",
                setting="client_id, client_secret",
            )
        case 404 | 405:
            return FeedFailure(
                f"the issuer has no revocation feed there ({status}); leave out client_id, or give revocations_url",
                setting="revocations_url",
            )
        case 400:
            return FeedFailure("the issuer refuses our cursor", is_cursor_refused=True)
        case 502 | 504:  # a gateway's, while there is nobody behind it
            return FeedFailure(f"the feed answered {status}", is_gone=True, retry_after=retry_after_seconds(headers))
        case _:
            return FeedFailure(f"the feed answered {status}", retry_after=retry_after_seconds(headers))


def _page(raw: bytes) -> Page:
    try:
        answer = _PAGE.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadDocument("the feed's answer is not a page of revocations") from error
    ids = tuple(entry.session_id for entry in answer.revoked)
    if not 0 < answer.kept_seconds <= _MOST_KEPT_SECONDS or (not answer.complete and not ids):
        raise BadDocument("the feed's answer contradicts itself")
    return Page(ids, answer.cursor, answer.complete, answer.kept_seconds)


def _object(raw: bytes, what: str) -> dict[str, Any]:
    try:
        return strict_json.parse_object(raw)
    except MalformedToken as error:
        raise BadDocument(f"the {what} is not JSON: {error}") from error
