"""aiohttp keeps every promise of the suite."""

from tests.adapters.benches.aiohttp import AiohttpBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    bench = AiohttpBench()
