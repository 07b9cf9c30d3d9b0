"""
Small calls to the authorization server, one connection each.

It knows one thing better than the libraries it stands beside: whether a request that failed was ever sent.
"""

import functools
import os
import ssl
from collections.abc import Callable

from evertoken.client.http.deadline import Deadline, Wire
from evertoken.client.http.failures import raised_as
from evertoken.client.http.opening import Opener
from evertoken.client.http.reading import HEAD_BYTES, read_answer
from evertoken.client.http.transport import Answer, Call, NoAnswer
from evertoken.client.http.writing import render


class HttpTransport:
    """
    Sends calls over http.client and ssl, each on a connection of its own.

    A refresh is rare, and a kept connection may have been closed by the other side without our knowing: then nobody
    could say whether the request was sent. Redirects are not followed: the 3xx is the answer. One transport serves
    any number of threads; it can be pickled unless `verify` is a context.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        max_answer_bytes: int = 262_144,
    ) -> None:
        """
        Read the proxy, and the trusted certificates if they are not the system's.

        Args:
            verify: Whom to trust: a file or directory of CA certificates in PEM, trusted instead of the system's, or
                a context of yours, which is used as it is. Without it, what ssl.create_default_context() trusts; that
                heeds SSL_CERT_FILE and SSL_CERT_DIR. TLS 1.2 at least, and the certificate must name the host.
            proxy: `http://[user:password@]host[:port]` for every call; `""` for none whatever the environment says.
                Without it, the environment decides at each call as urllib.request reads it (HTTPS_PROXY, HTTP_PROXY,
                NO_PROXY, the system's settings on macOS and Windows), then ALL_PROXY. Port 80 if not given.
            max_answer_bytes: The longest body taken, 256 KiB if not given, at least 1.

        Raises:
            ValueError: `proxy` is not such a URL, or `max_answer_bytes` is below 1.
            OSError: `verify` cannot be read, or holds no certificate (ssl.SSLError).
            TypeError: `verify` is none of these; there is no way to switch the check off.
        """
        if max_answer_bytes < 1:
            raise ValueError("max_answer_bytes must be at least 1")
        self._verify = verify
        self._proxy = proxy
        self._max_answer_bytes = max_answer_bytes
        self._opener = Opener(verify=verify, proxy=proxy)

    def __reduce__(self) -> tuple[Callable[[], "HttpTransport"], tuple[()]]:
        """Pickle what it was made of: it is made anew, with the certificates of the machine where it arrives."""
        made_of = {"verify": self._verify, "proxy": self._proxy, "max_answer_bytes": self._max_answer_bytes}
        return functools.partial(type(self), **made_of), ()  # type: ignore[arg-type]

    def __call__(self, call: Call, *, timeout_seconds: float) -> Answer:
        """
        Send `call` and return the answer, whatever its status.

        Args:
            call: An http or https URL, ASCII but for the host; header values in Latin-1. Host, Connection,
                Content-Length, Accept-Encoding and their like are ours to set; Accept and User-Agent may be given.
            timeout_seconds: For all of it: connecting, proxy, TLS, sending, headers and body, however slowly they
                drip; at most a day. Only looking up the name is not bounded by it: getaddrinfo takes no timeout.

        Raises:
            NotSent: No byte of the request was sent: no such name, no connection, no TLS, the proxy refused.
            NoAnswer: A byte may have been sent, and no whole answer came: too late, too long, cut short or not HTTP.
            ValueError: The URL, the method or a header cannot be sent as it is, or `timeout_seconds` is no timeout.
                The message repeats none of them.
            Anything else is a bug: please report it.

        Source: RFC 9112 §6.3 (length), §8 (incomplete messages), RFC 9110 §9.3.6 (CONNECT), §15.2 (1xx).
        """
        deadline = Deadline(timeout_seconds)
        route = self._opener.route(call.url)
        request = render(call, route)
        with (
            self._opener.open(route, deadline) as sock,
            raised_as(NoAnswer, route, late="no answer", deadline=deadline),
        ):
            wire = Wire(sock, deadline, allowed_bytes=HEAD_BYTES)
            wire.send_all(request)
            return read_answer(wire, call.method, max_answer_bytes=self._max_answer_bytes)
