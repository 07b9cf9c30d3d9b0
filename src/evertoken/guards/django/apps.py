"""`INSTALLED_APPS += ["evertoken.guards.django"]`: the system checks."""

from django.apps import AppConfig
from django.core.checks import register


class EvertokenConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Adds the checks of the setting EVERTOKEN to `manage.py check`."""

    name = "evertoken.guards.django"
    label = "evertoken"
    verbose_name = "evertoken"

    def ready(self) -> None:
        """Register the checks."""
        from evertoken.guards.django.checks import check_settings  # noqa: PLC0415 - only where the app is installed

        register(check_settings, "security")
