"""What one of our own password hashes costs, and the most that a hash from anywhere may ask for."""

from dataclasses import InitVar, dataclass, field
from typing import Final

from evertoken.errors import ConfigurationError

OWASP_TIME_COST: Final = 2
OWASP_MEMORY_KIB: Final = 19456

# The most that a stored hash may ask for. One damaged digit must not make us allocate 90 GiB. The memory is that
# of the first recommended option of RFC 9106 §4.
MAX_TIME_COST: Final = 64
MAX_MEMORY_KIB: Final = 2**21
MAX_PARALLELISM: Final = 64

MAX_WORK_KIB: Final = 2**21
"""Memory times passes that an argon2 hash may ask for: 2 GiB, as the first recommended option of RFC 9106 §4 does; some
seconds. More than that only where the settings say so now: lowered again, they shut out who was hashed with more."""


def check_range(setting: str, value: int, least: int, most: int) -> None:
    """
    Refuse a number out of its range.

    Raises:
        ConfigurationError: naming the setting.
    """
    if not least <= value <= most:
        raise ConfigurationError(setting, f"must be at least {least} and at most {most}, not {value}")


@dataclass(frozen=True, slots=True)
class HashingParameters:
    """
    What one argon2id hash costs. The defaults are the minimum of the OWASP Password Storage Cheat Sheet.

    OWASP also lists mixtures with less time and more memory, or the reverse. They are not taken, because two
    plain lower bounds are easier to check than a curve.

    Args:
        time_cost: Passes over the memory, 2 to 64.
        memory_kib: Memory per hash in KiB, 19456 to 2 GiB. All workers together need this times their number.
        parallelism: Lanes, 1 to 64; argon2 starts a thread for each beyond the first.
        weak_for_tests: Accept less than the minimum, so that a test suite need not wait.

    Raises:
        ConfigurationError: Weaker than the minimum, or beyond what we would read back from a stored hash.

    Source: OWASP Password Storage Cheat Sheet, "Argon2id"; RFC 9106 §3.1 for the bounds.
    """

    time_cost: int = OWASP_TIME_COST
    memory_kib: int = OWASP_MEMORY_KIB
    parallelism: int = 1
    weak_for_tests: InitVar[bool] = field(default=False, kw_only=True)

    def __post_init__(self, weak_for_tests: bool) -> None:
        min_time_cost = 1 if weak_for_tests else OWASP_TIME_COST
        min_memory_kib = max(8 * self.parallelism, 0 if weak_for_tests else OWASP_MEMORY_KIB)
        check_range("time_cost", self.time_cost, min_time_cost, MAX_TIME_COST)
        check_range("parallelism", self.parallelism, 1, MAX_PARALLELISM)
        check_range("memory_kib", self.memory_kib, min_memory_kib, MAX_MEMORY_KIB)


OWASP_MINIMUM: Final = HashingParameters()
"""The OWASP Password Storage Cheat Sheet's minimum for argon2id: 19 MiB, 2 passes, 1 lane."""
