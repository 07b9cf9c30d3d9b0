"""Where a store is: a file, or the address of a database server, which is shown without its password."""

import re
from urllib.parse import urlsplit

_PORT = re.compile(r":([^:\]]*)$")
_POSTGRESQL = ("postgresql://", "postgres://")
_MYSQL = ("mysql://", "mariadb://")
_REDIS = ("redis://", "rediss://", "valkey://", "valkeys://", "redis+sentinel://")


def is_postgresql(location: str) -> bool:
    """Whether this names a PostgreSQL database."""
    return location.startswith(_POSTGRESQL)


def is_mysql(location: str) -> bool:
    """Whether this names a MariaDB or MySQL database."""
    return location.startswith(_MYSQL)


def is_redis(location: str) -> bool:
    """Whether this names a Redis or Valkey: one server, a Cluster, or Sentinels."""
    return location.startswith(_REDIS)


def is_server(location: str) -> bool:
    """Whether this names a database server, which several machines share; else it is a file."""
    return is_postgresql(location) or is_mysql(location) or is_redis(location)


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
    if is_redis(location):  # what stands in the path depends on the scheme, and is judged where it is used
        if not parts.netloc.rpartition("@")[2] or parts.fragment or not _has_good_ports(parts.netloc):
            raise ValueError(
                "must be like redis://user:password@host:6379/0; write @ : / ? # in a password as %40 %3A %2F %3F %23"
            )
        return location
    database = parts.path.strip("/")
    where = parts.netloc.rpartition("@")[2] or ("host=" in parts.query)
    if is_mysql(location) and "," in parts.netloc.rpartition("@")[2]:
        where = ""  # its driver knows one host
    if not where or not database or set("/@") & set(database) or parts.fragment or not _has_good_ports(parts.netloc):
        like = "mysql://user:password@host:3306" if is_mysql(location) else "postgresql://user:password@host:5432"
        raise ValueError(f"must be like {like}/database; write @ : / ? # in a password as %40 %3A %2F %3F %23")
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
