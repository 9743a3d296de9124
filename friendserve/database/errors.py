"""What can go wrong with a database, whichever it is: the names are those of PEP 249."""
from __future__ import absolute_import, division, print_function


class Error(Exception):
    """Something went wrong. `code` is the number or SQLSTATE that the database gives, or None."""
    def __init__(self, message, code=None):
        super(Error, self).__init__(message)
        self.code = code


class InterfaceError(Error):
    """The module was not used as it wants to be."""


class DatabaseError(Error):
    """The database says no."""


class DataError(DatabaseError):
    """A value does not fit."""


class OperationalError(DatabaseError):
    """The database is not able to, for a reason that is not the program's."""


class IntegrityError(DatabaseError):
    """A rule of the schema would be broken: a key that is there already, for instance."""


class InternalError(DatabaseError):
    """The database has a problem of its own."""


class ProgrammingError(DatabaseError):
    """The statement makes no sense: a table that is not there, a mistake of grammar."""


class NotSupportedError(DatabaseError):
    """The database cannot do that at all."""


class Unavailable(OperationalError):
    """The database cannot be reached, or too much waits for it: nothing was done, so it is safe
    to ask again."""


class OutcomeUnknown(OperationalError):
    """The connection was lost, or time was over, before the answer came: what was asked for may
    have been done, or not."""


_BY_NAME = dict((cls.__name__, cls) for cls in (
    Error, InterfaceError, DatabaseError, DataError, OperationalError, IntegrityError,
    InternalError, ProgrammingError, NotSupportedError))


def translate(error):
    """Our error for one of a driver."""
    kind = Error
    for cls in type(error).__mro__:
        if cls.__name__ in _BY_NAME:
            kind = _BY_NAME[cls.__name__]
            break
    code = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    if code is None and error.args and isinstance(error.args[0], int):
        code = error.args[0]
    message = error.args[-1] if error.args else type(error).__name__
    return kind(str(message).strip(), code)
