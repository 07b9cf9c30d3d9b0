"""
The names of our keys in Redis.

What stands in braces decides the slot of a Redis Cluster. Everything about a session lies in one of 256 buckets, by
the first byte of its id, and each script touches one slot only; so one machine, Sentinel and Cluster are served by the
same scripts. What lies in two slots (a session and the list of its user's sessions) is written in an order in which
nothing is lost when we die in between: see sessions.py and ending.py.
"""

import zlib
from typing import Final

from evertoken.sessions.rotation import Reason

BUCKETS: Final = 256

REASONS: Final = tuple(Reason)
"""By number, counted from 1, as records hold them: append to `Reason`, never insert."""


class Keys:
    """Every key begins with the same prefix, so that others may live in the same Redis."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self.feed_log = self._prefix + b":{feed}:log"
        self.feed_last = self._prefix + b":{feed}:last"
        self.feed_due = self._prefix + b":{feed}:due"
        self.lines = self._prefix + b":{trail}:lines"
        self.lines_count = self._prefix + b":{trail}:count"
        self.signing_keys = self._prefix + b":{server}:keys"
        self.clients = self._prefix + b":{server}:clients"
        self.version = self._prefix + b":{server}:version"
        self.sweeping = self._prefix + b":{server}:sweeping"
        self.copying = self._prefix + b":{server}:copying"
        self.any_attempts = self._prefix + b":{attempts}:*"
        self.any_adoption = self._prefix + b":{[0-9a-f][0-9a-f]}:a:*"
        """Patterns of what no list names; a prefix has none of the letters that mean something there."""

    def _of_bucket(self, bucket: int, kind: bytes) -> bytes:
        return b"%s:{%02x}:%s" % (self._prefix, bucket, kind)

    def session(self, session_id: bytes) -> bytes:
        """The record, a packed text."""
        return b"%s:{%02x}:s:%s" % (self._prefix, session_id[0], session_id)

    def trail(self, session_id: bytes) -> bytes:
        """The lines of its audit trail after the sign-in; most sessions have none."""
        return b"%s:{%02x}:t:%s" % (self._prefix, session_id[0], session_id)

    def created(self, bucket: int) -> bytes:
        """Session ids by the time of the sign-in."""
        return self._of_bucket(bucket, b"created")

    def when(self, bucket: int) -> bytes:
        """The lines of all trails by time."""
        return self._of_bucket(bucket, b"when")

    def ended(self, bucket: int, reason: Reason) -> bytes:
        """Ids of sessions that were ended, by time."""
        return self._of_bucket(bucket, b"ended:%d" % (REASONS.index(reason) + 1))

    def all_ended(self, bucket: int) -> list[bytes]:
        """The same for every reason, in the order of `REASONS`."""
        return [self.ended(bucket, reason) for reason in REASONS]

    def outbox(self, bucket: int) -> bytes:
        """Sessions that were ended and that the guards may not have been told of."""
        return self._of_bucket(bucket, b"outbox")

    def adoption(self, fingerprint: bytes) -> bytes:
        """What a refresh token of another library was swapped for."""
        return b"%s:{%02x}:a:%s" % (self._prefix, fingerprint[0], fingerprint)

    def sessions_of(self, user_id: str) -> bytes:
        """The ids of a user's sessions."""
        return b"%s:{u%02x}:of:%s" % (self._prefix, user_bucket(user_id), encoded(user_id))

    def users(self, bucket: int) -> bytes:
        """The ids of users who have sessions."""
        return b"%s:{u%02x}:users" % (self._prefix, bucket)

    def attempts(self, key: bytes) -> bytes:
        """Failed sign-ins. Three of them are decided in one step, so all lie in one slot."""
        return b"%s:{attempts}:%s" % (self._prefix, key)


def user_bucket(user_id: str) -> int:
    """Which bucket of users this one is in."""
    return zlib.crc32(encoded(user_id)) % BUCKETS


def encoded(text: str) -> bytes:
    """A text as it is kept; halves of surrogate pairs are replaced."""
    return text.encode("utf-8", "replace")
