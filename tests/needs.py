"""What a test needs beyond Python: skipped with the reason where it is missing, failed where nothing may be missing."""

import os
import shutil

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
    if path is not None:
        return path
    reason = f"{tool} is not installed: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
