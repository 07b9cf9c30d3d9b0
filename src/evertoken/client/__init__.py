"""Silent refresh for programs written in Python: one `Session`, and an adapter per HTTP library."""

from evertoken.client.oauth import discover, oauth_session
from evertoken.client.session import Session
from evertoken.client.token_stores.file import FileStore
from evertoken.client.token_stores.keyring import KeyringStore
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.client.token_stores.protocol import Lease, TokenStore
from evertoken.client.token_stores.redis import RedisStore
from evertoken.wire.dialects.dialect import AccessTokenPlace, AuthCall, Dialect, Match, TokenPlace, TokenPointers
from evertoken.wire.dialects.known import EVERTOKEN, oauth2

__all__ = [
    "EVERTOKEN",
    "AccessTokenPlace",
    "AuthCall",
    "Dialect",
    "FileStore",
    "KeyringStore",
    "Lease",
    "Match",
    "MemoryStore",
    "RedisStore",
    "Session",
    "TokenPlace",
    "TokenPointers",
    "TokenStore",
    "discover",
    "oauth2",
    "oauth_session",
]
