"""Machines whose clocks are wrong: libfaketime tells a program another time of day. Namespaces cannot do that."""

import shutil
import time
from pathlib import Path
from typing import Final

from tests.needs import need

_WHY: Final = "sets the clock of one machine and not of the others (Debian: apt-get install faketime)"
_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


def need_wrong_clocks() -> None:
    """
    Leave a test that is about wrong clocks where there are none.

    Raises:
        pytest.skip.Exception, pytest.fail.Exception: as `need`.
    """
    need("faketime", _WHY)


def clock_off_by(seconds: int) -> dict[str, str]:
    """The environment of a program that believes it is so many seconds later, or earlier: none where that cannot be."""
    if seconds == 0 or shutil.which("faketime") is None:
        return {}
    found = [path for pattern in _LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    assert found, f"faketime is installed, but its library is not at {' or '.join(_LIBRARIES)}"
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a machine whose date is wrong counts seconds as well as any other
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",  # else a program that is killed leaves some behind
        "TZ": time.strftime("%Z"),
    }
