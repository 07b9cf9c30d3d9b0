"""
Confidential clients: the callers that may introspect tokens and follow revocations (`evertoken clients`).

A client secret is 32 random bytes of our making, so its SHA-256 is enough to keep: there is nothing to guess.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from evertoken.errors import EvertokenError
from evertoken.secret import Secret

CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
"""What a client id may look like (RFC 6749 §2.2 leaves it to the server)."""


class ClientRefused(EvertokenError):
    """A client cannot be added: its id is taken or not of the form `CLIENT_ID`."""


@dataclass(frozen=True, slots=True)
class Client:
    """A confidential client as it is kept."""

    id: str
    secret_digest: bytes
    created_at_ms: int


class ClientStore(Protocol):
    """Where clients are kept."""

    async def add_client(self, client: Client) -> bool:
        """Store a client; False when the id is taken."""

    async def find_client(self, client_id: str) -> Client | None:
        """One client, or None."""

    async def list_clients(self) -> list[Client]:
        """All of them, by id."""

    async def remove_client(self, client_id: str) -> bool:
        """Remove one; False when there was none."""


def new_client(client_id: str, *, now_ms: int) -> tuple[Client, Secret]:
    """
    Make a client and its secret, which is shown once and kept nowhere.

    Raises:
        ClientRefused: the id holds characters that would have to be escaped, or is longer than 64.
    """
    if not CLIENT_ID.fullmatch(client_id):
        raise ClientRefused(f"a client id is 1 to 64 of A-Z a-z 0-9 . _ ~ -, not {client_id!r}")
    secret = Secret("ecs_" + secrets.token_urlsafe(32))
    return Client(client_id, _digest(secret), now_ms), secret


def is_secret_of(client: Client, secret: Secret) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(client.secret_digest, _digest(secret))


def _digest(secret: Secret) -> bytes:
    return hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest()
