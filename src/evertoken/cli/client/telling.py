"""What the client's commands say when something goes wrong: one line, what to do, and never a secret."""

import contextlib
import errno
import logging
import os
import traceback
from collections.abc import Iterator

import click

from evertoken.cli.client.place import Place
from evertoken.cli.running import say
from evertoken.client.http import NoAnswer, NotSent
from evertoken.client.plain import NotFollowed
from evertoken.errors import EvertokenError, SignedOut


class Failed(click.ClickException):
    """A command that could not do its work, for the reason given."""


class NeedsSignIn(Failed):
    """Nobody is signed in, or nobody any more. No other failure has this exit status."""

    exit_code = 3


@contextlib.contextmanager
def told(place: Place, *, level: int = logging.ERROR) -> Iterator[None]:
    """
    Turn what the work of a command raises into `Failed`.

    Args:
        place: Where its session is.
        level: From which level on the client's log is shown. What matters of the lesser is in the errors too.
    """
    log = logging.getLogger("evertoken.client")
    log.handlers, log.propagate = [_Handler()], False
    log.setLevel(level)
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except SignedOut as error:
        raise NeedsSignIn(_signed_out(place, error.reason)) from error
    except (EvertokenError, NotSent, NoAnswer, NotFollowed) as error:
        raise Failed(str(error)) from error
    except OSError as error:
        raise _system_error(error) from error
    except Exception as error:
        # A traceback is of no use in the middle of somebody's script; where it happened is.
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(at.filename)}:{at.lineno}"  # noqa: PTH119 - a text, not a path of ours
        raise Failed(f"a fault of evertoken's own ({type(error).__name__} at {where}): please report it") from error


def _signed_out(place: Place, reason: str) -> str:
    server = None
    with contextlib.suppress(EvertokenError):
        found = place.read()
        server = None if found is None else found.server
    said = "nobody is signed in" if reason == "not_signed_in" else f"signed out ({reason})"
    return f"{said}; run: {place.how_to_sign_in(server)}"


def _system_error(error: OSError) -> Failed:
    if error.errno == errno.EPIPE:
        raise click.exceptions.Exit(1)  # whoever read our output has had enough, and knows
    of = f"{error.filename}: " if error.filename else ""
    return Failed(f"{of}{(error.strerror or type(error).__name__).lower()}")


class _Handler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg not in self._told:  # the same of several URLs is told of the first
            self._told.add(record.msg)
            say(record.getMessage())  # without its traceback
