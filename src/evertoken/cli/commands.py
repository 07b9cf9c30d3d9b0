"""The group of all commands. Each is imported when it is asked for: the client's need nothing of the server."""

import importlib
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
    "dialect": Entry(
        "dialects:dialect", "How an API spells sign-in, refresh and sign-out: those built in, and checks of your own."
    ),
}
SERVER = {
    "serve": Entry("serve:serve", "Run the server."),
    "demo": Entry(
        "demo:demo", "Serve a demo on localhost, with the user ada: a page to play with, and commands to paste."
    ),
    "users": Entry("users:users", "Who may sign in."),
    "clients": Entry("clients:clients", "The callers that may introspect tokens and follow revocations."),
    "sessions": Entry("sessions:sessions", "Who is signed in, and end it."),
    "keys": Entry("keys:keys", "The keys that sign access tokens."),
    "store": Entry(
        "store.group:store",
        "The store as a whole: bring it to this version, check it, move it, mend it after a restore.",
    ),
    "doctor": Entry(
        "doctor:doctor", "Check settings, store, users, keys, secrets, clock, cookies and CORS, and say what to mend."
    ),
}
_ENTRIES = {**SERVER, **CLIENT}


class _Group(click.Group):
    """Lists the commands by who needs them, and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return _imported(cmd_name, _ENTRIES[cmd_name]) if cmd_name in _ENTRIES else None

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
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="evertoken", message="evertoken %(version)s")
def group() -> None:
    """Keeps people signed in without their noticing."""
