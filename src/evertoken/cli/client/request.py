"""evertoken request: one HTTP request with the session's access token."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from evertoken.cli.client.place import Place, session_file
from evertoken.cli.client.telling import Failed, told
from evertoken.cli.running import say
from evertoken.client.calls import absolute
from evertoken.client.origins import origin_of
from evertoken.client.plain import Body, PlainClient, Reply
from evertoken.client.session import Session


class Disliked(Failed):
    """An answer that --fail does not like; the exit status is curl's."""

    exit_code = 22


_TIMEOUT = click.FloatRange(min=0, min_open=True, max=86_400)


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="May be given more than once.")
@click.option("-d", "--data", metavar="DATA", help="The body: a text, @FILE, or - for standard input.")
@click.option("--json", metavar="TEXT", help="The body as JSON: a text, @FILE, or -.")
@click.option("-o", "--output", metavar="FILE", help="Write the answer's body there instead of standard output.")
@click.option("-i", "--include", is_flag=True, help="Write the answer's status and headers before its body.")
@click.option("--fail", is_flag=True, help="Exit with 22, and without the body, where the status is 400 or above.")
@click.option("--connect-timeout", type=_TIMEOUT, default=10.0, show_default=True, metavar="SECONDS")
@click.option(
    "--idle-timeout",
    type=_TIMEOUT,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long nothing may come or go.",
)
@session_file
def request(method: str, url: str, file: str | None, **given: Any) -> None:
    """
    Send a request with the session's access token.

    URL may be a path, which is appended to the URL of the sign-in. The token is renewed when that is due, and goes to
    that server only. The answer is written as it comes. The exit status is 0 for an answer, whatever its status; 22
    for one that --fail does not like; 3 where nobody is signed in; 1 for every other failure.
    """
    place = Place(file)
    with told(place), contextlib.ExitStack() as stack:
        data, json = given["data"], given["json"]
        if data is not None and json is not None:
            raise click.UsageError("give --data or --json, not both")
        text = data if json is None else json
        body = None if text is None else stack.enter_context(_body(text))
        headers = _headers(given["headers"])
        if text is not None:
            _describe(headers, text, is_json=json is not None)
        session = place.session(place.live())
        target = absolute(session.base_url, url)
        _look_at_origin(session, target, headers)
        client = PlainClient(
            session,
            connect_timeout_seconds=given["connect_timeout"],
            idle_timeout_seconds=given["idle_timeout"],
        )
        try:
            reply = stack.enter_context(client.send(method.upper(), target, headers=headers, body=body))
        except ValueError as error:
            raise Failed(str(error)) from error
        is_failure = given["fail"] and reply.status >= 400  # noqa: PLR2004
        _write(reply, given["output"], include=given["include"], with_body=not is_failure)
        if is_failure:
            raise Disliked(f"the server answered {reply.status}")


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    """Repeated ones joined (RFC 9110 §5.3); cookies by their own separator (RFC 6265 §5.4)."""
    headers: dict[str, str] = {}
    for line in given:
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or not name:
            raise click.BadParameter("write it as 'Name: value'", param_hint="-H")
        known = next((other for other in headers if other.lower() == name.lower()), None)
        if known is None:
            headers[name] = value
        else:
            headers[known] += ("; " if name.lower() == "cookie" else ", ") + value
    return headers


def _describe(headers: dict[str, str], text: str, *, is_json: bool) -> None:
    given = {name.lower() for name in headers}
    if is_json and "accept" not in given:
        headers["Accept"] = "application/json"
    if "content-type" not in given:
        is_file = text == "-" or text.startswith("@")
        plain = "application/octet-stream" if is_file else "application/x-www-form-urlencoded"
        headers["Content-Type"] = "application/json" if is_json else plain


@contextlib.contextmanager
def _body(text: str) -> Iterator[Body]:
    if text == "-":
        yield Body(sys.stdin.buffer)
    elif text.startswith("@"):
        with Path(text[1:]).open("rb") as file:
            yield Body(file)
    else:
        yield Body(text.encode("utf-8", "surrogateescape"))


def _look_at_origin(session: Session, target: str, headers: dict[str, str]) -> None:
    origin = origin_of(target)
    if not session.home.has(origin):
        if origin is not None:
            say(f"sent without the access token, which is for {session.base_url} only")
        return
    name = session.dialect.access_token.header
    if any(given.lower() == name.lower() for given in headers):
        raise Failed(f"the header {name} carries the session's access token there: leave it out")


def _write(reply: Reply, output: str | None, *, include: bool, with_body: bool) -> None:
    with _opened(output) as out:
        if include:
            lines = [f"HTTP/1.1 {reply.status} {reply.reason}", *(f"{name}: {text}" for name, text in reply.headers)]
            out.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
            out.flush()
        if with_body:
            for part in reply.parts():
                out.write(part)
                out.flush()


@contextlib.contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    if output is None or output == "-":
        yield sys.stdout.buffer
        return
    with Path(output).open("wb") as file:
        yield file
