"""The code in docs/clients is run, word for word, against a server that the page assumes: port 8000, the user ada."""

import shutil
from pathlib import Path

import pytest

from tests.readme.blocks import blocks_of, script_of
from tests.readme.running import run_in_own_network

PAGES = Path(__file__).parents[2] / "docs" / "clients"
WITH_CODE = sorted(page.stem for page in PAGES.glob("*.md") if blocks_of(page))
ELSEWHERE = {"niquests", "command-line"}
"""Pages whose code is run by tests of their own: they need an environment, or print what is compared."""
_SERVER = """
echo correct-horse-battery | evertoken users add ada --password-stdin
evertoken serve >server.log 2>&1 &
for i in $(seq 200); do curl -s localhost:8000/healthz >/dev/null && break; sleep 0.05; done
"""
PRINTED = {
    "README": ["ada"],
    "aiohttp": ["200\n401"],
    "httpx2": ["200\n401", "{200}"],
    "other-servers": ["True", "Session('https://api.example.com', store=MemoryStore())"],
    "requests": ["200\n401"],
    "testing": ["", "3 passed"],
    "token-stores": ["True\nTrue"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run pages in."""
    return tmp_path_factory.mktemp("pages")


@pytest.mark.parametrize("page", [name for name in WITH_CODE if name not in ELSEWHERE])
def test_the_code_of_a_page_about_the_clients_does_what_the_page_says(page: str, home: Path) -> None:
    """Every example in docs/clients runs as it stands there and prints what it should."""
    folder = home / page
    folder.mkdir()
    blocks = blocks_of(PAGES / f"{page}.md")
    outputs = run_in_own_network(script_of(blocks, first=_SERVER), folder, HOME=str(folder))
    for number, expected in enumerate(PRINTED[page], 1):
        assert expected in outputs[f"block {number}"]
    shutil.rmtree(folder)


def test_every_page_with_code_is_run() -> None:
    """No page of docs/clients has code that nobody runs."""
    assert set(WITH_CODE) == set(PRINTED) | ELSEWHERE & set(WITH_CODE)
