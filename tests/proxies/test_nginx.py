"""nginx with examples/proxies/nginx.conf, in front of an application and of evertoken."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.edge.attacking import get
from tests.needs import need
from tests.proxies.compliance import Compliance
from tests.proxies.failing import FailingVerify
from tests.proxies.stage import Stage, configured, running, staged

AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log info;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/evertoken.conf;
}}
"""


@contextmanager
def nginx(folder: Path, front: int, evertoken: int, upstream: int, **more: str) -> Iterator[str]:
    """nginx as Debian has it, with the example in the place of /etc/nginx/conf.d."""
    program = need("nginx", "it runs the example's configuration (Debian: apt-get install nginx)")
    user = "user root;" if os.geteuid() == 0 else ""  # else its worker cannot write into the test's folder
    (folder / "evertoken.conf").write_text(configured("nginx.conf", front, evertoken, upstream, **more))
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    with running([program, "-p", folder, "-c", folder / "nginx.conf"], folder, front) as url:
        yield url


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(nginx, tmp_path_factory.mktemp("nginx")) as made:
        yield made


class TestNginx(Compliance):
    """The rules, by nginx."""


def test_the_question_cannot_be_asked_from_outside(stage: Stage) -> None:
    """The place that asks evertoken is nginx's own, also for whoever has a good token."""
    assert get(stage.url, "/_evertoken/verify", stage.token()).status == 404


class TestNginxWithoutEvertoken(FailingVerify):
    """When evertoken cannot be asked, by nginx: always the same problem, and Retry-After."""

    hasty: ClassVar = {"proxy_read_timeout 5s": "proxy_read_timeout 1s"}
    answers_unavailable = True

    def start(
        self, folder: Path, front: int, evertoken: int, upstream: int, **more: str
    ) -> AbstractContextManager[str]:
        return nginx(folder, front, evertoken, upstream, **more)
