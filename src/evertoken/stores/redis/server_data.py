"""What the server keeps for itself: signing keys, and the clients that may ask it."""

import base64
import json

from evertoken.accounts.clients import Client
from evertoken.sessions.keys import StoredKey
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import Keys, encoded
from evertoken.stores.redis.scripts import FIRST_KEY


async def list_keys(calls: Calls, keys: Keys) -> list[StoredKey]:
    """Signing keys, the oldest first."""
    found = await calls.one(("HVALS", keys.signing_keys))
    return sorted(map(_key, found), key=lambda key: (key.signs_from_ms, key.kid))


async def add_first_key(calls: Calls, keys: Keys, key: StoredKey) -> bool:
    """Store a key unless one of its algorithm that can sign is there."""
    return bool(await calls.one(FIRST_KEY.on([keys.signing_keys], encoded(key.kid), _text(key), key.algorithm)))


async def save_keys(calls: Calls, keys: Keys, stored: list[StoredKey]) -> None:
    """Add or overwrite, all in one command."""
    if stored:
        pairs = [part for key in stored for part in (encoded(key.kid), _text(key))]
        await calls.one(("HSET", keys.signing_keys, *pairs))


async def remove_keys(calls: Calls, keys: Keys, *, before_ms: int) -> int:
    """Remove those that have verified nothing since; how many."""
    gone = [
        encoded(key.kid)
        for key in await list_keys(calls, keys)
        if key.verifies_until_ms is not None and key.verifies_until_ms < before_ms
    ]
    return int(await calls.one(("HDEL", keys.signing_keys, *gone))) if gone else 0


async def add_client(calls: Calls, keys: Keys, client: Client) -> bool:
    """Insert a client; False when the id is taken."""
    text = json.dumps({"digest": client.secret_digest.hex(), "created_at_ms": client.created_at_ms})
    return bool(await calls.one(("HSETNX", keys.clients, encoded(client.id), text)))


async def find_client(calls: Calls, keys: Keys, client_id: str) -> Client | None:
    """One client."""
    text = await calls.one(("HGET", keys.clients, encoded(client_id)))
    return None if text is None else _client(client_id, text)


async def list_clients(calls: Calls, keys: Keys) -> list[Client]:
    """All clients, by id."""
    found = await calls.one(("HGETALL", keys.clients))
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return [_client(client_id.decode(), text) for client_id, text in sorted(pairs)]


async def remove_client(calls: Calls, keys: Keys, client_id: str) -> bool:
    """Remove one."""
    return bool(await calls.one(("HDEL", keys.clients, encoded(client_id))))


def _client(client_id: str, text: bytes) -> Client:
    parts = json.loads(text)
    return Client(client_id, bytes.fromhex(parts["digest"]), parts["created_at_ms"])


def _text(key: StoredKey) -> str:
    return json.dumps(
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "private_wrapped": base64.b64encode(key.private_wrapped).decode(),
            "signs_from_ms": key.signs_from_ms,
            "verifies_until_ms": key.verifies_until_ms,
        }
    )


def _key(text: bytes) -> StoredKey:
    parts = json.loads(text)
    return StoredKey(**parts | {"private_wrapped": base64.b64decode(parts["private_wrapped"])})
