"""
What every framework's guard promises, one class per subject; `Compliance` is all of them.

A test module gives it a bench:

    class TestFlask(Compliance):
        bench = FlaskBench()
"""

from tests.frameworks.compliance.ending import Ending
from tests.frameworks.compliance.forging import Forging
from tests.frameworks.compliance.passing import Passing
from tests.frameworks.compliance.rights import Rights
from tests.frameworks.compliance.transport import Transport

__all__ = ["Compliance"]


class Compliance(Passing, Rights, Forging, Transport, Ending):
    """Everything that a framework's guard promises."""
