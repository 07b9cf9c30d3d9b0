"""What a test needs beyond Python: skipped with the reason where it is missing, failed where nothing may be missing."""

import os
import shutil
from typing import NoReturn

import pytest


def need(tool: str, why: str) -> str:
    """
    Give the path of a program that a test runs.

    Args:
        tool: Its name, as on the command line.
        why: What the test does with it; read in pytest's list of skipped tests.

    Raises:
        pytest.skip.Exception: It is not installed.
        pytest.fail.Exception: It is not installed, and CI=true says that it must be.
    """
    __tracebackhide__ = True
    path = shutil.which(tool)
    return path if path is not None else is_missing(f"{tool} is not installed: {why}")


def is_missing(reason: str) -> NoReturn:
    """
    Leave a test that cannot be played here.

    Raises:
        pytest.skip.Exception: With the reason.
        pytest.fail.Exception: With the reason, where CI=true says that nothing may be missing.
    """
    __tracebackhide__ = True
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
