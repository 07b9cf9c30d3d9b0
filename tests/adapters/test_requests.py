"""requests keeps every promise of the suite."""

import requests

from evertoken.client.requests import NO_AUTH, SilentAuth
from tests.adapters.benches.requests_family import RequestsBench
from tests.adapters.compliance import Compliance


class TestAdapter(Compliance):
    bench = RequestsBench(requests, SilentAuth, NO_AUTH)
