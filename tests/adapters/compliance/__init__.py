"""The promises, one class per subject; `Compliance` is all of them, and a test module gives it a bench."""

from tests.adapters.compliance.bodies import Bodies
from tests.adapters.compliance.crowds import Crowds
from tests.adapters.compliance.failing import Failing
from tests.adapters.compliance.home_made import HomeMade
from tests.adapters.compliance.leaving import Leaving
from tests.adapters.compliance.own_answers import OwnAnswers
from tests.adapters.compliance.pools import Pools
from tests.adapters.compliance.redirects import Redirects
from tests.adapters.compliance.streams import Streams

__all__ = ["Compliance"]


class Compliance(Crowds, Leaving, OwnAnswers, Bodies, Streams, Redirects, HomeMade, Failing, Pools):
    """Everything that an adapter promises."""
