"""The refresh cookie (RFC 6265bis): its name, how it is set, how it is found in a request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SameSite = Literal["Strict", "Lax"]


class DuplicateCookie(Exception):
    """Two cookies of our name came along: one of them was planted. Neither can be believed."""


@dataclass(frozen=True, slots=True)
class RefreshCookie:
    """
    The cookie that carries a refresh token where a page must not be able to read it.

    Args:
        trustworthy: Whether the origin may set Secure cookies. Then the name starts with `__Host-Http-`: no
            sibling domain and no script can set such a cookie, so nobody can plant a session. On plain http in
            a LAN neither the prefix nor Secure is possible; `doctor` says so.
        same_site: Strict unless a link from elsewhere must arrive signed in.
        own_name: The name behind the prefix; a server that sets several cookies has one for each.
    """

    trustworthy: bool
    same_site: SameSite = "Strict"
    own_name: str = "evertoken"

    @property
    def name(self) -> str:
        """The cookie's name; the prefix is enforced by browsers, hence no choice of Path or Domain."""
        return f"__Host-Http-{self.own_name}" if self.trustworthy else self.own_name

    def find(self, cookie_headers: Sequence[str]) -> str | None:
        """
        The value in a request's Cookie headers, as it stands there.

        Raises:
            DuplicateCookie: there are two; see RFC 6265bis §8.6 on weak integrity.
        """
        found: list[str] = []
        wanted = self.name
        for header in cookie_headers:
            if wanted not in header:
                continue
            for pair in header.split(";"):
                name, separator, value = pair.strip(" \t").partition("=")
                if separator and name == wanted:
                    found.append(value)
        if len(found) > 1:
            raise DuplicateCookie
        return found[0] if found else None

    def set_header(self, value: str, *, max_age_seconds: int) -> str:
        """The Set-Cookie header that hands out a token."""
        return f"{self.name}={value}; Max-Age={max_age_seconds}; {self._attributes()}"

    def clear_header(self) -> str:
        """The Set-Cookie header that removes it; sent by sign-out only, for a late refusal must not delete a newer
        sign-in's cookie."""
        return f"{self.name}=; Max-Age=0; {self._attributes()}"

    def _attributes(self) -> str:
        secure = "Secure; " if self.trustworthy else ""
        return f"Path=/; {secure}HttpOnly; SameSite={self.same_site}"


@dataclass(frozen=True, slots=True)
class ReadableCookie:
    """
    The cookie that tells a page its CSRF token, for clients that copy it into a header by themselves, as axios does.

    Scripts read it, so it must never hold anything that alone admits somebody.

    Args:
        name: As the client looks for it.
        trustworthy, same_site: As for `RefreshCookie`.
    """

    name: str
    trustworthy: bool
    same_site: SameSite = "Strict"

    def set_header(self, value: str, *, max_age_seconds: int) -> str:
        """The Set-Cookie header that tells it."""
        return f"{self.name}={value}; Max-Age={max_age_seconds}; {self._attributes()}"

    def clear_header(self) -> str:
        """The Set-Cookie header that removes it."""
        return f"{self.name}=; Max-Age=0; {self._attributes()}"

    def _attributes(self) -> str:
        secure = "Secure; " if self.trustworthy else ""
        return f"Path=/; {secure}SameSite={self.same_site}"
