"""Django REST framework's guard keeps every promise of the suite."""

from tests.frameworks.compliance import Compliance
from tests.frameworks.wsgi_django_benches import RestFrameworkBench


class TestRestFramework(Compliance):
    bench = RestFrameworkBench()
