"""evertoken dialect: the dialects that are built in, and whether a document or a running API is right."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from evertoken.cli.client.login import checked_url, credentials
from evertoken.cli.client.telling import Failed
from evertoken.cli.conversation.peer import Peer
from evertoken.cli.conversation.play import CannotGoOn, Line, Play
from evertoken.cli.conversation.seen import Veil
from evertoken.client.http import HttpTransport, NoAnswer, NotSent
from evertoken.client.origins import origin_of
from evertoken.dialects import load
from evertoken.wire.dialects import document
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.kinds import DialectError
from evertoken.wire.dialects.known import NAMES, text_of
from evertoken.wire.origins import is_trustworthy

DIFFERS: Final = 1
"""The exit status where the document is wrong, or the API is not as it says."""

_SCHEMA: Final = re.compile(r'^ *"\$schema": "[^"]*",\n', re.MULTILINE)
"""A path beside the built-in documents: it leads nowhere from where one's own is saved."""

_PATH: Final = re.compile(r"/(?!/)[!-~]*")
"""Nothing that leads to another server: that would get the access token."""


class NotChecked(Failed):
    """Nothing can be said of the document or the API; the text says what to do first."""

    exit_code = 2


@click.group()
def dialect() -> None:
    """How an API spells sign-in, refresh and sign-out: those built in, and checks of your own."""


@dialect.command("list")
def list_() -> None:
    """List the built-in dialects."""
    width = max(len(name) for name in NAMES)
    for name in NAMES:
        click.echo(f"{name:<{width}}  {json.loads(text_of(name))['about']}")


@dialect.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the document of a built-in dialect: what one of your own can begin with."""
    if name not in NAMES:
        raise click.BadParameter(f"there is no dialect {name!r}; there are {', '.join(NAMES)}")
    click.echo(_SCHEMA.sub("", text_of(name)), nl=False)


@dialect.command()
@click.argument("target", metavar="FILE|NAME")
@click.option("--url", help="Play the conversation against the API at this base URL. It signs in and out there.")
@click.option("--username", metavar="NAME", help="Who signs in; asked for if it is missing.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.option("--resource", metavar="PATH", help="A path there that a signed-in user may GET, and nobody else.")
@click.option("--origin", metavar="URL", help="Where the page is, for APIs with cookies; by default where the API is.")
def check(target: str, url: str | None, resource: str | None, origin: str | None, **given: Any) -> None:
    """
    Say whether a dialect document is right, and whether an API speaks as it says.

    Without --url only the document is checked. With it, sign-in, guarded calls, refreshes and sign-out are played, each
    once or twice, with the code of evertoken's own clients. No token is printed, and the sessions that were begun end
    with the sign-out.

    The exit status is 0 if all is as the document says, 1 if the document is wrong or the API differs, 2 if nothing
    can be said: no such file, no answer, the sign-in was refused.
    """
    if url is None and (resource or origin or given["username"] or given["password_stdin"]):
        raise click.UsageError("--username, --password-stdin, --resource and --origin need --url")
    spoken = _read(target)
    click.echo(f"{spoken.name}: the document is right")
    for warning in _warnings(spoken):
        click.echo(f"note     {warning}")
    if url is not None:
        raise SystemExit(_played(spoken, url, resource, origin, given))


def _read(target: str) -> Dialect:
    try:
        return load(target)
    except DialectError as error:
        # What is not there is no wrong document.
        raise (_Wrong if Path(target).is_file() else NotChecked)(f"{target}: {error}") from error


class _Wrong(click.ClickException):
    exit_code = DIFFERS


def _warnings(spoken: Dialect) -> Iterator[str]:
    calls = {"refresh": spoken.refresh, "logout": spoken.logout}
    in_url = [name for name, call in calls.items() if call is not None and call.token.kind == "query"]
    if in_url:
        yield (
            f"the refresh token is in the URL of {' and '.join(in_url)}, where logs and histories keep it: the server "
            "speaks this only with --allow-token-in-url"
        )
    if spoken.refresh_token_in_answer == "never":  # noqa: S105 - a word
        yield "the refresh token never changes: a stolen one is noticed by nobody, so set --max-age on the server"
    try:
        document.refuse_unservable(spoken)
    except DialectError as error:
        yield f"clients can speak it, `evertoken serve` cannot: {error}"


def _played(spoken: Dialect, url: str, resource: str | None, origin: str | None, given: dict[str, Any]) -> int:
    try:
        server = checked_url(url)
        username, password = credentials(server, given)
    except Failed as error:
        raise NotChecked(error.message) from error
    if resource is not None and not _PATH.fullmatch(resource):
        raise click.BadParameter("give a path below --url, as /orders", param_hint="--resource")
    if origin is not None and (origin_of(origin) is None or origin.count("/") != 2):  # noqa: PLR2004
        raise click.BadParameter("write it as https://app.example.com", param_hint="--origin")
    if not is_trustworthy(server):
        click.echo(f"note     {server} is not https: the password and the tokens travel readable to all on the way")
    veil = Veil()
    peer = Peer(spoken, server, transport=HttpTransport(), veil=veil, origin=origin)
    play = Play(peer, username=username, password=password, resource=resource)
    counts = dict.fromkeys(("ok", "differs", "note", "skipped"), 0)
    try:
        for line in play.lines():
            counts[line.verdict] += 1
            click.echo("".join(veil.over(text) + "\n" for text in _told(line)), nl=False)
            sys.stdout.flush()
    except CannotGoOn as error:
        raise (_Wrong if error.is_of_the_document else NotChecked)(str(error)) from error
    except (NotSent, NoAnswer) as error:
        raise NotChecked(veil.over(str(error))) from error
    click.echo(f"{counts['ok']} as the document says, {counts['differs']} differ, {counts['skipped']} not checked")
    return DIFFERS if counts["differs"] else 0


def _told(line: Line) -> Iterator[str]:
    expected = f"; the document says: {line.said}" if line.said else ""
    yield f"{line.verdict:<8} {line.step}: {line.saw}{expected}"
    if line.mend:
        yield f"         {line.mend}"
