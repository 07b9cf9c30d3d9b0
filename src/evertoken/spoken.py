"""Instants and durations as people read them. Pure."""

from datetime import UTC, datetime


def when(at_ms: int | None) -> str:
    """An instant, in UTC to the second; a dash for none."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def how_long(duration_ms: int) -> str:
    """A duration in its largest unit that is not a fraction: days, hours, minutes or seconds."""
    seconds = duration_ms / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
