"""Who a confidential client is: its id and secret in the header (RFC 6749 §2.3.1), held against the store."""

import base64
from urllib.parse import unquote_plus

from evertoken.accounts.clients import Client, ClientStore, is_secret_of
from evertoken.secret import Secret

CHALLENGE = ("WWW-Authenticate", 'Basic realm="evertoken"')


class NotBasic(ValueError):
    """The header is not Basic credentials as RFC 7617 has them."""


def is_basic(header: str) -> bool:
    """Whether an Authorization header is of the Basic scheme."""
    return header[:6].lower() == "basic "


def parse_basic(header: str) -> tuple[str, str]:
    """
    Client id and secret, each form-encoded inside.

    Raises:
        NotBasic: It is not base64, not ASCII before it, or not UTF-8 behind it.
    """
    try:
        text = base64.b64decode(header[6:].strip(), validate=True).decode("utf-8")
    except ValueError as error:
        raise NotBasic("the Authorization header is not Basic credentials") from error
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


async def client_of(store: ClientStore, client_id: str, secret: str) -> Client | None:
    """
    The confidential client that has this id and this secret, or None.

    Raises:
        StoreUnavailable: It cannot be told now.
    """
    client = await store.find_client(client_id) if client_id and secret else None
    return client if client is not None and is_secret_of(client, Secret(secret)) else None
