"""A connection that asks, gets rows, and comes back by itself.

    from friendserve import database

    db = database.connect("sqlite:///blog.db")
    for entry in db.query("SELECT * FROM entries WHERE author = %s", "paul"):
        print(entry.title)
    with db.transaction():
        db.execute("UPDATE entries SET views = views + 1 WHERE id = %s", 5)

Each statement blocks the thread until it is answered; `friendserve.database.Pool` is for the loop.
"""
from __future__ import absolute_import, division, print_function

import contextlib

from friendserve.database.engines import make_engine
from friendserve.database.errors import (
    InterfaceError, OutcomeUnknown, ProgrammingError, Unavailable, translate)
from friendserve.log import gen_log
from friendserve.platform.pollers.clock import monotonic_time

#: Seconds after which a connection is made anew: servers drop idle ones after eight hours.
MAX_IDLE_TIME = 7 * 3600

#: Seconds after which a connection is asked whether it is there still, before it is used.
CHECK_AFTER = 5

#: Rows that are taken at once while they are iterated over.
_CHUNK = 100


class Row(dict):
    """A row: a dict of its columns, which are attributes, too."""
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("there is no column %r; there are: %s"
                                 % (name, ", ".join(sorted(self))))


def connect(url, max_idle_time=MAX_IDLE_TIME, timeout=None):
    """A Connection to the database of a URL, which is opened when it is first used.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``, ``sqlite://:memory:``,
    ``mysql://user:password@host:port/name`` (or with ``?unix_socket=/path``), or
    ``postgresql://user:password@host:port/name``. Raises ValueError for another URL, ImportError
    where the driver is not installed.
    """
    return Connection(make_engine(url), max_idle_time=max_idle_time, timeout=timeout)


class Connection(object):
    """A connection, for one thread at a time. Made by `connect`, or as in 2009 from the host
    ("localhost:3306" or the path of a socket), name, user and password of a MySQL database.

    A statement has ``%s`` for each parameter, and ``%%`` for a percent sign where it has any
    parameters. Every statement is committed by itself, but in a `transaction`.

    When the connection was lost, the next statement opens it again. The statement that found
    out raises OutcomeUnknown, for nobody can say whether it was carried out; only one that begins
    with SELECT is asked again, outside of transactions. Unavailable is raised while the database
    cannot be reached. `timeout`, in seconds, is what the driver is told to wait for an answer.
    """
    def __init__(self, host, database=None, user=None, password=None,
                 max_idle_time=MAX_IDLE_TIME, timeout=None):
        if database is not None:
            host = _engine_of_2009(host, database, user, password)
        self._engine = host
        self.max_idle_time = max_idle_time
        self._timeout = timeout
        self._connection = None
        self._last_use = 0
        self._in_transaction = False

    # Reading

    def query(self, statement, *parameters):
        """All rows, as a list of Row."""
        return self._run(statement, parameters, _fetch_all)

    def get(self, statement, *parameters):
        """The one row that there is, or None. Raises ProgrammingError for several."""
        rows = self.query(statement, *parameters)
        if len(rows) > 1:
            raise ProgrammingError("get() wants one row at most, and there are %d" % len(rows))
        return rows[0] if rows else None

    def iter(self, statement, *parameters):
        """An iterator over the rows. Ask for nothing else before it is done."""
        cursor = self._run(statement, parameters, None)
        try:
            make_row = _row_maker(cursor)
            rows = cursor.fetchmany(_CHUNK)
            while rows:
                for row in rows:
                    yield make_row(row)
                rows = cursor.fetchmany(_CHUNK)
        finally:
            cursor.close()

    # Writing

    def execute(self, statement, *parameters):
        """Run a statement; returns `execute_lastrowid`."""
        return self.execute_lastrowid(statement, *parameters)

    def execute_lastrowid(self, statement, *parameters):
        """The id that the database gave to an inserted row. PostgreSQL has none: say
        ``RETURNING id`` there, and `get` it."""
        return self._run(statement, parameters, _last_id)

    def execute_rowcount(self, statement, *parameters):
        """How many rows the statement met; one that had the new values already counts."""
        return self._run(statement, parameters, lambda cursor: cursor.rowcount)

    def executemany(self, statement, parameters):
        """Run a statement for each of the lists in `parameters`, in one transaction."""
        return self.executemany_lastrowid(statement, parameters)

    def executemany_lastrowid(self, statement, parameters):
        """As `executemany`, with what `execute_lastrowid` returns for the last."""
        return self._run_many(statement, parameters)[0]

    def executemany_rowcount(self, statement, parameters):
        """As `executemany`, with what `execute_rowcount` returns for all together."""
        return self._run_many(statement, parameters)[1]

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
        """A context manager: what is executed in it is done as one, or not at all when an
        exception leaves it. Raises OutcomeUnknown when the connection is lost in the end."""
        if self._in_transaction:
            raise InterfaceError("a transaction cannot begin within another")
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
            # It was lost on the way, and the exception that says so is on its way.
            if how == "commit":
                raise OutcomeUnknown("the connection was lost within a transaction, "
                                     "which the database has then undone")
            return
        try:
            with self._errors(how == "commit"):
                getattr(connection, how)()
                self._engine.end(connection)
        except Exception:
            # It may be in the midst of the transaction still: what came next would be lost with it.
            self._drop()
            if how == "commit":
                raise
            # Else what failed is being told already.

    # The connection

    def close(self):
        """Close it; the next statement opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._engine.error as error:
                gen_log.debug("Error while closing %s: %s", self._engine.place, error)

    _drop = close

    def reconnect(self):
        """Close the connection and open it again."""
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
                raise OutcomeUnknown("the connection was lost within a transaction, "
                                     "which the database has then undone")
            return
        idle = monotonic_time() - self._last_use
        if self._connection is not None and idle > self.max_idle_time:
            self._drop()
        if self._connection is not None and idle > CHECK_AFTER:
            # A server or firewall may have dropped it meanwhile, without a word.
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
        """Execute a statement; returns `take(cursor)`, or the cursor where that is None."""
        is_select = statement.lstrip("( \t\r\n")[:6].upper() == "SELECT"
        again = is_select and not self._in_transaction
        while True:
            self._ensure_open()
            connection = self._connection
            try:
                with self._errors(not is_select or self._in_transaction):
                    cursor = connection.cursor()
                    try:
                        self._engine.execute(cursor, statement, parameters)
                        if take is not None:
                            return take(cursor)
                        taken, cursor = cursor, None
                        return taken
                    finally:
                        if cursor is not None:
                            cursor.close()
            except Unavailable:
                if not again or self._connection is not None:
                    raise
                again = False

    @contextlib.contextmanager
    def _errors(self, is_unknown):
        """Turns errors of the driver into ours. `is_unknown`: whether a lost connection leaves
        open what was done."""
        try:
            yield
        except self._engine.error as error:
            told = translate(error)
            if self._engine.is_lost(error):
                self._drop()
                kind = OutcomeUnknown if is_unknown else Unavailable
                told = kind("the connection to %s at %s was lost: %s"
                            % (self._engine.name, self._engine.place, told), told.code)
            elif self._engine.is_busy(error):
                told = Unavailable("%s is in use by others: %s; nothing was done"
                                   % (self._engine.place, told), told.code)
            raise told


def _fetch_all(cursor):
    if cursor.description is None:
        return []
    return list(map(_row_maker(cursor), cursor.fetchall()))


def _last_id(cursor):
    # PEP 249 lets a driver do without.
    return getattr(cursor, "lastrowid", None)


def _row_maker(cursor):
    names = [column[0] for column in cursor.description]
    return lambda row: Row(zip(names, row))


def _engine_of_2009(host, database, user, password):
    engine = make_engine("mysql://localhost/" + database)
    engine.database, engine.user, engine.password = database, user, password
    if "/" in host:
        engine.options["unix_socket"] = host
    else:
        engine.host, _, port = host.partition(":")
        engine.port = int(port) if port else engine.port
    engine.place = "%s/%s" % (host, database)
    return engine
