"""Who may pass: the check of access tokens, the guard for another service, and one thin file per framework."""

from evertoken.guards.access_check import AccessCheck, ChecksAccess, demand
from evertoken.guards.remote.guard import Guard
from evertoken.guards.remote.status import GuardEvent, GuardEventKind, GuardStatus
from evertoken.tokens.claims import AccessTokenClaims

__all__ = [
    "AccessCheck",
    "AccessTokenClaims",
    "ChecksAccess",
    "Guard",
    "GuardEvent",
    "GuardEventKind",
    "GuardStatus",
    "demand",
]
