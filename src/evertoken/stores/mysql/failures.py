"""What goes wrong between us and MariaDB or MySQL, as the rest of evertoken is told of it."""

from asyncmy import errors

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.store_address import shown
from evertoken.stores.mysql.address import AddressError


class Undone(errors.OperationalError):
    """The server undid the transaction for the sake of another one, or of a change of the tables: run it anew."""


class Held(errors.OperationalError):
    """Another transaction holds a row for longer than we wait. Of ours only this statement was undone."""


class Duplicate(errors.IntegrityError):
    """There is such a row already."""


FAILURES = (errors.MySQLError, OSError, EOFError)
"""Everything that the driver raises about a statement or a connection. TimeoutError is an OSError."""

TRY_AGAIN = (Undone,)
"""The transaction can be run anew, on the same connection."""

# 1213 deadlock; 1412 tables changed; 1020 MariaDB: a row changed since it was read; 1205 lock wait; 1062 duplicate key
_KINDS: dict[int, type[errors.MySQLError]] = {1213: Undone, 1412: Undone, 1020: Undone, 1205: Held, 1062: Duplicate}

_REFUSED_USER = {1045, 1698, 1130, 1251, 2049, 2059, 3118, 1820, 1862}
_NO_DATABASE = {1049, 1044}
_NO_RIGHT = {1142, 1143, 1227, 1370, 1410}
_NO_CONNECTION = {2002, 2003, 2005, 2006, 2013, 2055}


def code_of(error: BaseException) -> int:
    """The number that MySQL gives an error; 0 where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def sorted_out(error: errors.MySQLError) -> errors.MySQLError:
    """The same, as one of the kinds above."""
    kind = _KINDS.get(code_of(error))
    return error if kind is None else kind(*error.args)


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a caller is told: 503, nobody is signed out. The message goes to the log."""
    if isinstance(error, TimeoutError):
        return StoreUnavailable("the database did not answer in time")
    return StoreUnavailable(f"the database failed: {_words(error)}")


def refused_at_start(error: BaseException, location: str) -> ConfigurationError:
    """What is wrong, in one line that says what to mend and never shows the password."""
    where, code = shown(location), code_of(error)
    if isinstance(error, AddressError):
        what = str(error)
    elif isinstance(error, TimeoutError):
        what = "the server did not answer in time; correct the address, or see whether it runs"
    elif code in _REFUSED_USER:
        what = (
            f"the server refuses this user or password ({code}); correct them, or the host that the user may come"
            " from, or ask for TLS with ssl_mode if the user must come by it"
        )
    elif code in _NO_DATABASE:
        what = (
            "there is no such database, or the user has no right on it; CREATE DATABASE and GRANT, or correct the name"
        )
    elif code in _NO_RIGHT:
        what = (
            f"{_words(error)}; the user needs SELECT, INSERT, UPDATE, DELETE on the database, and CREATE, ALTER, INDEX"
            " where the tables are made or brought forward"
        )
    elif code in _NO_CONNECTION or (isinstance(error, OSError) and not code):
        what = f"cannot be reached ({_words(error)}); correct the address, or see whether it runs"
    elif isinstance(error, FAILURES):
        what = f"the server says: {_words(error)}"
    else:
        what = "the address cannot be read"  # what is said of it may hold a part of the password
    return ConfigurationError("store", f"{where}: {what}")


def _words(error: BaseException) -> str:
    """The first line of what the server says, or the system."""
    said = error.args[1] if len(error.args) > 1 and isinstance(error, errors.MySQLError) else error
    if isinstance(said, OSError):
        said = said.strerror or said
    return next(iter(str(said).splitlines()), "") or type(error).__name__
