"""What docs/dialects has typed is typed: the servers of the guides, and the commands of the entry page."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import PASSWORD, Shell
from tests.readme.blocks import blocks_of
from tests.support.process import ServerProcess, add_users, lasting_port

DOCS = Path(__file__).parents[2] / "docs" / "dialects"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
FLAGS = {"--allow-token-in-url"}
"""Those without a value."""


def _typed(document: Path) -> list[list[str]]:
    """The commands in a page's shell blocks, in words."""
    text = "".join(block.text for block in blocks_of(document) if block.language == "sh")
    return [shlex.split(line) for line in text.splitlines()]


def _settings(arguments: list[str]) -> Iterator[tuple[str, Any]]:
    words = iter(arguments)
    for word in words:
        yield word.removeprefix("--").replace("-", "_"), True if word in FLAGS else next(words)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_the_server_of_a_guide_speaks_the_dialect_that_the_guide_is_about(guide: Path, tmp_path: Path) -> None:
    """The guide's line starts a server, without a warning of a setting left out, that speaks as the document says."""
    [[*command, flag, name]] = [typed[:4] for typed in _typed(guide)]
    assert (command, flag, name) == (["evertoken", "serve"], "--dialect", guide.stem)
    settings = dict(_settings(_typed(guide)[0][2:]))
    port = lasting_port()
    server = ServerProcess(tmp_path, port=port, issuer=f"http://127.0.0.1:{port}", **settings)
    add_users(server.database, "ada")
    with server:
        asked = ("--url", server.url, "--username", "ada", "--password-stdin")
        done = Shell(tmp_path).run("dialect", "check", name, *asked, stdin=PASSWORD + "\n")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "max-age" not in server.stderr
    assert ("carries the refresh token in the URL" in server.stderr) == ("allow_token_in_url" in settings)


def test_the_commands_for_a_document_of_ones_own_work(tmp_path: Path) -> None:
    """A built-in document is shown, changed and checked, as docs/dialects/README.md types it."""
    shell = Shell(tmp_path)
    ran = []
    for typed in _typed(DOCS / "README.md"):
        assert typed[0] == "evertoken"
        if typed[1] == "serve":
            continue  # the guides' servers are started above
        target = typed[typed.index(">") + 1] if ">" in typed else None
        done = shell.run(*typed[1 : typed.index(">") if target else None])
        assert done.returncode == 0, done.stderr
        if target:
            (tmp_path / target).write_text(done.stdout)
        ran.append(typed[2])
    assert ran == ["list", "show", "check"]
