"""Runs the command line, and turns whatever goes wrong into one line and an exit status."""

import signal

import click

from evertoken.cli import INTERRUPTED
from evertoken.cli.commands import group
from evertoken.errors import EvertokenError

_HELP_WANTED: type[click.UsageError] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What a group without a command raises, from click 8.2 on."""


def run() -> int:
    """Run the command of this process and give its exit status."""
    try:
        status = group.main(prog_name="evertoken", standalone_mode=False)
    except click.Abort:
        return _interrupted()
    except _HELP_WANTED as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        where = "evertoken" if error.ctx is None else error.ctx.command_path
        say(f"{error.format_message().rstrip('.')}; see: {where} --help")
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except EvertokenError as error:
        problems = getattr(error, "problems", None)  # of settings there may be several wrong at once
        for problem in problems or (error,):
            say(str(problem))
        return 1 if problems is None else 2
    return status if isinstance(status, int) else 0


def say(text: str) -> None:
    """One line on standard error: what it holds of a server's own words cannot break it or colour the terminal."""
    line = " ".join(text.split())
    click.echo("evertoken: " + "".join(letter if letter.isprintable() else "?" for letter in line), err=True)


def _interrupted() -> int:
    # A refresh that is under way still stores its tokens before this process ends; a second Ctrl-C ends it at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return INTERRUPTED
