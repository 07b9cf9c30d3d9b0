"""
httpx2: `httpx2.Client(base_url=session.base_url, auth=SilentAuth(session))`; `AsyncClient` takes the same.

Needs the extra `evertoken[httpx2]`.
"""

import httpx2

from evertoken.client.httpx_family import SilentAuthFlow

__all__ = ["SilentAuth"]


class SilentAuth(SilentAuthFlow, httpx2.Auth):
    __doc__ = SilentAuthFlow.__doc__
    in_memory = httpx2.ByteStream
