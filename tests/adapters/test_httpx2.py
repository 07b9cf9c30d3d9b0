"""httpx2's `Client` keeps every promise of the suite."""

import httpx2

from evertoken.client.httpx2 import SilentAuth
from tests.adapters.benches.httpx_family import HttpxBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    bench = HttpxBench(httpx2, SilentAuth)
