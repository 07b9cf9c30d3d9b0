"""A light HTTP/1.1 client over one real socket, for load: no pool, no retries, nothing between a test and the wire."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

_LOST = (ConnectionError, asyncio.IncompleteReadError, OSError)


class ConnectionLost(Exception):
    """There is no server, or it went away before its answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body, read as JSON."""
        read: dict[str, Any] = json.loads(self.body)
        return read

    @property
    def code(self) -> str:
        """The code of a problem; empty where there is none."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return ""
        return str(self.json().get("code", ""))


class Connection:
    """
    One keep-alive connection, opened when it is needed. One request at a time.

    Args:
        port: Of the server on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """
        Connect, if not connected.

        Raises:
            ConnectionLost: nobody listens.
        """
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            except _LOST as error:
                raise ConnectionLost from error

    @property
    def local_port(self) -> int:
        """Our end, by which the server's end is found in /proc/net/tcp."""
        assert self._streams is not None
        port: int = self._streams[1].get_extra_info("sockname")[1]
        return port

    async def get(self, path: str, *, bearer: str | None = None) -> Answer:
        """Send a GET."""
        return await self._request("GET", path, b"", bearer)

    async def post(self, path: str, body: dict[str, Any], *, bearer: str | None = None) -> Answer:
        """
        Send a POST with JSON.

        Raises:
            ConnectionLost: no complete answer came; whether the request was carried out is unknown.
        """
        return await self._request("POST", path, json.dumps(body).encode(), bearer)

    def close(self) -> None:
        """Close; the next request opens it anew."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None

    async def _request(self, method: str, path: str, body: bytes, bearer: str | None) -> Answer:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        authorization = "" if bearer is None else f"Authorization: Bearer {bearer}\r\n"
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{authorization}{content}\r\n"
        try:
            writer.write(head.encode() + body)
            answer = await _read_answer(reader)
        except _LOST as error:
            self.close()
            raise ConnectionLost from error
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(status_line.split(" ", 2)[1]), headers, body)
