"""Django's guard keeps every promise of the suite: as middleware and as a decorator, over WSGI and over ASGI."""

from tests.frameworks.compliance import Compliance
from tests.frameworks.wsgi_django_benches import AsyncMiddlewareBench, DecoratorBench, MiddlewareBench


class TestMiddleware(Compliance):
    bench = MiddlewareBench()


class TestAsyncMiddleware(Compliance):
    bench = AsyncMiddlewareBench()


class TestDecorator(Compliance):
    bench = DecoratorBench()
