"""The sessions whose access tokens must be refused although they have not expired."""


class RevokedSessions:
    """
    Session ids revoked within the last access lifetime; older ones have no living token any more.

    One thread adds and purges; any may ask.

    Args:
        access_lifetime_ms: How long an access token lives at most.
        margin_ms: Kept longer by this much, for clocks that differ.
    """

    def __init__(self, *, access_lifetime_ms: int, margin_ms: int = 60_000) -> None:
        self.kept_for_ms = access_lifetime_ms + 1000 + margin_ms
        """How long after its end a session is kept; 1 s of it because `exp` is rounded."""
        self.ids: dict[str, int] = {}
        """The session ids, for who asks at every request: always this one dict. Each with the time to forget it."""
        self._purge_at = 1024

    def __contains__(self, session_id: str) -> bool:
        return session_id in self.ids

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, session_id: str, *, revoked_at_ms: int) -> None:
        """
        Refuse this session's tokens from now on.

        Args:
            revoked_at_ms: When it ended, or when we heard of it; on one clock for all, whichever that is.
        """
        self.ids[session_id] = revoked_at_ms + self.kept_for_ms
        if len(self.ids) >= self._purge_at:
            self.purge(now_ms=revoked_at_ms)
            self._purge_at = max(1024, 2 * len(self.ids))

    def purge(self, *, now_ms: int) -> None:
        """Forget the sessions whose time has come."""
        for session_id in [session_id for session_id, at_ms in self.ids.items() if at_ms <= now_ms]:
            del self.ids[session_id]
