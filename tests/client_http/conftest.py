"""No proxy of the machine between the tests and their servers, and one CA for all of them."""

import os
import socket

import pytest

from evertoken.client.http import HttpTransport
from tests.client_http.certificates import Certificates, make_certificates
from tests.needs import is_missing


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, and servers' certificates by it."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def transport(certificates: Certificates) -> HttpTransport:
    """A transport that trusts the CA of the tests."""
    return HttpTransport(verify=certificates.ca_path)


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def ipv6() -> None:
    """Skip where the machine has no IPv6; fail where CI=true says that nothing may be missing."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        is_missing("IPv6: the address ::1 cannot be bound")
