"""evertoken serve."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from evertoken.assembly import build
from evertoken.cli.options import every_setting, settings_of
from evertoken.edge import logs
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.edge.settings.sources import to_environment, unknown_variables
from evertoken.errors import ConfigurationError
from evertoken.store_address import is_server

START_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


@click.command()
@every_setting
def serve(**given: Any) -> None:
    """Run the server. Hooks are imported from the present folder too."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a path entry is a str
    settings = settings_of(given)
    logs.configure(level=settings.log_level, as_json=settings.log_format == "json")
    for name in unknown_variables(os.environ):
        click.echo(f"evertoken: {name} is no setting of ours and is ignored", err=True)
    if not settings.production and not settings.secret and not is_server(settings.store):
        click.echo("evertoken: development server: its secret lies beside the database; see --production", err=True)
    run_server(settings)


def run_server(settings: Settings, *, app_of: Callable[[Settings], Any] | None = None) -> None:
    """
    Serve until told to stop; Ctrl-C and SIGTERM are clean ends.

    Args:
        app_of: Makes the application where there is one worker; several make their own.

    Raises:
        ConfigurationError: the server cannot start on these settings.
    """
    _try_out(settings)
    with contextlib.suppress(KeyboardInterrupt):
        # A supervisor's SIGTERM is as clean an end as Ctrl-C: uvicorn raises it once more when it has stopped.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if settings.workers == 1:
            app = build(settings, owns_process=True).app if app_of is None else app_of(settings)
            uvicorn.Server(uvicorn_config(app, settings)).run()
        else:
            with _workers_environment(settings):
                config = uvicorn_config(
                    "evertoken.assembly:worker_app", settings, factory=True, workers=settings.workers
                )
                _Workers(config, sockets=[config.bind_socket()]).run()


class _Workers(Multiprocess):
    """
    The workers of a server. SIGINT waits while one is started, and the worker never gets it.

    Ctrl-C reaches every process of a terminal: a worker that was still importing would die of it with a traceback.
    The parent tells the workers to stop.
    """

    def init_processes(self) -> None:
        resource_tracker.ensure_running()  # its start would let SIGINT through again
        with _sigint_waits():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """
        Start another for each that has ended, also for one that could not start.

        uvicorn ends all of them then, for it takes the application to be broken. Ours has been tried out before: what
        is away is the store, for which the other workers wait as well.
        """
        with _sigint_waits():
            for place, process in enumerate(self.processes):
                if self.should_exit.is_set() or process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                    continue
                process.kill()
                process.join()
                if process.exitcode == STARTUP_FAILURE:
                    _log.warning("a worker could not start; the next one is started in %g s", START_AGAIN_SECONDS)
                    if self.should_exit.wait(START_AGAIN_SECONDS):
                        return
                self.processes[place] = anew = Process(self.config, self.sockets)
                anew.start()

    def terminate_all(self) -> None:
        """Tell them, and let go of the port: else it takes calls that nobody answers until the last worker is done."""
        super().terminate_all()
        for listening in self.sockets:
            listening.close()


@contextlib.contextmanager
def _sigint_waits() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _try_out(settings: Settings) -> None:
    """Start everything once and stop it again, so that what is wrong is said in one line before anybody connects."""

    async def start_and_stop() -> None:
        server = build(settings)
        try:
            await server.start()
        finally:
            await server.stop()

    asyncio.run(start_and_stop())
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigurationError(
                "host, port", f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
            ) from error


@contextlib.contextmanager
def _workers_environment(settings: Settings) -> Iterator[None]:
    """What the worker processes read: the settings, and a folder in which their counters meet."""
    folder = tempfile.mkdtemp(prefix="evertoken-metrics-")
    os.environ.pop("EVERTOKEN_CONFIG", None)  # it may change while we run; a worker that is restarted reads ours
    os.environ.update(to_environment(settings))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
