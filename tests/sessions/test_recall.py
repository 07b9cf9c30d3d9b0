"""What a server remembers of revocations, and how it notices that its store does not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evertoken.sessions.model import Revocations
from evertoken.sessions.recall import Entry, RevocationMemory

DAY_MS = 24 * 3_600_000


class Feed:
    """The feed of a store that may go back and may be swept."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Entry]] = []
        self.highest = 0

    def end(self, name: str, *, at_ms: int = 1) -> bytes:
        session_id = name.encode()
        self.highest += 1
        self.rows.append((self.highest, (session_id, at_ms)))
        return session_id

    def page(self, after: int, most: int = 3) -> Revocations:
        found = [row for row in self.rows if row[0] > after][:most]
        return Revocations(tuple(row[1] for row in found), found[-1][0] if found else after)

    def names(self) -> set[bytes]:
        return {session_id for _, (session_id, _) in self.rows}

    def kept(self) -> "Feed":
        copy = Feed()
        copy.rows, copy.highest = list(self.rows), self.highest
        return copy


def follow(memory: RevocationMemory, feed: Feed) -> tuple[list[bytes], bool]:
    """As the server does: to the end. What was new, and whether there was a doubt."""
    told: list[bytes] = []
    in_doubt = False
    memory.begin()
    while True:
        news, doubt = memory.take(feed.page(memory.ask_after))
        if not news and not memory.knows_the_newest:
            doubt |= memory.is_lower(feed.highest)
        in_doubt |= doubt
        if not news:
            return told, in_doubt
        told += [session_id for session_id, _ in news]


def test_a_feed_that_only_grows_is_never_doubted() -> None:
    """What is told is told once and in order, page by page, and nothing is looked at."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    assert follow(memory, feed) == ([], False)
    first = [feed.end(f"s{number}") for number in range(8)]
    assert follow(memory, feed) == (first, False)
    assert follow(memory, feed) == ([], False)
    assert follow(memory, feed) == ([], False)
    more = feed.end("more")
    assert follow(memory, feed) == ([more], False)
    assert memory.remembered(now_ms=2) == [more, *reversed(first)]


def test_a_feed_that_went_back_is_doubted_even_where_it_has_grown_beyond_what_was_known() -> None:
    """Numbers follow the clock, so the first revocation after a restore has a higher one than all before."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    feed.end("before")
    backup = feed.kept()
    lost = feed.end("lost")
    follow(memory, feed)
    backup.highest = 100
    new = backup.end("new")
    assert follow(memory, backup) == ([new], True)
    assert lost in memory.remembered(now_ms=2)
    assert follow(memory, backup) == ([], False)


def test_a_feed_that_was_swept_empty_is_doubted_where_its_highest_number_falls() -> None:
    """A quiet store shows no entry to compare; sweeping leaves the counter, a restore does not."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    backup = feed.kept()
    feed.end("swept")
    follow(memory, feed)
    feed.rows.clear()
    follow(memory, feed)
    assert follow(memory, feed) == ([], False)
    assert follow(memory, backup) == ([], True)
    assert follow(memory, backup) == ([], False)


def test_where_there_is_nothing_to_compare_whatever_is_new_is_a_doubt() -> None:
    """A quiet store that was swept empty goes back, and has a new entry with a higher number before anybody looks."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    backup = feed.kept()
    feed.end("swept")
    follow(memory, feed)
    feed.rows.clear()
    follow(memory, feed)
    backup.highest = 100
    new = backup.end("new")
    assert follow(memory, backup) == ([new], True)
    assert b"swept" in memory.remembered(now_ms=2)


def test_an_end_that_the_store_acknowledged_and_then_lost_is_missed() -> None:
    """A failover may lose a commit before anybody has read it: whoever made it knows."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    seen = feed.end("seen")
    memory.note(seen, at_ms=1)
    memory.note(b"lost", at_ms=1)
    follow(memory, feed)
    assert memory.is_own(seen)
    assert not memory.is_own(seen)
    assert memory.finish() == [b"lost"]
    assert memory.finish() == []
    memory.begin()
    memory.note(b"while it is read", at_ms=1)
    assert memory.finish() == []


def test_no_more_is_remembered_than_can_matter() -> None:
    """An end that is older than the idle lifetime brings nobody back, and there is a bound on how many are kept."""
    memory, feed = RevocationMemory(kept_ms=1000, most=3), Feed()
    for at_ms in range(5):
        feed.end(f"s{at_ms}", at_ms=at_ms * 500)
    follow(memory, feed)
    assert len(memory) == 3
    assert memory.remembered(now_ms=2500) == [b"s4", b"s3"]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from(["end", "follow", "sweep", "back up", "restore"]), max_size=60))
def test_whatever_happens_no_end_that_was_followed_is_lost_without_a_doubt(steps: list[str]) -> None:
    """For every history of ends, sweeps, backups and restores: a followed end that is gone unswept is looked at."""
    memory, feed = RevocationMemory(kept_ms=DAY_MS), Feed()
    backup = feed.kept()
    followed: set[bytes] = set()
    swept: set[bytes] = set()
    for clock, step in enumerate([*steps, "follow"], 1):
        if step == "end":
            feed.highest = max(feed.highest, 100 * clock)
            feed.end(f"s{clock}")
        elif step == "follow":
            missing = followed - swept - feed.names()
            told, in_doubt = follow(memory, feed)
            followed |= set(told)
            if missing:
                assert in_doubt
                assert missing <= set(memory.remembered(now_ms=2))
                followed -= missing  # they are ended again, and so told again
        elif step == "sweep":
            swept |= feed.names()
            feed.rows.clear()
        elif step == "back up":
            backup = feed.kept()
        else:
            feed, backup = backup, backup.kept()
