"""docs/adopting.md says what is so."""

import re
import sys
import types
from pathlib import Path

from evertoken.accounts.hashes import bcrypt, known, pbkdf2
from evertoken.edge.settings.sources import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adopting.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_every_kind_of_hash_that_is_read_is_listed_and_no_other() -> None:
    """The table names each form by how it begins."""
    table = TEXT.partition("### Which hashes are read")[2].partition("For bcrypt install")[0]
    listed = {known._kind(form + ("x" if ":" in form else "")) for form in re.findall(r"`([^`]+[$:])`", table)}
    assert listed == set(known._READERS) | known._ARGON2


def test_the_limits_are_those_of_the_code() -> None:
    """What is refused for its cost is said in numbers."""
    assert f"{pbkdf2.MAX_ITERATIONS:,}\n  PBKDF2 iterations" in TEXT
    assert f"cost above {bcrypt.MAX_COST}" in TEXT


def test_the_settings_of_the_example_are_read(tmp_path: Path) -> None:
    """The TOML block turns adoption on."""
    [toml] = blocks("toml")
    file = tmp_path / "evertoken.toml"
    file.write_text(toml)
    settings = load({}, {}, file=file)
    assert (settings.adopt, str(settings.adopt_until)) == ("simplejwt", "2027-03-01 00:00:00+00:00")


async def test_the_hook_of_the_example_refuses_what_is_blacklisted() -> None:
    """The hook block runs, and is asynchronous."""

    async def is_blacklisted(jti: str) -> bool:
        return jti == "bad"

    module = types.ModuleType("blacklist")
    module.__dict__["is_blacklisted"] = is_blacklisted
    sys.modules["blacklist"] = module
    try:
        space: dict[str, object] = {}
        exec(compile(blocks("python")[1], "hooks.py", "exec"), space)
    finally:
        del sys.modules["blacklist"]
    hook = space["may_come_over"]
    assert callable(hook)
    assert await hook({"jti": "good"}, None) is True
    assert await hook({"jti": "bad"}, None) is False


def test_the_export_of_the_example_is_what_the_import_reads() -> None:
    """The members that the Django block writes are members that are known."""
    block = blocks("python")[0]
    assert set(re.findall(r'"(\w+)":', block)) == {"id", "username", "password_hash", "roles", "disabled"}
