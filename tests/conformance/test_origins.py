"""The cases of conformance/origins.json: which URLs get the access token."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import httpx2
import pytest
import yarl

from evertoken.client.origins import Home
from evertoken.errors import ConfigurationError

from .loading import ROOT, Members, cases, read


class Case(NamedTuple):
    """One case."""

    name: str
    home: Home
    url: str
    is_covered: bool


def _home(value: Any) -> Home:
    with Members(value, "homes") as home:
        return Home(home.take("base_url", str), home.take("origins", list, []), home.take("own_calls", list, []))


def _cases() -> Iterator[Any]:
    with read(ROOT / "origins.json") as file:
        homes = {name: _home(value) for name, value in file.take("homes", dict).items()}
        file.take("not_a_home", list)
        for name, case in cases(file):
            with case:
                found = Case(name, homes[case.take("home", str)], case.take("url", str), case.take("covered", bool))
                case.take("covered_by_whatwg", bool, None)
            yield pytest.param(found, id=name)


CASES: Final = list(_cases())
LIBRARIES: Final[dict[str, Callable[[str], Any]]] = {"httpx2": httpx2.URL, "yarl": yarl.URL}
AS_PARSED: Final = {
    ("a_backslash_before_the_at", "httpx2"): "it takes the backslash for the user's, and goes to our host",
}
"""Where a library reads its way to our own origin in a URL that others read otherwise: it goes where it has read."""


def _parsed() -> Iterator[Any]:
    for param in CASES:
        case: Case = param.values[0]
        for library in LIBRARIES:
            yield pytest.param(case, library, id=f"{case.name}-{library}")


@pytest.mark.parametrize("case", CASES)
def test_each_url_gets_the_token_or_not_as_told(case: Case) -> None:
    """
    The access token goes to its own origins and nowhere else, however a URL is spelled.
    """
    assert case.home.covers(case.url) is case.is_covered


@pytest.mark.parametrize(("case", "library"), list(_parsed()))
def test_each_url_that_a_library_has_parsed_gets_the_token_or_not_as_told(case: Case, library: str) -> None:
    """
    Where a library hands over the parts of a URL the token goes to the same places as by its text, or to fewer.
    """
    try:
        url = LIBRARIES[library](case.url)
        port = url.port
    except (ValueError, httpx2.InvalidURL):
        assert not case.is_covered  # and the library sends nothing there
        return
    host = url.raw_host.decode("ascii") if isinstance(url.raw_host, bytes) else url.raw_host or ""
    found = case.home.covers_parts(url.scheme, host, port, url.path)
    is_other = (case.name, library) in AS_PARSED
    assert found is (case.is_covered is not is_other)
    assert not found or case.home.covers(str(url)), "what the library makes of the URL is not covered"


def _not_homes() -> list[str]:
    file = read(ROOT / "origins.json")
    found: list[str] = file.take("not_a_home", list)
    return found


@pytest.mark.parametrize("url", _not_homes())
def test_what_has_no_origin_is_no_base_url(url: str) -> None:
    """
    A base URL without scheme or host is refused at the start, not at the first request.
    """
    with pytest.raises(ConfigurationError):
        Home(url, [], [])
