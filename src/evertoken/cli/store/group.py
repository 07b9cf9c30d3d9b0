"""evertoken store: bring its tables forward, look at it, move it, and end again what a restore brought back."""

import click

from evertoken.cli.store.check import check
from evertoken.cli.store.copy import copy
from evertoken.cli.store.migrate import migrate
from evertoken.cli.store.reapply import reapply_revocations


@click.group()
def store() -> None:
    """The store as a whole: bring it to this version, check it, move it, mend it after a restore."""


for command in (migrate, check, copy, reapply_revocations):
    store.add_command(command)
