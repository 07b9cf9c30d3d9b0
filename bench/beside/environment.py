"""The environment of the other libraries: a .venv of their own, made once, from requirements.txt beside this file."""

import subprocess
import sys
import zlib
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDER = _HERE.parent.parent / ".venv" / "bench-beside"
_REQUIREMENTS = _HERE / "requirements.txt"


class CannotInstall(Exception):
    """The other libraries cannot be had here; the text says why."""


def programs() -> Path:
    """
    The folder of its python, gunicorn and granian; installed now if that was not done before.

    Raises:
        CannotInstall: pip could not.
    """
    programs = _FOLDER / "bin"
    stamp = _FOLDER / ".evertoken-setup"
    wanted = f"{zlib.crc32(_REQUIREMENTS.read_bytes())} {sys.version}"
    if stamp.exists() and stamp.read_text() == wanted:
        return programs
    _run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)])
    # Wheels only: building from source would fetch build tools that no lock file names.
    locked = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(_REQUIREMENTS)]
    _run([str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked])
    stamp.write_text(wanted)
    return programs


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ran.returncode:
        raise CannotInstall(ran.stdout.strip()[-400:] or f"{command[0]} failed")


def version_of(package: str) -> str:
    """As it is locked."""
    for line in _REQUIREMENTS.read_text().splitlines():
        name, _, version = line.rstrip(" \\").partition("==")
        if name == package:
            return version.split()[0]
    raise KeyError(package)
