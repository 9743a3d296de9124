"""The errors of all databases, by their names in PEP 249, and `translate` from those of drivers."""
from __future__ import absolute_import, division, print_function


class Error(Exception):
    """The base of all errors. `code` is the number or SQLSTATE from the database, or None."""
    def __init__(self, message, code=None):
        super(Error, self).__init__(message)
        self.code = code


class InterfaceError(Error):
    """The API was used incorrectly."""


class DatabaseError(Error):
    """The database reported an error."""


class DataError(DatabaseError):
    """A value is invalid or out of range for its column."""


class OperationalError(DatabaseError):
    """The database failed for a reason outside the program's control."""


class IntegrityError(DatabaseError):
    """The statement would violate a constraint of the schema, such as a unique key."""


class InternalError(DatabaseError):
    """The database has an internal problem."""


class ProgrammingError(DatabaseError):
    """The statement is wrong: a syntax error, a table that does not exist."""


class NotSupportedError(DatabaseError):
    """The database does not support this."""


class Unavailable(OperationalError):
    """The database cannot be reached or is overloaded. Nothing was done, so the statement can
    safely be repeated."""


class OutcomeUnknown(OperationalError):
    """The connection was lost, or the timeout expired, before the answer arrived: the statement may
    or may not have been carried out. It is never repeated automatically."""


_BY_NAME = dict((cls.__name__, cls) for cls in (
    Error, InterfaceError, DatabaseError, DataError, OperationalError, IntegrityError,
    InternalError, ProgrammingError, NotSupportedError))


def sql_state(error):
    """The SQLSTATE of an error of a PostgreSQL driver; None if it has none."""
    # The name in psycopg2, and that in psycopg.
    return getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)


def translate(error):
    """The error of this module for an error of a driver."""
    kind = Error
    for cls in type(error).__mro__:
        if cls.__name__ in _BY_NAME:
            kind = _BY_NAME[cls.__name__]
            break
    code = sql_state(error)
    if code is None and error.args and isinstance(error.args[0], int):
        code = error.args[0]
    message = error.args[-1] if error.args else type(error).__name__
    return kind(str(message).strip(), code)
