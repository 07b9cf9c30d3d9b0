"""What every store does with the failures that it has counted under the keys of a sign-in. Pure."""

from collections.abc import Mapping

from evertoken.accounts.throttle import Bucket, Kind, Limit, Limits, Verdict, after_success, decide

KNOWN_FOR_MS = 30 * 24 * 3600 * 1000
"""How long an address from which somebody signed in counts as known for that account."""

Found = tuple[Bucket | None, int | None]
"""What is counted under a key, and when it last succeeded."""


def verdict_on(found: Mapping[Kind, Found], *, now_ms: int, limits: Limits) -> Verdict:
    """Whether this attempt may be made."""
    last_success_at_ms = found[Kind.PAIR][1]
    return decide(
        {kind: bucket for kind, (bucket, _) in found.items()},
        now_ms=now_ms,
        limits=limits,
        address_is_known=last_success_at_ms is not None and now_ms - last_success_at_ms < KNOWN_FOR_MS,
    )


def forgiven(found: Found, limit: Limit) -> Found:
    """The same with one counted failure taken back."""
    bucket, last_success_at_ms = found
    return (None if bucket is None else after_success(bucket, limit=limit)), last_success_at_ms
