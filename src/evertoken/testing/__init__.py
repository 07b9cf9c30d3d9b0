"""For the tests of applications that use evertoken. Needs nothing but the client; the plugin needs pytest."""

from evertoken.testing.chaos import ChaosProxy
from evertoken.testing.clock import MovingClock
from evertoken.testing.fake_server import FakeServer
from evertoken.testing.faults import Fault, Gate
from evertoken.testing.listener import Answer, Hangup, Request
from evertoken.testing.records import RefreshRecord
from evertoken.testing.refusals import Refusal, Refused

__all__ = [
    "Answer",
    "ChaosProxy",
    "FakeServer",
    "Fault",
    "Gate",
    "Hangup",
    "MovingClock",
    "RefreshRecord",
    "Refusal",
    "Refused",
    "Request",
]
