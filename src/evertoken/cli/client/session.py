"""evertoken token, status and logout: what is done with a session that is there."""

import contextlib
import os

import click

from evertoken.cli.client.place import Place, session_file
from evertoken.cli.client.telling import Failed, told
from evertoken.cli.running import say
from evertoken.client.refresher.holding import Holding, Moment
from evertoken.clock import system_clock
from evertoken.errors import EvertokenError, SignOutUnavailable


@click.command()
@click.option(
    "--min-valid",
    "min_valid_seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Renew it first if it would end sooner than that.",
)
@session_file
def token(min_valid_seconds: float | None, file: str | None) -> None:
    """
    Print a valid access token.

    It is renewed first if it has expired or soon will. Only the token is printed, for
    curl -H "Authorization: Bearer $(evertoken token)".
    """
    place = Place(file)
    with told(place):
        record = place.live()
        gate = place.session(record).gate
        # As for a body that cannot be sent twice: whoever gets this token has nobody to renew it.
        holding = gate.enter(is_repeatable=False)
        is_new = holding.access_token != record.access_token
        if min_valid_seconds is not None and not is_new and _left(holding, gate.around.now()) < min_valid_seconds:
            gate.renew()
            holding = gate.enter()
        if min_valid_seconds is not None and _left(holding, gate.around.now()) < min_valid_seconds:
            say(f"the server's access tokens do not live for {min_valid_seconds:g} s; this is a new one")
        click.echo(holding.access_token)


@click.command()
@session_file
def status(file: str | None) -> None:
    """
    Say who is signed in, where and until when.

    No secret is shown and no server is asked. The exit status is 3 where nobody is signed in.
    """
    place = Place(file)
    with told(place):
        record = place.live()
        manner = place.manner_of(record)
        now_ms = system_clock()
        lines = {"server": record.server}
        if record.account is not None:
            lines["signed in as"] = record.account
        if manner.client_id is not None:
            lines["OAuth client"] = manner.client_id
        if record.session_id is not None:
            lines["session"] = record.session_id
        lines["access token"] = _until(record.expires_at if record.access_token else 0, now_ms, "renewed when used")
        ends = _until(record.refresh_expires_at, now_ms, "sign in again") if record.refresh_token else "not renewable"
        lines["if not used"] = ends
        lines["kept in"] = os.path.abspath(os.path.expanduser(place.path))  # noqa: PTH100, PTH111 - as FileStore does
        for name, value in lines.items():
            click.echo(f"{name:<14}{value}")


@click.command()
@click.option("--forget", is_flag=True, help="Delete the session here even if the server cannot be told.")
@session_file
def logout(forget: bool, file: str | None) -> None:
    """
    End the session, at the server and here.

    Where the server has not confirmed it, the session is kept and the exit status is 1: try again.
    """
    place = Place(file)
    with told(place):
        if forget:
            _forget(place)
            return
        record = place.read()
        if record is None:
            click.echo("nobody was signed in")
            return
        try:
            place.session(record).logout()
        except SignOutUnavailable as error:
            raise Failed(f"not signed out: {error}; try again, or delete it here only, with --forget") from error
        place.forget_manner()
        click.echo(f"signed out of {record.server}")


def _forget(place: Place) -> None:
    with contextlib.suppress(EvertokenError):
        record = place.read()
        if record is not None:
            place.session(record).logout()
            place.forget_manner()
            click.echo(f"signed out of {record.server}")
            return
    was_there = place.forget()
    click.echo("forgotten here; the server has not confirmed it" if was_there else "nobody was signed in")


def _left(holding: Holding, now: Moment) -> float:
    """Seconds until the token ends; what is not known is taken for long."""
    if holding.expires is None:
        return float("inf")
    return min(holding.expires.wall - now.wall, holding.expires.monotonic - now.monotonic)


def _until(at: float | None, now_ms: int, after: str) -> str:
    if at is None:
        return "no end is known"
    from evertoken.cli.show import how_long, when

    left_ms = round(at * 1000) - now_ms
    return f"until {when(round(at * 1000))} UTC ({how_long(left_ms)})" if left_ms > 0 else f"expired: {after}"
