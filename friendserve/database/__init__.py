"""Databases: SQLite, MySQL or MariaDB, and PostgreSQL under one small interface.

    from friendserve import database

    db = database.connect("sqlite:///blog.db")          # blocks; rows have attributes
    for entry in db.query("SELECT * FROM entries WHERE author = %s", "paul"):
        print(entry.title)

    pool = database.Pool("sqlite:///blog.db")           # does not block the loop
    pool.query("SELECT * FROM entries", callback=on_entries)

SQLite is part of Python. The others need a driver: the extras `mysql` and `postgresql`.
"""
from __future__ import absolute_import, division, print_function

from friendserve.database.connection import Connection, Row, connect
from friendserve.database.errors import (
    DatabaseError, DataError, Error, IntegrityError, InterfaceError, InternalError,
    NotSupportedError, OperationalError, OutcomeUnknown, ProgrammingError, Unavailable)
from friendserve.database.pool import Pool
from friendserve.util import set_public_module

__all__ = ["Connection", "DataError", "DatabaseError", "Error", "IntegrityError",
           "InterfaceError", "InternalError", "NotSupportedError", "OperationalError",
           "OutcomeUnknown", "Pool", "ProgrammingError", "Row", "Unavailable", "connect"]

set_public_module(globals())
