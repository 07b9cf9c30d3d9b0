"""The network between two services, which a test cuts and mends."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from tests.support.process import lasting_port


class Pipe:
    """Passes connections on to a port; while it is cut, those that are open are gone and new ones are refused."""

    def __init__(self, to_port: int) -> None:
        self.port = lasting_port()
        self._to_port = to_port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def mend(self) -> None:
        """Let connections through."""
        listener = socket.create_server(("127.0.0.1", self.port))
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Take the network away."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._open = self._open, set()
        for each in (listener, *connections):
            if each is not None:
                with contextlib.suppress(OSError):  # the other side was quicker
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # cut
            try:
                far = socket.create_connection(("127.0.0.1", self._to_port), timeout=30)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                is_cut = self._listener is not listener
                if not is_cut:
                    self._open |= {near, far}
            if is_cut:
                near.close()
                far.close()
                return
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass, args=(source, sink), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
