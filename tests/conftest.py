"""What many tests share: a clock to move, a server on a real socket, a store."""

import contextlib
import gc
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

# Not named like tests; their asserts shall tell as much as those of tests. Here, before any test has imported them.
pytest.register_assert_rewrite(
    "tests.machines", "tests.stores.compliance", "tests.stores.faults", "tests.stores.racing"
)

from tests.support.alone import Machine  # noqa: E402
from tests.support.clock import MovingClock  # noqa: E402
from tests.support.server import LiveServer, live_server  # noqa: E402

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: every program that a test starts would be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

FIGURES = "figures"
EXPLORED = "explored"
SHARED_FOLDER = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()
MACHINE = pytest.StashKey[Machine]()


@pytest.fixture
def clock() -> MovingClock:
    """Time, as the test wants it."""
    return MovingClock()


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server on a real socket with the user ada; its time is `clock`."""
    with live_server(tmp_path, clock=clock) as running:
        running.add_user("ada")
        yield running


@pytest.fixture
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """A plain HTTP client for `live`."""
    with live.client() as client:
        yield client


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Figures that a run is about: they stand at the end of pytest's output, whichever process ran the test."""
    return lambda text: request.node.user_properties.append((FIGURES, text))


def pytest_configure(config: pytest.Config) -> None:
    """Workers learn from their run where its locks are."""
    if worker := getattr(config, "workerinput", None):
        config.stash[MACHINE] = Machine(Path(worker["machine"]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Before a worker starts: one folder for all of them."""
    stash = node.config.stash
    if SHARED_FOLDER not in stash:
        stash[SHARED_FOLDER] = tempfile.TemporaryDirectory(prefix="evertoken-tests-")
    node.workerinput["machine"] = stash[SHARED_FOLDER].name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if machine := config.stash.get(MACHINE, None):
        machine.close()
    if folder := config.stash.get(SHARED_FOLDER, None):
        folder.cleanup()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that is marked `alone` waits until the other workers' tests have ended, and they wait for its end."""
    machine = item.config.stash.get(MACHINE, None)
    is_alone = item.get_closest_marker("alone") is not None
    with machine.used(is_alone=is_alone) if machine else contextlib.nullcontext():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: at the end one of them would keep one worker busy and all others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What thousands of collected tests hold stays to the end: the garbage collector need not walk over it again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have told; it travels with their reports, so it is there whichever process ran them."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [(report.nodeid.rpartition("::")[2], *item) for report in reports for item in report.user_properties]
    for test, name, value in told:
        if name == FIGURES:
            terminalreporter.write_line(f"{test}: {value}")
    explored = [str(value) for _, name, value in told if name == EXPLORED]
    if explored:
        terminalreporter.write_sep("=", "what the explorer of rotation saw")
    for line in explored:
        terminalreporter.write_line(line)
