"""The client's own HTTP, over the standard library; `Session(transport=...)` takes it, or anything like it."""

from evertoken.client.http.client import HttpTransport
from evertoken.client.http.transport import Answer, Call, NoAnswer, NotSent, Transport

__all__ = ["Answer", "Call", "HttpTransport", "NoAnswer", "NotSent", "Transport"]
