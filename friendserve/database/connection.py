"""A blocking connection that is reopened whenever it is lost.

    from friendserve import database

    db = database.connect("sqlite:///blog.db")
    for entry in db.query("SELECT * FROM entries WHERE author = %s", "paul"):
        print(entry.title)
    with db.transaction():
        db.execute("UPDATE entries SET views = views + 1 WHERE id = %s", 5)

Each statement blocks the thread until its answer arrives; on a loop, use
`friendserve.database.Pool`.
"""
from __future__ import absolute_import, division, print_function

import contextlib

from friendserve.database.engines import make_engine, make_mysql_engine
from friendserve.database.errors import (
    InterfaceError, OutcomeUnknown, ProgrammingError, Unavailable, translate)
from friendserve.log import gen_log
from friendserve.platform.pollers.clock import monotonic_time

#: Seconds without use after which a connection is reopened; MySQL drops idle ones after 8 hours.
MAX_IDLE_TIME = 7 * 3600

#: Seconds without use after which a connection is checked before it is used again.
CHECK_AFTER = 5

#: Rows that `iter` fetches at a time.
_CHUNK = 100

_LOST_INSIDE = "the connection was lost in a transaction, which the database has then rolled back"


class Row(dict):
    """A row: a dict of its columns, which are attributes as well."""
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("no column %r; the columns are: %s"
                                 % (name, ", ".join(sorted(self))))


def connect(url, max_idle_time=MAX_IDLE_TIME, timeout=None):
    """A Connection to the database of a URL. It is opened when it is first used.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``, ``sqlite://:memory:``,
    ``mysql://user:password@host:port/name`` (or with ``?unix_socket=/path``), or
    ``postgresql://user:password@host:port/name``. Raises ValueError for any other URL, ImportError
    if the driver is not installed.
    """
    return Connection.over(make_engine(url), max_idle_time, timeout)


class Connection(object):
    """A connection, for one thread at a time. Made by `connect`; the constructor is that of Tornado
    1.0, for MySQL only: `host` is "localhost:3306" or the path of a socket.

    A statement has ``%s`` for each parameter, and if it has any parameters, ``%%`` for a percent
    sign. Each statement is committed on its own, except inside a `transaction`.

    A connection that was lost while idle is reopened by the next statement. A statement that was
    sent is never sent again, not even a SELECT, which may call functions that write: when the
    connection is lost before its answer arrives, or the time limit passes, it raises
    OutcomeUnknown, because there is no way to tell whether it was carried out. While the database
    cannot be reached, Unavailable is raised. `timeout` is how many seconds the driver waits for an
    answer.
    """
    def __init__(self, host, database, user=None, password=None, max_idle_time=MAX_IDLE_TIME,
                 timeout=None):
        self._set_up(make_mysql_engine(host, database, user, password), max_idle_time, timeout)

    @classmethod
    def over(cls, engine, max_idle_time=MAX_IDLE_TIME, timeout=None):
        """A connection to the database of an `engines.Engine`."""
        connection = cls.__new__(cls)
        connection._set_up(engine, max_idle_time, timeout)
        return connection

    def _set_up(self, engine, max_idle_time, timeout):
        self._engine = engine
        self.max_idle_time = max_idle_time
        self._timeout = timeout
        self._connection = None         # the driver's; None while closed
        self._last_use = 0              # by monotonic_time, of an open connection
        self._in_transaction = False

    # Reading

    def query(self, query, *parameters):
        """All rows, as a list of Row."""
        return self._run(query, parameters, _fetch_all)

    def get(self, query, *parameters):
        """The only row, or None if there is none. Raises ProgrammingError if there are more."""
        rows = self.query(query, *parameters)
        if len(rows) > 1:
            raise ProgrammingError("get() expects at most one row, not %d" % len(rows))
        return rows[0] if rows else None

    def iter(self, query, *parameters):
        """An iterator over the rows. Run no other statement before it is exhausted or closed."""
        cursor = self._run(query, parameters, None)
        try:
            make_row = _row_maker(cursor)
            rows = self._fetch_some(cursor)
            while rows:
                for row in rows:
                    yield make_row(row)
                rows = self._fetch_some(cursor)
        finally:
            cursor.close()

    def _fetch_some(self, cursor):
        with self._errors(True):
            return cursor.fetchmany(_CHUNK)

    # Writing

    def execute(self, query, *parameters):
        """The same as `execute_lastrowid`."""
        return self.execute_lastrowid(query, *parameters)

    def execute_lastrowid(self, query, *parameters):
        """Run a statement; returns the id that the database gave to the inserted row. PostgreSQL
        does not report one: add ``RETURNING id`` there and use `get`."""
        return self._run(query, parameters, _last_id)

    def execute_rowcount(self, query, *parameters):
        """Run a statement; returns the number of rows matched, including those that already had the
        new values."""
        return self._run(query, parameters, lambda cursor: cursor.rowcount)

    def executemany(self, query, parameters):
        """Run a statement once for each list in `parameters`, in one transaction; the same as
        `executemany_lastrowid`."""
        return self.executemany_lastrowid(query, parameters)

    def executemany_lastrowid(self, query, parameters):
        """As `executemany`; returns the id of the row inserted last."""
        return self._run_many(query, parameters)[0]

    def executemany_rowcount(self, query, parameters):
        """As `executemany`; returns the sum of the row counts of `execute_rowcount`."""
        return self._run_many(query, parameters)[1]

    def _run_many(self, statement, parameters):
        if self._in_transaction:
            return self._run_each(statement, parameters)
        with self.transaction():
            return self._run_each(statement, parameters)

    def _run_each(self, statement, parameters):
        last, count = None, 0
        for one in parameters:
            last, changed = self._run(statement, tuple(one),
                                      lambda cursor: (_last_id(cursor), cursor.rowcount))
            count += changed
        return last, count

    @contextlib.contextmanager
    def transaction(self):
        """A context manager that commits its statements as one, or rolls them back if an exception
        leaves it. Raises OutcomeUnknown if the connection is lost while committing."""
        if self._in_transaction:
            raise InterfaceError("a transaction cannot begin inside another")
        self._ensure_open()
        with self._errors(False):
            self._engine.begin(self._connection)
        self._in_transaction = True
        try:
            yield self
        except BaseException:
            self._end("rollback")
            raise
        self._end("commit")

    def _end(self, how):
        connection, self._in_transaction = self._connection, False
        if connection is None:
            # The connection was lost in the transaction. A rollback has nothing left to do, and the
            # exception that caused it is being raised already.
            if how == "commit":
                raise OutcomeUnknown(_LOST_INSIDE)
            return
        try:
            with self._errors(how == "commit"):
                getattr(connection, how)()
                self._engine.end(connection)
        except Exception:
            # The transaction may still be open: statements that follow would be lost with it.
            self._drop()
            if how == "commit":
                raise
            # After a failed rollback, the exception that caused it is being raised already.

    def end_open_transaction(self):
        """Roll back a transaction that was left open, by a statement (BEGIN) or by `transaction`;
        returns whether there was one. A connection for which that fails is closed, which has the
        same effect."""
        was_open = self._in_transaction
        if was_open:
            self._end("rollback")
        if self._connection is None:
            return was_open
        try:
            return self._engine.undo(self._connection) or was_open
        except self._engine.error as error:
            gen_log.debug("Error while rolling back on %s: %s", self._engine.place, error)
            self._drop()
            return True

    # The connection

    def close(self):
        """Close the connection; the next statement reopens it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._engine.error as error:
                gen_log.debug("Error while closing %s: %s", self._engine.place, error)

    _drop = close

    def reconnect(self):
        """Close the connection and reopen it immediately."""
        self.close()
        self._open()

    def _open(self):
        try:
            self._connection = self._engine.connect(self._timeout)
        except self._engine.error as error:
            told = translate(error)
            raise Unavailable("%s at %s cannot be reached: %s"
                              % (self._engine.name, self._engine.place, told), told.code)
        self._last_use = monotonic_time()

    def _ensure_open(self):
        if self._in_transaction:
            if self._connection is None:
                raise OutcomeUnknown(_LOST_INSIDE)
            return
        idle = monotonic_time() - self._last_use
        if self._connection is not None and idle > self.max_idle_time:
            self._drop()
        if self._connection is not None and (
                idle > CHECK_AFTER or not self._engine.is_quiet(self._connection)):
            # The server or a firewall may have dropped it in the meantime, silently or not. Once
            # the statement is sent, it is too late to notice: it could not be repeated.
            try:
                with contextlib.closing(self._connection.cursor()) as cursor:
                    cursor.execute("SELECT 1")
                    cursor.fetchall()
            except self._engine.error:
                self._drop()
        if self._connection is None:
            self._open()
        self._last_use = monotonic_time()

    def _run(self, statement, parameters, take):
        """Execute a statement; returns `take(cursor)`, or if `take` is None the cursor."""
        self._ensure_open()
        connection = self._connection
        with self._errors(self._in_transaction):
            cursor = connection.cursor()
        with self._errors(True):
            try:
                self._engine.execute(cursor, statement, parameters)
                if take is not None:
                    return take(cursor)
                taken, cursor = cursor, None
                return taken
            finally:
                if cursor is not None:
                    cursor.close()

    @contextlib.contextmanager
    def _errors(self, is_unknown):
        """A context manager that translates errors of the driver. `is_unknown` is whether a lost
        connection or a time limit leaves the outcome unknown."""
        try:
            yield
        except self._engine.error as error:
            told = translate(error)
            if self._engine.is_lost(error):
                self._drop()
                kind = OutcomeUnknown if is_unknown else Unavailable
                told = kind("the connection to %s at %s was lost: %s"
                            % (self._engine.name, self._engine.place, told), told.code)
            elif is_unknown and self._engine.is_cut_off(error):
                told = OutcomeUnknown("%s at %s ended the statement: %s"
                                      % (self._engine.name, self._engine.place, told), told.code)
            elif self._engine.is_busy(error):
                told = Unavailable("%s is busy (%s); nothing was done"
                                   % (self._engine.place, told), told.code)
            raise told


def _fetch_all(cursor):
    if cursor.description is None:
        return []
    return list(map(_row_maker(cursor), cursor.fetchall()))


def _last_id(cursor):
    # Optional in PEP 249.
    return getattr(cursor, "lastrowid", None)


def _row_maker(cursor):
    names = [column[0] for column in cursor.description]
    return lambda row: Row(zip(names, row))
