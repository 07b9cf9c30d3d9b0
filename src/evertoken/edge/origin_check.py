"""
Which page sent this request? Cookies come along by themselves, so a cookie call must prove where it comes from.

SameSite alone lets sibling subdomains and other ports of the same host through. The browser says more: in
Sec-Fetch-Site, which no page can forge, and in Origin. (Chromium counts localhost:9602 and localhost:9601 as one
site; OWASP's CSRF sheet has the method.)
"""

from starlette.requests import Request

from evertoken.edge.answers import refuse
from evertoken.edge.requests import header
from evertoken.wire.origins import origin_of

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class OriginCheck:
    """
    Args:
        own: The server's own origin.
        allowed: Other origins, exactly as browsers spell them.
    """

    def __init__(self, own: str, allowed: tuple[str, ...]) -> None:
        self.allowed = frozenset((own, *allowed))

    def is_foreign(self, request: Request) -> bool:
        """Whether a page that is not ours sent this; false for programs, which say nothing of origins."""
        origin = header(request, b"origin")
        if origin is not None:
            return origin not in self.allowed and not self._is_same_origin(request)
        return header(request, b"sec-fetch-site") in {"cross-site", "same-site"}

    def is_ours(self, request: Request) -> bool:
        """Whether the request proves that it comes from one of our pages."""
        if self._is_same_origin(request):
            return True
        origin = header(request, b"origin")
        if origin is not None:
            return origin in self.allowed
        if request.method in _SAFE_METHODS and header(request, b"sec-fetch-site") is None:
            # On plain http in a LAN browsers send neither header with a same-origin GET, but they do send Referer,
            # which a foreign page can leave out and cannot forge.
            return origin_of(header(request, b"referer") or "") in self.allowed
        return False

    def refuse_foreign(self, request: Request) -> None:
        """Stop a request that another site's page sent."""
        if self.is_foreign(request):
            raise refuse(
                403, "origin_not_allowed", "Pages of this origin may not call; see the setting allowed_origins."
            )

    def demand_ours(self, request: Request) -> None:
        """Stop a request with a cookie unless it proves that it comes from one of our pages."""
        if not self.is_ours(request):
            raise refuse(
                403,
                "origin_not_allowed",
                "A call with the refresh cookie must come from a page of this origin or of one in allowed_origins.",
            )

    def _is_same_origin(self, request: Request) -> bool:
        return header(request, b"sec-fetch-site") == "same-origin"
