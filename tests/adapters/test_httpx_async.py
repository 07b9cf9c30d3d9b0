"""httpx's `AsyncClient` keeps every promise of the suite."""

import httpx

from evertoken.client.httpx import SilentAuth
from tests.adapters.benches.httpx_family import HttpxAsyncBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    # As in test_httpx.py.
    bench = HttpxAsyncBench(httpx, SilentAuth, shares_connections=False)
