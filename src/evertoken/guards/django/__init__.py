"""
The guard for Django: middleware in front of everything, a decorator for single views, and system checks.

    # settings.py
    INSTALLED_APPS = [..., "evertoken.guards.django"]
    MIDDLEWARE = [..., "evertoken.guards.django.GuardMiddleware"]  # or @guarded on single views
    EVERTOKEN = {
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "https://auth.example.com",
        "CLIENT_ID": "reports",
        "CLIENT_SECRET": os.environ["EVERTOKEN_CLIENT_SECRET"],
        "PUBLIC": ["/healthz", "/static/"],
    }

    # views.py
    @guarded(roles=["admin"])
    def users(request):
        return JsonResponse({"seen by": request.evertoken.sub})

For Django REST framework see `evertoken.guards.django.rest_framework`.
"""

from evertoken.guards.django.configuration import close_guard, get_guard
from evertoken.guards.django.decorators import guarded
from evertoken.guards.django.middleware import GuardMiddleware
from evertoken.guards.django.users import TokenUser

__all__ = ["GuardMiddleware", "TokenUser", "close_guard", "get_guard", "guarded"]
