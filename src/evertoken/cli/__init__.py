"""
The command `evertoken`.

Nothing else is imported here: `evertoken token` in a script is not to wait for the packages of the server, nor to need
them, and whoever presses Ctrl-C while Python is still importing sees no traceback.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evertoken.cli.commands import group

__all__ = ["group", "main"]

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it: 128 + SIGINT."""


def __getattr__(name: str) -> Any:
    if name != "group":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evertoken.cli import commands

    return commands.group


def main() -> None:
    """Run the command line; what the user can mend is one line, without a traceback."""
    try:
        from evertoken.cli.running import run

        status = run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        print(f"evertoken: {error.name} is not installed: pip install 'evertoken[cli]'", file=sys.stderr)  # noqa: T201
        status = os.EX_UNAVAILABLE if hasattr(os, "EX_UNAVAILABLE") else 1
    sys.exit(status)
