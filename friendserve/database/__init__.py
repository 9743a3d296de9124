"""Databases: SQLite, MySQL or MariaDB, and PostgreSQL behind one small interface.

    from friendserve import database

    db = database.connect("sqlite://:memory:")          # blocks until each answer arrives
    db.execute("CREATE TABLE entries (author TEXT, title TEXT)")
    db.execute("INSERT INTO entries VALUES (%s, %s)", "paul", "Hello")
    for entry in db.query("SELECT * FROM entries WHERE author = %s", "paul"):
        print(entry.title)                              # columns are attributes

`connect` returns a `Connection`, for scripts and threads. A server uses a `Pool`, which does not
block the loop::

    pool = database.Pool("sqlite:///blog.db")
    pool.query("SELECT * FROM entries", callback=on_entries, on_error=on_error)

The errors are those of PEP 249, the same for every database, with two more that say whether a
statement may be repeated: `Unavailable` (nothing was done) and `OutcomeUnknown` (it may have
been carried out).

SQLite comes with Python. The others need a driver: the extras `mysql` and `postgresql`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.database.connection import Connection, Row, connect
from friendserve.database.engines import CONVERSIONS, field_types
from friendserve.database.errors import (
    DatabaseError, DataError, Error, IntegrityError, InterfaceError, InternalError,
    NotSupportedError, OperationalError, OutcomeUnknown, ProgrammingError, Unavailable)
from friendserve.database.pool import Pool
from friendserve.util import set_public_module

__all__ = ["CONVERSIONS", "Connection", "DataError", "DatabaseError", "Error", "IntegrityError",
           "InterfaceError", "InternalError", "NotSupportedError", "OperationalError",
           "OutcomeUnknown", "Pool", "ProgrammingError", "Row", "Unavailable", "connect",
           "field_types"]

set_public_module(globals())
