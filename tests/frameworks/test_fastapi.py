"""FastAPI's guard keeps every promise of the suite."""

from tests.frameworks.asgi_benches import FastAPIBench
from tests.frameworks.compliance import Compliance


class TestGuarded(Compliance):
    bench = FastAPIBench()
