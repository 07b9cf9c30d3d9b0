"""httpx2's `AsyncClient` keeps every promise of the suite."""

import httpx2

from evertoken.client.httpx2 import SilentAuth
from tests.adapters.benches.httpx_family import HttpxAsyncBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    bench = HttpxAsyncBench(httpx2, SilentAuth)
