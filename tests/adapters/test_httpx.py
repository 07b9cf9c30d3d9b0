"""httpx's `Client` keeps every promise of the suite."""

import httpx

from evertoken.client.httpx import SilentAuth
from tests.adapters.benches.httpx_family import HttpxBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    # Where threads share kept connections, httpcore 1.0.9 closes some that it has just given to a request, and that one
    # fails with a ReadError (encode/httpcore#1110; httpcore2 does not). So the server keeps none.
    bench = HttpxBench(httpx, SilentAuth, shares_connections=False)
