"""The group of all commands. Each is imported when it is asked for: the client's need nothing of the server."""

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A command that has not been imported yet.

    Args:
        place: The module below `evertoken.cli`, and after a colon the name in it.
        help: What --help says of it; the first sentence of its own help.
    """

    place: str
    help: str


CLIENT = {
    "login": Entry("client.login:login", "Sign in at URL, and keep the session in a file."),
    "request": Entry("client.request:request", "Send a request with the session's access token."),
    "token": Entry("client.session:token", "Print a valid access token."),
    "status": Entry("client.session:status", "Say who is signed in, where and until when."),
    "logout": Entry("client.session:logout", "End the session, at the server and here."),
}
SERVER = {
    "serve": Entry("serve:serve", "Run the server."),
    "demo": Entry("demo:demo", "Serve a demo on localhost, with the user ada, and print a walk-through."),
    "users": Entry("users:users", "Who may sign in."),
    "clients": Entry("clients:clients", "The callers that may introspect tokens."),
    "sessions": Entry("sessions:sessions", "Who is signed in, and end it."),
    "keys": Entry("keys:keys", "The keys that sign access tokens."),
    "doctor": Entry(
        "doctor:doctor", "Check settings, store, keys, secrets, clock, cookies and CORS, and say what to mend."
    ),
}
_ENTRIES = {**SERVER, **CLIENT}


class _Commands(MutableMapping[str, click.Command]):
    """By name; imported when they are taken out."""

    def __init__(self) -> None:
        self._more: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._more:
            self._more[name] = _imported(name, _ENTRIES[name])
        return self._more[name]

    def __contains__(self, name: object) -> bool:
        return name in _ENTRIES or name in self._more

    def __iter__(self) -> Iterator[str]:
        return iter({**_ENTRIES, **self._more})

    def __len__(self) -> int:
        return len({**_ENTRIES, **self._more})

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._more[name] = command

    def __delitem__(self, name: str) -> None:
        del self._more[name]


class _Group(click.Group):
    """Lists the commands by who needs them, without importing any."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, entries in (("Client", CLIENT), ("Server", SERVER)):
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


def _imported(name: str, entry: Entry) -> click.Command:
    module, _, attribute = entry.place.partition(":")
    try:
        found = getattr(importlib.import_module(f"evertoken.cli.{module}"), attribute)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if name in CLIENT or missing in {"", "evertoken"}:
            raise
        raise click.ClickException(
            f"`{name}` belongs to the server, and {missing} is not installed: pip install 'evertoken[server]'"
        ) from error
    assert isinstance(found, click.Command)
    return found


@click.group(
    cls=_Group,
    commands=_Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="evertoken", message="evertoken %(version)s")
def group() -> None:
    """Keeps people signed in without their noticing."""
