"""What an operator types, before it comes to a store."""

import secrets

from evertoken.sessions.model import session_id_text
from evertoken.sessions.operating import ids_beginning_with


def test_the_beginning_of_an_id_stands_for_all_ids_that_begin_so() -> None:
    """Any six characters or more of a session id find it, and others do not."""
    for _ in range(50):
        session_id = secrets.token_bytes(16)
        text = session_id_text(session_id)
        for length in range(6, 23):
            bounds = ids_beginning_with(text[:length])
            assert bounds is not None
            assert bounds[0] <= session_id <= bounds[1]
            assert session_id_text(bounds[0]).startswith(text[: min(length, 21)])
            assert session_id_text(bounds[1]).startswith(text[: min(length, 21)])
    for text in ("", "short", "x" * 23, "not an id", "ünïcödé", "100%_x"):
        assert ids_beginning_with(text) is None
