"""What the settings say of failed sign-ins."""

from evertoken.accounts.throttle import DAY_MS, MINUTE_MS, SECOND_MS, Limit, Limits
from evertoken.edge.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """When waits begin, and how long they grow."""
    return Limits(
        pair=Limit(settings.free_failures_per_pair, SECOND_MS, 15 * MINUTE_MS, DAY_MS),
        account=Limit(settings.free_failures_per_account, SECOND_MS, 15 * MINUTE_MS, DAY_MS),
        address=Limit(settings.free_failures_per_address, SECOND_MS, 5 * MINUTE_MS, DAY_MS),
    )
