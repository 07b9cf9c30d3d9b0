"""evertoken login: begins a session, and keeps it in a file."""

import contextlib
import logging
import re
import sys
from typing import Any
from urllib.parse import urlsplit

import click

from evertoken.cli.client.manner import Manner
from evertoken.cli.client.place import LEASE_WITHIN_SECONDS, Place, session_file
from evertoken.cli.client.telling import Failed, told
from evertoken.cli.running import say
from evertoken.client.oauth import discover
from evertoken.client.origins import origin_of
from evertoken.client.refresher import outcomes
from evertoken.client.refresher import record as records
from evertoken.client.refresher.plan import Own
from evertoken.client.refresher.record import Record, is_token
from evertoken.client.refreshing import refresh
from evertoken.client.session import Session
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.errors import EvertokenError
from evertoken.secret import Secret

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


@click.command()
@click.argument("url")
@click.option("--username", help="Who signs in; asked for if it is missing.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.option("--client-id", metavar="ID", help="What the session is called in lists of sessions.")
@click.option("--header-name", default="Authorization", show_default=True, help="Which header carries the token.")
@click.option("--scheme", default="Bearer", show_default=True, help="The word before the token; '' for none.")
@click.option("--oauth-client", metavar="ID", help="Take over a refresh token of this public OAuth client instead.")
@click.option("--issuer", metavar="URL", help="With --oauth-client: the authorization server; by default the URL.")
@click.option("--refresh-token-stdin", is_flag=True, help="With --oauth-client: read it from standard input.")
@session_file
def login(url: str, file: str | None, **given: Any) -> None:
    """
    Sign in at URL, and keep the session in a file.

    URL is the base of the API; its tokens are sent nowhere else. A session that was in the file is ended at its
    server, once the new one is there. An OAuth server has no sign-in of its own for a command line: get a refresh
    token in a browser, and hand it over.
    """
    place = Place(file)
    with told(place, level=logging.WARNING):
        server = checked_url(url)
        manner = _manner(server, given)
        username, secret = (None, _refresh_token(given)) if manner.client_id else credentials(server, given)
        with place.store.lease(timeout_seconds=LEASE_WITHIN_SECONDS):
            place.read()
            place.store.prepare()
            # In memory first: a mistyped password must not cost the session that is there.
            memory = MemoryStore()
            session = Session(server, store=memory, dialect=manner.dialect)
            if username is None:
                _take_over(session, secret)
            else:
                extra = {"client_id": given["client_id"]} if given["client_id"] else {}
                session.login(username, secret, **extra)
            document = memory.load()
            assert document is not None
            try:
                replaced = place.put(document, manner)
            except EvertokenError:
                with contextlib.suppress(EvertokenError):
                    session.logout()
                raise
        if replaced is not None:
            _end(*replaced)
    click.echo(f"signed in to {server}" + (f" as {username}" if username else ""))


def checked_url(url: str) -> str:
    """The base URL; what may hold a password is refused before anything repeats it."""
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Failed("the URL must be the base of the API, without a user name, a query or a fragment")
    if origin_of(url) is None or not url.isprintable() or " " in url:
        raise Failed(f"{url!r} is not an http or https URL with a host")
    return url.rstrip("/")


def _manner(server: str, given: dict[str, Any]) -> Manner:
    if not _HEADER_NAME.fullmatch(given["header_name"]):
        raise click.BadParameter("that is no name of a header", param_hint="--header-name")
    if given["scheme"] and not is_token(given["scheme"]):
        raise click.BadParameter("that is no word", param_hint="--scheme")
    usual = Manner(server=server, header=given["header_name"], scheme=given["scheme"])
    client_id = given["oauth_client"]
    if client_id is None:
        if given["refresh_token_stdin"] or given["issuer"]:
            raise click.UsageError("--refresh-token-stdin and --issuer need --oauth-client")
        return usual
    if given["username"] or given["password_stdin"] or given["client_id"]:
        raise click.UsageError("--oauth-client hands over a refresh token: give no user name, password or --client-id")
    found = discover(given["issuer"] or server)
    return Manner(
        server=server,
        header=usual.header,
        scheme=usual.scheme,
        client_id=client_id,
        token_endpoint=found.token_endpoint,
        revocation_endpoint=found.revocation_endpoint,
    )


def credentials(server: str, given: dict[str, Any]) -> tuple[str, Secret]:
    """
    Who signs in, from the options `username` and `password_stdin`, and asked for where they say nothing.

    Never as an argument for the password: `ps` and the shell's history would show it.

    Raises:
        Failed: There is no terminal to ask on, or nothing on standard input.
    """
    username, from_stdin = given["username"], given["password_stdin"]
    if not sys.stdin.isatty() and not (username and from_stdin):
        missing = " and ".join(
            name for name, is_there in (("--username", username), ("--password-stdin", from_stdin)) if not is_there
        )
        raise Failed(f"there is no terminal to ask on: give {missing}")
    if not username:
        username = click.prompt(f"User name at {server}", err=True)
    password = _first_line("password") if from_stdin else click.prompt("Password", hide_input=True, err=True)
    return username, Secret(password)


def _refresh_token(given: dict[str, Any]) -> Secret:
    if not given["refresh_token_stdin"]:
        if not sys.stdin.isatty():
            raise Failed("there is no terminal to ask on: give --refresh-token-stdin")
        text = click.prompt("Refresh token", hide_input=True, err=True)
    else:
        text = _first_line("refresh token")
    if not is_token(text):
        raise Failed("that is no refresh token: it must be visible ASCII without spaces")
    return Secret(text)


def _first_line(what: str) -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Failed(f"there is no {what} on standard input")
    return line


def _take_over(session: Session, refresh_token: Secret) -> None:
    """Renew at once: that shows whether the token is good, and where there has been no access token gives one."""
    record = Record(server=session.base_url, version=1, refresh_token=refresh_token.reveal())
    session.store.swap(None, records.render(record))
    outcome = refresh(session.gate.around, Own())
    match outcome:
        case outcomes.Ended():
            raise Failed(f"the authorization server does not take the refresh token ({outcome.reason}): get a new one")
        case outcomes.Failed():
            raise Failed(f"the refresh token could not be used: {outcome.why}; nothing was kept")


def _end(replaced: Record, manner: Manner) -> None:
    """End a session whose place has been taken, if its server can be reached, and say so."""
    if replaced.refresh_token is None:
        return
    memory = MemoryStore()
    memory.swap(None, records.render(replaced))
    whose = f"the session that was here before, at {replaced.server}"
    try:
        Session(replaced.server, store=memory, dialect=manner.dialect).logout()
    except EvertokenError as error:
        say(f"{whose}, could not be ended there: {error}")
    else:
        say(f"{whose}, was ended" if manner.dialect.logout else f"{whose}, was forgotten: it has no sign-out")
