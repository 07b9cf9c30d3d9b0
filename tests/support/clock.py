"""A clock that a test moves."""

START_MS = 1_800_000_000_000


class MovingClock:
    """Stands still until told otherwise; call it for the time in milliseconds, as `evertoken.clock.Clock` wants."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back."""
        self.now_ms += round(seconds * 1000)
