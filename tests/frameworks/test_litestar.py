"""Litestar's guard keeps every promise of the suite."""

from tests.frameworks.asgi_benches import LitestarBench
from tests.frameworks.compliance import Compliance


class TestTokenAuth(Compliance):
    bench = LitestarBench()
