"""The sessions whose access tokens must be refused although they have not expired."""


class RevokedSessions:
    """
    Session ids revoked within the last access lifetime; older ones have no living token any more.

    Args:
        access_lifetime_ms: How long an access token lives at most.
        margin_ms: Kept longer by this much, for clocks that differ.
    """

    def __init__(self, *, access_lifetime_ms: int, margin_ms: int = 60_000) -> None:
        self._kept_for_ms = access_lifetime_ms + 1000 + margin_ms
        self._forget_at_ms: dict[str, int] = {}
        self._purge_at = 1024

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._forget_at_ms

    def __len__(self) -> int:
        return len(self._forget_at_ms)

    def add(self, session_id: str, *, revoked_at_ms: int) -> None:
        """Refuse this session's tokens from now on."""
        self._forget_at_ms[session_id] = revoked_at_ms + self._kept_for_ms
        if len(self._forget_at_ms) >= self._purge_at:
            self._forget_before(revoked_at_ms)
            self._purge_at = max(1024, 2 * len(self._forget_at_ms))

    def _forget_before(self, now_ms: int) -> None:
        self._forget_at_ms = {sid: at for sid, at in self._forget_at_ms.items() if at > now_ms}
