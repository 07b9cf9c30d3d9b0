"""Who a token belongs to, as Django and Django REST framework want to see users."""

import logging
from typing import Any, Final

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async

from evertoken.guards.django.configuration import GetUser
from evertoken.guards.judging import Refusal
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import bearer, problems

_log = logging.getLogger("evertoken.guards")

UNKNOWN_USER: Final = problems.ProblemAnswer(
    403,
    "insufficient_rights",
    "The access token is good, but its user is not known or not active here.",
    (("WWW-Authenticate", bearer.challenge("insufficient_scope")),),
)
"""Not a 401: a fresh token would change nothing, and each request would be preceded by a refresh."""


class TokenUser:
    """
    Whoever holds a good access token, where no Django user is looked up: no database, no permissions of Django's.

    Args:
        claims: What the token says, typed.
    """

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims = claims

    @property
    def pk(self) -> str:
        """The user's id at the issuer; throttles count by it."""
        return self.claims.sub

    id = pk

    @property
    def username(self) -> str:
        """`preferred_username`, which evertoken's tokens hold unless a claims hook decides otherwise; else the id."""
        name = self.claims.extra.get("preferred_username")
        return name if isinstance(name, str) else self.claims.sub

    @property
    def roles(self) -> tuple[str, ...]:
        """The user's roles when the token was issued."""
        return self.claims.roles

    def get_username(self) -> str:
        """As Django's own users have it."""
        return self.username

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """False: what a token may do is told by its scopes and roles."""
        del perm, obj
        return False

    def has_perms(self, perm_list: object, obj: object = None) -> bool:
        """False, see `has_perm`; Django's answer to an empty list is True."""
        del obj
        return not perm_list

    def has_module_perms(self, app_label: str) -> bool:
        """False, see `has_perm`."""
        del app_label
        return False

    def __str__(self) -> str:
        return self.username

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenUser) and (self.claims.iss, self.pk) == (other.claims.iss, other.pk)

    def __hash__(self) -> int:
        return hash((self.claims.iss, self.pk))


def user_of(claims: AccessTokenClaims, get_user: GetUser) -> Any:
    """
    The Django user that GET_USER finds.

    Raises:
        Refusal: There is none, or it is not active (403).
    """
    return _known(async_to_sync(get_user)(claims) if iscoroutinefunction(get_user) else get_user(claims))


async def user_of_async(claims: AccessTokenClaims, get_user: GetUser) -> Any:
    """As `user_of`; a GET_USER that is not async runs in Django's thread for such."""
    if iscoroutinefunction(get_user):
        return _known(await get_user(claims))
    return _known(await sync_to_async(get_user, thread_sensitive=True)(claims))


def _known(user: Any) -> Any:
    if user is None or not getattr(user, "is_active", True):
        _log.info("access token refused: its user is not %s", "known" if user is None else "active")
        raise Refusal(UNKNOWN_USER)
    return user
