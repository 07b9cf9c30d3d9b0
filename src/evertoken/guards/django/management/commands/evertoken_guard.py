"""`manage.py evertoken_guard`: does the guard that EVERTOKEN describes reach its issuer?"""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from evertoken.errors import ConfigurationError
from evertoken.guards.django.configuration import close_guard, configured, written
from evertoken.guards.remote.guard import Guard


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Fetches the keys and asks the revocation feed once; fails with the name of the setting that is wrong."""

    help = "Starts a guard with the setting EVERTOKEN, says what it has found, and ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long to wait."""
        parser.add_argument("--wait", type=float, default=10.0, metavar="SECONDS", help="at most (default: 10)")

    def handle(self, *args: object, wait: float, **options: object) -> None:
        """
        Start the guard and tell how it stands.

        Raises:
            CommandError: The message names the setting.
        """
        del args, options
        try:
            guard = configured().guard
            if not isinstance(guard, Guard):
                self.stdout.write(f"GUARD is {type(guard).__name__}: nothing is fetched.")
                return
            try:
                status = guard.start(wait_seconds=max(wait, 0.1)).status()
            finally:
                guard.close()
                close_guard()
        except ConfigurationError as error:
            raise CommandError(str(written(error))) from error
        self.stdout.write(f"keys: {', '.join(status.key_ids)}")
        follows = "followed" if status.feed == "followed" else "not followed: no CLIENT_ID and CLIENT_SECRET"
        self.stdout.write(f"revocations: {follows}")
