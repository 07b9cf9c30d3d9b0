"""The story of one session in lines, for `evertoken sessions explain`. Pure."""

from collections.abc import Iterator

from evertoken.sessions.model import Event, SessionRecord, session_id_text
from evertoken.sessions.story import MAX_REFRESHES_TOLD, Told, outcome, story, told_from
from evertoken.spoken import when


def explanation(record: SessionRecord, events: list[Event], *, now_ms: int) -> Iterator[str]:
    """The lines of the story, oldest first; times are UTC."""
    yield f"session {session_id_text(record.id)} of {record.username} ({record.user_id}), client {record.client_id}"
    yield ""
    for told in story(record, events):
        yield f"{when(told.at_ms)}  {_line(told)}"
    yield ""
    listed = f", the last {MAX_REFRESHES_TOLD} above" if record.rotations > MAX_REFRESHES_TOLD else ""
    yield f"rotations: {record.rotations}{listed}"
    yield outcome(record, now_ms=now_ms)


def _line(told: Told) -> str:
    parts = list(told_from(told.caller))
    text = told.text + (f" [{' | '.join(parts)}]" if parts else "")
    if told.count > 1:
        text += f"; {told.count} times, the last {when(told.last_at_ms)}"
    return text
