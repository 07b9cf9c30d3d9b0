"""Flask's guard keeps every promise of the suite: on functions, classes, async views and whole blueprints."""

from tests.frameworks.compliance import Compliance
from tests.frameworks.wsgi_flask_benches import AsyncBench, BlueprintBench, DecoratorBench


class TestDecorator(Compliance):
    bench = DecoratorBench()


class TestAsyncViews(Compliance):
    bench = AsyncBench()


class TestBlueprint(Compliance):
    bench = BlueprintBench()
