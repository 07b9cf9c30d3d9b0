"""What goes wrong between us and PostgreSQL, as the rest of evertoken is told of it."""

import asyncpg

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.store_address import shown

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)
"""Everything that the driver raises about a statement or a connection. TimeoutError is an OSError."""

TRY_AGAIN = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,  # the tables were changed by a newer evertoken, after the statement was read
)
"""The transaction was undone by the server and can be run anew, on the same connection."""


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a caller is told: 503, nobody is signed out. The message goes to the log."""
    if isinstance(error, TimeoutError):
        return StoreUnavailable("the database did not answer in time")
    return StoreUnavailable(f"the database failed: {_words(error)}")


def refused_at_start(error: BaseException, location: str) -> ConfigurationError:
    """What is wrong, in one line that says what to mend and never shows the password."""
    where = shown(location)
    if isinstance(error, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        what = "the server refuses this user or password; correct them, or its pg_hba.conf"
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        what = "there is no such database; make it with createdb, or correct the name"
    elif isinstance(error, asyncpg.InsufficientPrivilegeError):
        what = f"{_words(error)}; the user needs CREATE on the database, or a schema of its own"
    elif isinstance(error, TimeoutError):
        what = "the server did not answer in time; correct the address, or see whether it runs"
    elif isinstance(error, asyncpg.PostgresError):
        what = f"the server says: {_words(error)}"
    elif isinstance(error, OSError):
        what = f"cannot be reached ({_reason(error)}); correct the address, or see whether it runs"
    elif isinstance(error, FAILURES):
        what = _words(error)
    else:
        what = "the address cannot be read"  # what the driver says of it may hold a part of the password
    return ConfigurationError("store", f"{where}: {what}")


def _words(error: BaseException) -> str:
    """The first line: those below may hold values."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _reason(error: OSError) -> str:
    return error.strerror or _words(error)
