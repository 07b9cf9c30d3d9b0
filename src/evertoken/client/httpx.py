"""
httpx: `httpx.Client(base_url=session.base_url, auth=SilentAuth(session))`; `AsyncClient` takes the same.

Needs the extra `evertoken[httpx]`.
"""

import httpx

from evertoken.client.httpx_family import SilentAuthFlow

__all__ = ["SilentAuth"]


class SilentAuth(SilentAuthFlow, httpx.Auth):
    __doc__ = SilentAuthFlow.__doc__
    in_memory = httpx.ByteStream
