"""How the SQL stores keep what `decide` reads, for the benches that write and read rows around them."""

from evertoken.sessions.rotation import ANY, Reason, Row

TABLES = ("users", "sessions", "revocations", "events", "signing_keys", "clients", "throttle", "adoptions")
"""All that a store keeps something in."""

READ_COLUMNS = "id, tag, previous, generation, advanced_at_ms, idle_expires_at_ms, max_expires_at_ms, revoked_reason"
"""What `row_of` takes, behind the id."""


def columns_of(row: Row) -> tuple[object, ...]:
    """Tag, previous, generation, advanced_at_ms, idle and maximum expiry, revoked_at_ms and its reason."""
    return (
        row.current,
        None if row.previous is ANY else row.previous or b"",
        row.generation,
        row.advanced_at_ms,
        row.idle_expires_at_ms,
        row.max_expires_at_ms,
        None if row.over is None else 1,
        row.over,
    )


def row_of(
    tag: bytes, previous: bytes | None, generation: int, advanced: int, idle: int, limit: int | None, over: str | None
) -> Row:
    """The other way round."""
    before = ANY if previous is None else previous or None
    return Row(tag, before, generation, advanced, idle, limit, None if over is None else Reason(over))
