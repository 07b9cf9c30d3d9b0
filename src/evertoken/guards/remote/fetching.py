"""
GET over HTTP, bounded in time and size: the only place of the guard that opens a connection.

Imported when a guard starts, and not before: a server that guards its own routes needs no HTTP client.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx2

from evertoken.guards.remote.answers import Got, Unreachable

CONNECT_WITHIN_SECONDS: Final = 5.0
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Far above the largest page of the feed (1 MB) and any set of keys."""


class Fetcher:
    """
    Asks an issuer. Follows no redirect: what it asks was named by the operator or by the issuer's metadata.

    Args:
        verify: A CA bundle or SSL context of httpx2's, or True for the system's.
    """

    def __init__(self, *, verify: object = True) -> None:
        self._client = httpx2.AsyncClient(
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "evertoken-guard"},
            follow_redirects=False,
            verify=verify,  # type: ignore[arg-type]
            limits=httpx2.Limits(max_connections=4, keepalive_expiry=30.0),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self,
        url: str,
        *,
        within_seconds: float,
        parameters: Mapping[str, str] | None = None,
        credential: tuple[str, str] | None = None,
    ) -> Got:
        """See `Gets`; an answer may have 8 MiB."""
        timeout = httpx2.Timeout(within_seconds, connect=min(CONNECT_WITHIN_SECONDS, within_seconds))
        try:
            async with (
                asyncio.timeout(within_seconds),
                self._client.stream("GET", url, params=parameters, auth=credential, timeout=timeout) as response,
            ):
                parts, size = [], 0
                async for part in response.aiter_raw():
                    size += len(part)
                    if size > MAX_BODY_BYTES:
                        raise Unreachable(f"{url} sent more than {MAX_BODY_BYTES} bytes")
                    parts.append(part)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Got(response.status_code, headers, b"".join(parts))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            told = f"{error}" or "no answer in time"
            is_gone = isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError)
            raise Unreachable(f"cannot get {url}: {type(error).__name__}: {told}", is_gone=is_gone) from error
