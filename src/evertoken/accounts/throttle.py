"""
How sign-in slows down a guesser without ever locking the owner out for good.

Failures are counted in three buckets: of the account from one address, of the account from anywhere, and of the
address for any account. Each bucket asks for a wait after its last failure; the longest wait holds. A wait doubles
with every failure and is bounded; no number of failures ends an account.

An attempt is counted as a failure *before* the password is verified, and forgiven if it was right: 100 guesses
sent at once meet 100 counts. The store makes `decide` and `after_attempt` one step per sign-in. **A refused attempt
is not counted**, or whoever knocks on every second would keep the door shut.

What a guesser gets who tries as soon as it is allowed, by the defaults:

| against | first day | every day after |
|---|---|---|
| one account, from any number of addresses | 125 | 96 |
| one account, from an address that the account is known at | 110 | 96 |
| all accounts, from one address | 496 | 288 |

Pausing gains nothing: to be forgiven one failure takes longer than the longest wait. Each success of the owner
clears the account's buckets (NIST: a success should disregard the failures before it), and so gives a guesser about
30 quick attempts more.

NIST SP 800-63B-4 §3.2.2 allows at most 100 consecutive failures and would then disable the password. With these
limits a guesser gets there after some 17 hours of trying, and we do not disable it: then anybody could lock out
anybody. Who must comply sets a longer wait, or acts on the events.

A name that no user has is throttled alike, by its key, so that throttling does not tell which users exist. Not
covered: an attacker with many addresses who tries few passwords each on many accounts; only passwords that are not
foreseeable (`password_rules`) help there.

Pure: no clock, no store. Instants and durations are whole milliseconds.
"""

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evertoken.errors import ConfigurationError

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
DAY_MS: Final = 24 * 60 * MINUTE_MS

UNKNOWN_NETWORK: Final = "unknown"
"""The network of everybody whose address cannot be read: they share one bucket."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Where IPv4 clients come from in a network that speaks IPv6 only (RFC 6052 §2.1)."""


class Kind(enum.StrEnum):
    """What a bucket counts the failures of."""

    PAIR = "pair"  # one account from one network
    ACCOUNT = "account"  # one account from anywhere
    ADDRESS = "address"  # one network, any account


@dataclass(frozen=True, slots=True)
class Bucket:
    """
    The failures that are held against somebody.

    Args:
        failures: How many, at the time of the last one.
        last_failure_at_ms: When that was.
    """

    failures: int
    last_failure_at_ms: int


@dataclass(frozen=True, slots=True)
class Limit:
    """
    How one kind of bucket slows down.

    Args:
        free_failures: How many failures ask for no wait.
        first_wait_ms: The wait after the first failure past those; it doubles with each further one.
        max_wait_ms: The longest wait.
        forget_after_ms: After this long without a failure all are forgotten. They are forgotten one by one, evenly, on
            the way there: an office that shares an address has a mistyped password every day, and must not be held
            up by those of last week.

    Raises:
        ConfigurationError: A value is out of range, or a failure would be forgotten sooner than the longest wait
            ends, so that pausing would let a guesser try more often.
    """

    free_failures: int
    first_wait_ms: int
    max_wait_ms: int
    forget_after_ms: int

    def __post_init__(self) -> None:
        if self.free_failures < 0:
            raise ConfigurationError("free_failures", "must not be negative")
        if not 0 < self.first_wait_ms <= self.max_wait_ms:
            raise ConfigurationError("first_wait_ms", "must be above 0 and at most max_wait_ms")
        if self.forget_after_ms < self.max_failures * self.max_wait_ms:
            raise ConfigurationError(
                "forget_after_ms",
                f"must be at least {self.max_failures * self.max_wait_ms}: {self.max_failures} failures, one longest "
                "wait each",
            )

    @property
    def max_failures(self) -> int:
        """The first count that asks for the longest wait; more than this many are not told apart."""
        return self.free_failures + 1 + self._doublings

    @property
    def _doublings(self) -> int:
        """The least number of doublings that make the first wait reach the longest."""
        longest_in_first_waits = -(-self.max_wait_ms // self.first_wait_ms)
        return (longest_in_first_waits - 1).bit_length()

    def wait_ms(self, failures: int) -> int:
        """How long after its last failure somebody with this many must wait."""
        past_free = failures - self.free_failures
        if past_free <= 0:
            return 0
        return min(self.first_wait_ms << min(past_free - 1, self._doublings), self.max_wait_ms)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limit of each kind of bucket.

    A day to forget in, because yesterday's mistakes should not slow anybody down, and because a shorter time would
    reward a guesser for pausing: one failure of an account is forgotten every 46 minutes, one of an address every
    24, and both are longer than the waits.
    """

    pair: Limit = Limit(5, SECOND_MS, 15 * MINUTE_MS, DAY_MS)
    account: Limit = Limit(20, SECOND_MS, 15 * MINUTE_MS, DAY_MS)
    address: Limit = Limit(200, SECOND_MS, 5 * MINUTE_MS, DAY_MS)

    def of(self, kind: Kind) -> Limit:
        """The limit of this kind."""
        match kind:
            case Kind.PAIR:
                return self.pair
            case Kind.ACCOUNT:
                return self.account
            case Kind.ADDRESS:
                return self.address


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Whether somebody may try now.

    Args:
        allowed: They may; the attempt must be counted with `after_attempt`.
        retry_after_ms: Otherwise when; never more than the longest wait of the limits. 0 if allowed.
        slowed_by: The bucket that asks for the longest wait, for the log. The wire never says which.
    """

    allowed: bool
    retry_after_ms: int = 0
    slowed_by: Kind | None = None


def decide(buckets: Mapping[Kind, Bucket | None], *, now_ms: int, limits: Limits, address_is_known: bool) -> Verdict:
    """
    Decide whether a sign-in may be tried now.

    Args:
        buckets: What the store has; a kind that is missing or None has no failures.
        now_ms: The store's clock. It may have been set back since the last failure.
        limits: The limit of each kind.
        address_is_known: Somebody signed in to this account from this network lately, with success. The account's own
            bucket does not apply then: however hard others try elsewhere, the owner gets in from home.

    Source: NIST SP 800-63B-4 §3.2.2 (rate limiting); OWASP ASVS 5.0 §6.1.1 (no malicious lockout).
    """
    waits = {
        kind: _wait_left_ms(bucket, now_ms=now_ms, limit=limits.of(kind))
        for kind, bucket in buckets.items()
        if bucket is not None and not (kind is Kind.ACCOUNT and address_is_known)
    }
    slowest = max(waits, key=lambda kind: waits[kind], default=None)
    if slowest is None or waits[slowest] == 0:
        return Verdict(allowed=True)
    return Verdict(allowed=False, retry_after_ms=waits[slowest], slowed_by=slowest)


def after_attempt(bucket: Bucket | None, *, now_ms: int, limit: Limit) -> Bucket:
    """The bucket once an allowed attempt is counted, before the password is verified."""
    if bucket is None:
        return Bucket(1, now_ms)
    last_ms = now_ms if _is_from_the_future(bucket, now_ms=now_ms, limit=limit) else bucket.last_failure_at_ms
    return Bucket(failures_left(bucket, now_ms=now_ms, limit=limit) + 1, max(now_ms, last_ms))


def after_success(bucket: Bucket, *, limit: Limit) -> Bucket | None:
    """
    The address's bucket once the password was right; None means that nothing is left to keep.

    It is forgiven this one attempt only, or somebody with an account of their own could guess at others for ever,
    signing in between. The buckets of the account and of the pair are dropped without asking.

    Args:
        bucket: With the attempt counted; others may have tried since.
        limit: The address's.
    """
    failures = bucket.failures - 1
    if failures <= 0:
        return None
    # This attempt was let in, so the wait before it had been served. Dating the bucket back keeps it served: else
    # one person who signs in would make the next one at the same address wait, all day long.
    return Bucket(failures, bucket.last_failure_at_ms - limit.wait_ms(failures))


def failures_left(bucket: Bucket, *, now_ms: int, limit: Limit) -> int:
    """
    How many failures of a bucket still count, at most `limit.max_failures`. At 0 the store may drop it.

    Whole steps only: what was left of a step is lost with the next failure. That errs on the side of waiting.
    """
    quiet_ms = max(now_ms - bucket.last_failure_at_ms, 0)
    forgotten = quiet_ms * limit.max_failures // limit.forget_after_ms
    return max(min(bucket.failures, limit.max_failures) - forgotten, 0)


def network_of(address: str) -> str:
    """
    Whom an address belongs to, as far as throttling can tell.

    Args:
        address: Text of the peer's address as the edge has established it; a zone id (`fe80::1%eth0`) is dropped.

    Returns:
        An IPv4 address as it is; of an IPv6 address its /64, because one customer has that many at will; of
        an IPv4 address written as IPv6 (mapped, or NAT64) the IPv4 address; else `UNKNOWN_NETWORK`. Never raises.
        An attacker with a whole /48 has 65,536 networks; the account's bucket still holds.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return UNKNOWN_NETWORK
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    bits = int(parsed)
    if bits >> 32 == int(_NAT64.network_address) >> 32:
        return str(ipaddress.IPv4Address(bits & 0xFFFF_FFFF))
    return str(ipaddress.IPv6Network((bits >> 64 << 64, 64)))


def _wait_left_ms(bucket: Bucket, *, now_ms: int, limit: Limit) -> int:
    if _is_from_the_future(bucket, now_ms=now_ms, limit=limit):
        return 0
    waited_ms = max(now_ms - bucket.last_failure_at_ms, 0)
    return max(limit.wait_ms(failures_left(bucket, now_ms=now_ms, limit=limit)) - waited_ms, 0)


def _is_from_the_future(bucket: Bucket, *, now_ms: int, limit: Limit) -> bool:
    """
    Whether the clock was set back so far since the last failure that waiting for it would shut the owner out.

    A little back is not enough: the clocks of two servers differ, and a guesser must not gain by choosing.
    """
    return bucket.last_failure_at_ms - now_ms > limit.max_wait_ms
