"""Starlette's three ways of guarding keep every promise of the suite."""

from tests.frameworks.asgi_benches import BackendBench, MiddlewareBench, StarletteBench
from tests.frameworks.compliance import Compliance


class TestGuardMiddleware(Compliance):
    bench = MiddlewareBench()


class TestTokenAuthentication(Compliance):
    bench = StarletteBench()


class TestTokenBackend(Compliance):
    bench = BackendBench()
