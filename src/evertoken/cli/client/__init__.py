"""The commands for whoever signs in: they need nothing of the server, only click."""

from typing import Final

SESSION_FILE_VARIABLE: Final = "EVERTOKEN_SESSION_FILE"
"""Names the file that the session is kept in; a setting of no server."""
