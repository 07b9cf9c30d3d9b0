"""The client's commands need click and nothing of the server, and the server's say what they need."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from evertoken.cli import group
from evertoken.cli.commands import CLIENT, SERVER
from evertoken.testing import FakeServer
from tests.cli.shell import Shell, one_line
from tests.support.process import environment_of

OF_THE_SERVER = (
    "argon2", "cryptography", "httptools", "joserfc", "msgspec", "prometheus_client", "starlette", "structlog",
    "uvicorn", "uvloop",
)  # fmt: skip
_MISSING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def _without(folder: Path, *names: str) -> dict[str, str]:
    """An environment in which Python finds no packages of these names: `sitecustomize` is imported at its start."""
    (folder / "python").mkdir()
    (folder / "python" / "sitecustomize.py").write_text(_MISSING.format(names=set(names)))
    return {"PYTHONPATH": str(folder / "python")}


def test_the_client_works_where_only_the_extra_cli_is_installed(tmp_path: Path) -> None:
    """`pip install 'evertoken[cli]'` is enough to sign in, send requests and sign out; --help still lists all."""
    shell = Shell(tmp_path)
    shell.environment |= _without(tmp_path, *OF_THE_SERVER)
    with FakeServer() as server:
        shell.login(server.url)
        shell.let_end()
        assert shell.run("request", "GET", "/things").returncode == 0
        assert shell.run("token").stdout.strip() == shell.record.access_token
        assert shell.run("status").returncode == 0
        assert shell.run("logout").returncode == 0
    assert "doctor" in shell.run("--help").stdout


@pytest.mark.parametrize("command", SERVER)
def test_a_command_of_the_server_says_what_to_install(tmp_path: Path, command: str) -> None:
    """Where the server's packages are missing, its commands are one line that says which extra has them."""
    shell = Shell(tmp_path)
    refused = shell.run(command, more=_without(tmp_path, *OF_THE_SERVER))
    assert refused.returncode == 1
    assert one_line(refused).startswith(f"evertoken: `{command}` belongs to the server, and ")
    assert refused.stderr.endswith("pip install 'evertoken[server]'\n")


def test_without_click_it_says_what_to_install(tmp_path: Path) -> None:
    """`pip install evertoken` alone brings the command, but not what it needs: one line says so."""
    refused = Shell(tmp_path).run("token", more=_without(tmp_path, "click", "rich", *OF_THE_SERVER))
    assert refused.returncode != 0
    assert one_line(refused) == "evertoken: click is not installed: pip install 'evertoken[cli]'\n"


def test_the_client_imports_nothing_but_click_and_the_standard_library() -> None:
    """A script that calls `evertoken token` a thousand times pays for no package that it does not use."""
    code = (
        "import sys; before = set(sys.modules); import evertoken.cli.running\n"
        "from evertoken.cli.commands import CLIENT, group\n"
        "import click; [group.get_command(click.Context(group), name) for name in CLIENT]\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(), capture_output=True, text=True, timeout=60, check=True
    )
    assert set(imported.stdout.split()) <= {"click", "evertoken", "colorama"}


def test_help_says_of_each_command_what_the_command_says_itself(tmp_path: Path) -> None:
    """--help lists the commands as the client's and the server's, in the words of their own first sentences."""
    shown = Shell(tmp_path).run("--help").stdout
    client, _, server = shown.partition("\nClient:\n")[2].partition("\nServer:\n")
    for listed, names in ((client, CLIENT), (server, SERVER)):
        assert re.findall(r"^  (\w+)", listed, re.MULTILINE) == list(names)
    assert isinstance(group, click.Group)
    for name, entry in {**CLIENT, **SERVER}.items():
        assert "".join(entry.help.split()) in "".join(shown.split())
        command = group.get_command(click.Context(group), name)
        assert command is not None
        own = " ".join((command.help or "").split())
        assert own.removesuffix(".").partition(". ")[0] + "." == entry.help


def test_what_is_mistyped_is_one_line(tmp_path: Path) -> None:
    """A command, a flag or an argument that is none: exit status 2, and one line says where to read more."""
    shell = Shell(tmp_path)
    for arguments, words in [
        (("tokn",), "No such command 'tokn'"),
        (("token", "--forever"), "No such option"),
        (("request", "GET"), "Missing argument 'URL'"),
        (("token", "--min-valid", "long"), "not a valid float"),
    ]:
        refused = shell.run(*arguments)
        assert refused.returncode == 2
        assert words in one_line(refused)
        assert refused.stderr.endswith(" --help\n")


def test_a_fault_of_our_own_is_one_line_too(tmp_path: Path) -> None:
    """Even a bug shows no traceback in somebody's script, and says where it is; no local variable is shown."""
    (tmp_path / "python").mkdir()
    bug = "from evertoken.client.gate import Gate\nGate.enter = lambda gate, **_: {}['secret']\n"
    (tmp_path / "python" / "sitecustomize.py").write_text(bug)
    shell = Shell(tmp_path)
    shell.keep_token("http://127.0.0.1:9")
    failed = shell.run("token", more={"PYTHONPATH": str(tmp_path / "python")})
    assert failed.returncode == 1
    assert one_line(failed) == (
        "evertoken: a fault of evertoken's own (KeyError at sitecustomize.py:2): please report it\n"
    )


def test_the_variable_of_the_client_is_no_misspelt_setting_of_the_server(tmp_path: Path) -> None:
    """EVERTOKEN_SESSION_FILE is for the client; doctor does not take it for a setting gone wrong."""
    checked = Shell(tmp_path).run("doctor", more={"EVERTOKEN_SESSION_FILE": "x", "EVERTOKEN_PROT": "1"})
    assert "EVERTOKEN_PROT" in checked.stdout
    assert "EVERTOKEN_SESSION_FILE" not in checked.stdout
