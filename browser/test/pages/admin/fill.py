"""Puts many sessions of a user into the database of a running server: STORE USER_ID USERNAME COUNT DEVICE."""
# ruff: noqa: INP001

import sys
from pathlib import Path

from tests.admin.operating import put_sessions_into

from evertoken.clock import system_clock

_, store, user_id, username, count, device = sys.argv
put_sessions_into(Path(store), user_id, username, int(count), device=device, now_ms=system_clock())
