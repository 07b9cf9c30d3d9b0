"""The dialects that need no description: evertoken's own, the built-in documents, and OAuth 2. Pure."""

import base64
from functools import cache
from importlib import resources
from typing import Final, Literal
from urllib.parse import quote

from evertoken.secret import Secret
from evertoken.wire.dialects import document
from evertoken.wire.dialects.dialect import AuthCall, Dialect, Match, TokenPlace
from evertoken.wire.dialects.kinds import DialectError

EVERTOKEN: Final = Dialect(
    name="evertoken",
    about="evertoken's own: Bearer tokens (RFC 6750), token answers of RFC 6749, problems of RFC 9457.",
    over=(Match(status=401, body={"/code": ("session_over",)}),),
    refresh_over=(Match(status=401, body={"/code": ("token_invalid",)}),),
    stale=(Match(status=503, body={"/code": ("stale",)}),),
    reason="/reason",
    refresh_is_repeatable=True,
)

NAMES: Final = (
    "evertoken",
    "raw-header",
    "status-code-in-body",
    "nest",
    "get-refresh",
    "code-in-400",
    "cookie-envelope",
    "code-in-200",
)
"""The built-in dialects: each is `documents/NAME.json`."""


@cache
def named(name: str) -> Dialect:
    """
    A built-in dialect.

    Raises:
        DialectError: There is none of this name.
    """
    if name == EVERTOKEN.name:
        return EVERTOKEN
    return document.read(text_of(name))


def text_of(name: str) -> str:
    """
    The document of a built-in dialect, as it is written.

    Raises:
        DialectError: There is none of this name.
    """
    if name not in NAMES:
        raise DialectError("", f"{name!r} is none of the built-in ones: {', '.join(NAMES)}")
    return resources.files(__package__).joinpath("documents", f"{name}.json").read_text("utf-8")


def oauth2(
    *,
    token_endpoint: str,
    client_id: str,
    client_secret: Secret | str | None = None,
    client_authentication: Literal["basic", "post"] = "basic",
    revocation_endpoint: str | None = None,
    scope: str | None = None,
) -> Dialect:
    """
    Any OAuth 2 authorization server, by its refresh_token grant.

    A refresh token there may be good for one use only, so a refresh whose answer was lost is not repeated.

    Args:
        token_endpoint: An absolute URL.
        client_id, client_secret: As registered; without a secret the client is a public one.
        client_authentication: The secret in the Authorization header, or in the body (RFC 6749 §2.3.1).
        revocation_endpoint: Where a sign-out is told (RFC 7009); None: a sign-out only forgets the tokens.
        scope: A narrower scope to ask for; None keeps what was granted.

    Source: RFC 6749 §6 and §5.2, RFC 7009 §2.1.
    """
    secret = client_secret.reveal() if isinstance(client_secret, Secret) else client_secret
    headers: dict[str, str] = {}
    body = {"client_id": client_id}
    if secret is not None and client_authentication == "basic":
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        body = {}
    elif secret is not None:
        body["client_secret"] = secret
    revoke = None
    if revocation_endpoint is not None:
        hint = body | {"token_type_hint": "refresh_token"}
        revoke = AuthCall(
            url=revocation_endpoint, encoding="form", headers=headers, token=TokenPlace("body", "token"), body=hint
        )
    grant = {"grant_type": "refresh_token"} | ({"scope": scope} if scope else {})
    refused = {"/error": ("invalid_grant",)}
    return Dialect(
        name="oauth2",
        login=None,
        refresh=AuthCall(url=token_endpoint, encoding="form", headers=headers, body=body | grant),
        logout=revoke,
        refresh_over=(Match(status=400, body=refused), Match(status=401, body=refused)),
        reason="/error",
    )
