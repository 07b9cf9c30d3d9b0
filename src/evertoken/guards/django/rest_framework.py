"""
The guard for Django REST framework: an authentication class and permission classes.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["evertoken.guards.django.rest_framework.AccessTokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    }

    class Users(APIView):
        permission_classes = [HasRole.any_of("admin", "support")]

        def get(self, request):
            return Response({"seen by": request.auth.sub})

`request.auth` holds the claims (`AccessTokenClaims`), `request.user` the user that GET_USER of the setting EVERTOKEN
finds, or a `TokenUser`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from evertoken.errors import ConfigurationError, InsufficientRights
from evertoken.guards.access_check import demand
from evertoken.guards.django.configuration import configured
from evertoken.guards.django.passing import credentials, problem_response
from evertoken.guards.django.users import TokenUser, user_of
from evertoken.guards.judging import Refusal
from evertoken.guards.one_header import judged
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import bearer, problems

_RIGHTS = "insufficient_rights"
_LACKING = "_evertoken_lacking"
_ANSWERING = "_evertoken_answering"


class TokenRefused(AuthenticationFailed):  # type: ignore[misc]  # Django REST framework has no types
    """A token that is bad or misplaced, or whose user is not known here: answered as `.problem`."""

    def __init__(self, problem: problems.ProblemAnswer) -> None:
        super().__init__(problem.detail, problem.code)
        self.status_code = problem.status
        self.problem = problem


class GuardUnavailable(APIException):  # type: ignore[misc]
    """No token can be checked now, and nobody is signed out: answered as `.problem`, with Retry-After."""

    def __init__(self, problem: problems.ProblemAnswer) -> None:
        super().__init__(problem.detail, problem.code)
        self.status_code = problem.status
        self.wait = int(dict(problem.headers)["Retry-After"])
        self.problem = problem


class AccessTokenAuthentication(BaseAuthentication):  # type: ignore[misc]
    """
    Authenticates by access token, beside other authentication classes or alone.

    Without a Bearer token it has no say. A refused one is answered as a problem (RFC 9457): 401 with its challenge,
    400, 403 or 503, wherever this class stands among the others and whatever EXCEPTION_HANDLER is set; so is a request
    without credentials, where this class is the first.
    """

    def authenticate(self, request: Request) -> tuple[Any, AccessTokenClaims] | None:
        """
        The user and the claims, or None without a token.

        Raises:
            TokenRefused: The token is refused.
            GuardUnavailable: It cannot be checked now.
            ImproperlyConfigured: The setting EVERTOKEN is missing or wrong.
        """
        try:
            known = configured()
        except ConfigurationError as error:
            raise ImproperlyConfigured(str(error)) from error
        _answer_for(request.parser_context.get("view"))
        try:
            claims = judged(*credentials(request, known.speech), known.guard, now_ms=known.clock())
            if claims is None:
                return None
            user = TokenUser(claims) if known.get_user is None else user_of(claims, known.get_user)
        except Refusal as refusal:
            made = GuardUnavailable if refusal.problem.status == 503 else TokenRefused  # noqa: PLR2004
            raise made(refusal.problem) from refusal
        return user, claims

    def authenticate_header(self, request: Request) -> str:
        """The challenge to a request without a token."""
        del request
        return bearer.challenge()


class _HasRights(BasePermission):  # type: ignore[misc]
    """What both kinds of permission are. They may be joined with `&`, `|` and `~`."""

    code = _RIGHTS
    message = problems.rights_missing(()).detail
    scopes: ClassVar[tuple[str, ...] | None] = ()
    roles: ClassVar[tuple[str, ...] | None] = ()
    """None: the view says them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the request came with an access token that holds the rights."""
        scopes = _names(view, "required_scopes") if self.scopes is None else self.scopes
        roles = _names(view, "required_roles") if self.roles is None else self.roles
        claims = request.auth
        if not isinstance(claims, AccessTokenClaims):
            return False
        try:
            demand(claims, scopes=scopes, roles=roles)
        except InsufficientRights as error:
            setattr(view, _LACKING, error.scopes)
            return False
        return True


class HasScope(_HasRights):
    """
    Demands every one of some scopes: `HasScope.all_of("reports:read")`, or the view's `required_scopes`.

    Without any it demands an access token.
    """

    scopes = None

    @classmethod
    def all_of(cls, *scopes: str) -> Any:  # a type checker without stubs would refuse `&` and `~`
        """A permission class that demands every one of these."""
        return type(cls.__name__, (cls,), {"scopes": scopes})


class HasRole(_HasRights):
    """
    Demands at least one of some roles: `HasRole.any_of("admin", "support")`, or the view's `required_roles`.

    Without any it demands an access token.
    """

    roles = None

    @classmethod
    def any_of(cls, *roles: str) -> Any:  # as above
        """A permission class that demands one of these."""
        return type(cls.__name__, (cls,), {"roles": roles})


def _names(view: Any, attribute: str) -> tuple[str, ...]:
    names = getattr(view, attribute, ())
    if isinstance(names, str):  # its letters would be taken for names
        raise ImproperlyConfigured(f"{attribute} of {type(view).__name__} must be a list of texts")
    return tuple(names)


def _answer_for(view: Any) -> None:
    """
    Answer our own refusals in place of the view's exception handler, which does what it did for everything else.

    `get_exception_handler` is where the framework lets a view decide; a view object serves one request.
    """
    if view is None or getattr(view, _ANSWERING, False):
        return
    usual: Callable[[], Callable[[Exception, Any], Any]] = view.get_exception_handler

    def handler(error: Exception, context: Any) -> HttpResponse | None:
        problem = _problem_of(error, view)
        if problem is None:
            return usual()(error, context)
        # That module imports the classes named in the settings, ours among them, while it is being imported.
        from rest_framework.views import set_rollback  # noqa: PLC0415

        set_rollback()
        return problem_response(problem, configured().speech)

    view.get_exception_handler = lambda: handler
    setattr(view, _ANSWERING, True)


def _problem_of(error: Exception, view: Any) -> problems.ProblemAnswer | None:
    if isinstance(error, TokenRefused | GuardUnavailable):
        return error.problem
    if isinstance(error, NotAuthenticated) and getattr(error, "auth_header", None) == bearer.challenge():
        return configured().speech.no_token
    if isinstance(error, PermissionDenied) and error.get_codes() == _RIGHTS:
        return problems.rights_missing(getattr(view, _LACKING, ()))
    return None
