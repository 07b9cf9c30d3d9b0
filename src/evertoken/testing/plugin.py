"""
A pytest plugin: `pytest_plugins = ["evertoken.testing.plugin"]` in your top `conftest.py`.

    def test_nobody_notices_a_bad_network(evertoken_chaos, my_server_url):
        proxy = evertoken_chaos(my_server_url, lose_answers=0.3, duplicate=0.3)
        ...  # your application, with proxy.url in the place of my_server_url
"""

import random
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest

from evertoken.testing.chaos import ChaosProxy
from evertoken.testing.clock import MovingClock
from evertoken.testing.fake_server import FakeServer

ChaosFactory = Callable[..., ChaosProxy]

_SEED_OPTION = "--evertoken-chaos-seed"
_SEED = pytest.StashKey[int]()
_PROXIES = pytest.StashKey[list[ChaosProxy]]()
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that repeats a run."""
    parser.getgroup("evertoken").addoption(
        _SEED_OPTION, type=int, default=None, metavar="N", help="repeat the draws of a run whose failure printed N"
    )


@pytest.fixture
def evertoken_clock() -> MovingClock:
    """A clock that stands still until the test moves it."""
    return MovingClock()


@pytest.fixture
def evertoken_server(evertoken_clock: MovingClock) -> Iterator[FakeServer]:
    """A fake server on the time of `evertoken_clock`; ada's password is correct-horse-battery."""
    with FakeServer(clock=evertoken_clock) as server:
        yield server


@pytest.fixture
def evertoken_chaos(request: pytest.FixtureRequest) -> Iterator[ChaosFactory]:
    """
    Starts chaos proxies: `evertoken_chaos(target_url, **settings)`, with the settings of `ChaosProxy`.

    At the end of the test they let everything through, wait until nothing is in the air, and assert that nobody was
    signed out and, if the test has passed, that at least one request was lost, doubled or delayed.
    """
    seed = _seed(request.config)
    proxies: list[ChaosProxy] = []
    request.node.stash[_PROXIES] = proxies
    with ExitStack() as stack:

        def start(target_url: str, **settings: object) -> ChaosProxy:
            # Each test draws from its own well, so that it draws alike when it is run alone.
            own = random.Random(f"{seed} {request.node.nodeid} {len(proxies)}").randrange(2**32)  # noqa: S311
            proxy = ChaosProxy(target_url, **{"seed": own, **settings})  # type: ignore[arg-type]
            proxies.append(stack.enter_context(proxy))
            return proxy

        yield start
        for proxy in proxies:
            _check(proxy, seed, has_passed=not request.node.stash.get(_FAILED, False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the network did, and how to have it do so again."""
    report = yield
    if report.failed and report.when == "call":
        item.stash[_FAILED] = True
        for proxy in item.stash.get(_PROXIES, []):
            report.sections.append(("evertoken chaos", f"{_again(_seed(item.config))}\n{proxy.transcript()}"))
    return report


def _seed(config: pytest.Config) -> int:
    """The run's seed: as the option says, or drawn once."""
    if _SEED not in config.stash:
        # Without the option where the plugin was named by a test module, which is too late to add one.
        asked = config.getoption(_SEED_OPTION, default=None)
        config.stash[_SEED] = random.SystemRandom().randrange(2**32) if asked is None else int(asked)
    return config.stash[_SEED]


def _again(seed: int) -> str:
    return f"repeat the draws with {_SEED_OPTION} {seed}"


def _check(proxy: ChaosProxy, seed: int, *, has_passed: bool) -> None:
    __tracebackhide__ = True
    proxy.calm()
    proxy.settle()
    try:
        proxy.assert_nobody_signed_out()
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_again(seed)}") from None
    if has_passed and not proxy.counts["disturbed"]:
        raise AssertionError(
            "the chaos did nothing, so this test has shown nothing: send more requests through proxy.url, or raise "
            f"the odds\n{proxy.transcript()}\n{_again(seed)}"
        )
