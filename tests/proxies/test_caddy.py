"""Caddy with examples/proxies/Caddyfile, in front of an application and of evertoken."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.needs import need
from tests.proxies.compliance import Compliance
from tests.proxies.failing import FailingVerify
from tests.proxies.stage import Stage, configured, running, staged


@contextmanager
def caddy(folder: Path, front: int, evertoken: int, upstream: int, **more: str) -> Iterator[str]:
    """Caddy as Debian has it."""
    program = need("caddy", "it runs the example's configuration (Debian: apt-get install caddy)")
    site = configured("Caddyfile", front, evertoken, upstream, **more)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    with running([program, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"], folder, front) as url:
        yield url


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(caddy, tmp_path_factory.mktemp("caddy")) as made:
        yield made


class TestCaddy(Compliance):
    """The rules, by Caddy."""


class TestCaddyWithoutEvertoken(FailingVerify):
    """When evertoken cannot be asked, by Caddy."""

    hasty: ClassVar = {"response_header_timeout 5s": "response_header_timeout 1s"}
    answers_unavailable = False

    def start(
        self, folder: Path, front: int, evertoken: int, upstream: int, **more: str
    ) -> AbstractContextManager[str]:
        return caddy(folder, front, evertoken, upstream, **more)
