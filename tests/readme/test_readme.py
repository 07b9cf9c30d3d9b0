"""The README's code is run, word for word."""

import re
from pathlib import Path

import pytest

from tests.readme.blocks import blocks_of, script_of
from tests.readme.running import run_in_own_network

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

_CHECK_GUARD = """
echo '=== guard'
TOKEN=$(python3 -c "import json; print(json.load(open('tokens.json'))['access_token'])")
curl -s -o /dev/null -w '%{http_code}\\n' localhost:8001/api/reports
python - <<'PYTHON'
import json, urllib.request
body = json.dumps({"username": "ada", "password": "correct-horse-battery"}).encode()
ask = urllib.request.Request("http://localhost:8001/auth/login", body, {"Content-Type": "application/json"})
token = json.load(urllib.request.urlopen(ask))["access_token"]
ask = urllib.request.Request("http://localhost:8001/api/reports", headers={"Authorization": "Bearer " + token})
print(json.load(urllib.request.urlopen(ask)))
PYTHON
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each block of the README printed."""
    return run_in_own_network(script_of(blocks_of(README)) + _CHECK_GUARD, tmp_path_factory.mktemp("readme"))


def test_the_first_example_signs_in_and_refreshes(outputs: dict[str, str]) -> None:
    """The README's curl lines sign ada in and exchange the refresh token for a new pair."""
    assert "added ada" in outputs["block 1"]
    assert '"access_token"' in outputs["block 2"]
    assert '"refresh_token"' in outputs["block 2"]


def test_the_guard_of_the_readme_refuses_strangers_and_passes_ada(outputs: dict[str, str]) -> None:
    """The README's application answers 401 without a token and 200 with one."""
    assert "401" in outputs["guard"]
    assert "'reports for': 'usr_" in outputs["guard"]


def test_a_program_with_silent_auth_is_signed_in(outputs: dict[str, str]) -> None:
    """The README's Python client signs in and gets its answer."""
    [client] = [number for number, block in enumerate(blocks_of(README), 1) if block.text.startswith("# client.py")]
    assert outputs[f"block {client}"].strip() == "ada"


def test_the_operators_commands_list_explain_and_end_sessions(outputs: dict[str, str]) -> None:
    """The README's last block lists ada's sessions, tells the story of one, ends all, and finds nothing broken."""
    last = outputs[f"block {len(blocks_of(README))}"]
    assert "signed in [127.0.0.1 | curl/" in last
    assert "sessions ended" in last
    assert "ok     store" in last
    assert "FAULT" not in last


def test_both_readmes_show_the_same_code() -> None:
    """The Chinese README has the same blocks as the English one, so what is tested there holds here."""
    assert blocks_of(ROOT / "README.zh-CN.md") == blocks_of(README)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Each relative link of both READMEs and of the docs names a file that is there."""
    for document in [README, ROOT / "README.zh-CN.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"
