"""
A view behind djangorestframework-simplejwt, as its documentation begins: JWTAuthentication, which looks the user up.

To be imported when Django is set up. The database is in memory, where a look-up costs least.

Source: https://django-rest-framework-simplejwt.readthedocs.io/en/stable/getting_started.html
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import AccessToken

USERS = 200


class Peer(APIView):  # type: ignore[misc]  # Django REST framework has no types
    """The setting of all views, here of one."""

    authentication_classes = (JWTAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, _request: Request) -> Response:
        """GET /peer."""
        return Response({"hello": "world"})


def view() -> tuple[Any, list[str]]:
    """The view, and a token for each of some users."""
    call_command("migrate", verbosity=0)
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(USERS)]
    return Peer.as_view(), [str(AccessToken.for_user(user)) for user in users]
