"""What users import, and what that brings along."""

import subprocess
import sys

import evertoken.testing


def test_every_name_that_is_offered_is_there() -> None:
    """The names stand in order, and each can be imported."""
    names = evertoken.testing.__all__
    assert names == sorted(names)
    assert all(hasattr(evertoken.testing, name) for name in names)


def test_the_kit_needs_nothing_but_the_client() -> None:
    """Users who have installed the client alone can import all of it: no server, no library of ours or others."""
    script = (
        "import sys, evertoken.testing\n"
        "server = ['accounts', 'assembly', 'cli', 'edge', 'guards', 'stores', 'tokens', 'wire']\n"
        "others = ['cryptography', 'joserfc', 'msgspec', 'pytest', 'starlette']\n"
        "unwanted = {f'evertoken.{room}' for room in server} | {*others}\n"
        "print(*sorted(unwanted & set(sys.modules)), end='')\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout == ""
