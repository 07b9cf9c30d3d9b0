"""The command `evertoken`."""

import sys

import click

from evertoken.cli.clients import clients
from evertoken.cli.demo import demo
from evertoken.cli.doctor import doctor
from evertoken.cli.keys import keys
from evertoken.cli.serve import serve
from evertoken.cli.sessions import sessions
from evertoken.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="evertoken", message="evertoken %(version)s")
def group() -> None:
    """Keeps people signed in without their noticing."""


for command in (serve, demo, users, clients, sessions, keys, doctor):
    group.add_command(command)


def main() -> None:
    """Run the command line; what the user can mend is one line, without a traceback."""
    from evertoken.edge.settings.sources import SettingsRefused
    from evertoken.errors import EvertokenError

    try:
        group()
    except SettingsRefused as refused:
        for problem in refused.problems:
            click.echo(f"evertoken: {problem}", err=True)
        sys.exit(2)
    except EvertokenError as error:
        click.echo(f"evertoken: {error}", err=True)
        sys.exit(1)
