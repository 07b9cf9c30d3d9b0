"""A child of this process, forked at a moment that the test chooses."""

import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import Any

from evertoken.errors import EvertokenError
from tests.client.staging import WITHIN_SECONDS


class Child:
    """
    A forked child that does one thing and ends.

    Args:
        work: What it does there; the result goes through JSON.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: forking beside threads is what we test
            self.pid = os.fork()
        if self.pid == 0:
            try:
                os.write(theirs, json.dumps(_outcome(work)).encode())
            finally:
                os._exit(0)
        os.close(theirs)
        self._answers = ours

    def result(self) -> Any:
        """
        What came of it.

        Raises:
            AssertionError: It does not end, or it failed.
        """
        got = b""
        try:
            while True:
                ready, _, _ = select.select([self._answers], [], [], WITHIN_SECONDS)
                assert ready, "the child does not answer: it is deadlocked"
                part = os.read(self._answers, 65536)
                if not part:
                    break
                got += part
        finally:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self._answers)
        refusal, result = json.loads(got)
        assert refusal is None, f"in the child: {refusal}"
        return result


def _outcome(work: Callable[[], Any]) -> list[Any]:
    try:
        return [None, work()]
    except EvertokenError as error:
        return [f"{type(error).__name__}: {error}", None]
    except BaseException as error:  # noqa: BLE001 - told in the parent
        return [repr(error), None]
