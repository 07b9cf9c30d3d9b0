"""Where a store is: a file, or the address of a database server, which is shown without its password."""

import re
from urllib.parse import urlsplit

_PORT = re.compile(r":([^:\]]*)$")
_POSTGRESQL = ("postgresql://", "postgres://")


def is_postgresql(location: str) -> bool:
    """Whether this names a PostgreSQL database."""
    return location.startswith(_POSTGRESQL)


def is_server(location: str) -> bool:
    """Whether this names a database server, which several machines share; else it is a file."""
    return is_postgresql(location)


def check_server(location: str) -> str:
    """
    The address as it is used.

    Raises:
        ValueError: it is none. The message never holds the text, for it may hold a password.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        parts = urlsplit("")
    database = parts.path.strip("/")
    where = parts.netloc.rpartition("@")[2] or ("host=" in parts.query)
    if not where or not database or set("/@") & set(database) or parts.fragment or not _has_good_ports(parts.netloc):
        raise ValueError(
            "must be like postgresql://user:password@host:5432/database; write @ : / ? # in a password as %40 %3A %2F"
            " %3F %23"
        )
    return location


def _has_good_ports(netloc: str) -> bool:
    """Also of several hosts, host:port,host:port. A slash in a password would make a port of what stands before it."""
    ports = (_PORT.search(host) for host in netloc.rpartition("@")[2].split(","))
    return all(port is None or (port[1].isdigit() and int(port[1]) < 2**16) for port in ports)


def shown(location: str) -> str:
    """A file as it is; an address with neither password nor parameters: fit for messages."""
    if not is_server(location):
        return location
    scheme, _, _ = location.partition("://")
    try:
        parts = urlsplit(location)
    except ValueError:
        return f"{scheme}://..."
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}://{name}{':***' if colon else ''}{at}{hosts}{parts.path}"
