"""The differences between SQLite, MySQL and PostgreSQL.

An engine is made from a URL. It connects, and translates statements with ``%s`` into the form its
driver expects; everything else is the same for all three, thanks to PEP 249.
"""
from __future__ import absolute_import, division, print_function

import contextlib
import importlib
import re
import select
import sqlite3

import six
from six.moves.urllib.parse import parse_qsl, unquote, urlsplit

from friendserve.database.errors import DataError, ProgrammingError, sql_state

try:
    import pymysql as mysql_driver
except ImportError:
    try:
        import MySQLdb as mysql_driver
    except ImportError:
        mysql_driver = None
try:
    import psycopg2 as postgresql_driver
except ImportError:
    try:
        import psycopg as postgresql_driver
    except ImportError:
        postgresql_driver = None

try:
    _converters = importlib.import_module(mysql_driver.__name__ + ".converters").conversions
    _constants = importlib.import_module(mysql_driver.__name__ + ".constants").FIELD_TYPE
except (ImportError, AttributeError):
    _converters, _constants = {}, None

#: The conversions of MySQL's driver, from and to Python, as a dict that a program may change before
#: it connects, and the types of text and binary columns. For programs written for Tornado.
CONVERSIONS = dict(_converters)
field_types = [getattr(_constants, name) for name in ("BLOB", "STRING", "VAR_STRING", "VARCHAR")
               if hasattr(_constants, name)]

#: Seconds for which an SQLite statement waits for other writers.
BUSY_SECONDS = 30

_URLS = ("sqlite:///relative/path.db, sqlite:////absolute/path.db, sqlite://:memory:, "
         "mysql://user:password@host:3306/name or postgresql://user:password@host:5432/name")


def make_engine(url):
    """The engine for a URL. Raises ValueError for an invalid URL, ImportError if its driver is not
    installed."""
    scheme, separator, rest = url.partition("://")
    kind = _ENGINES.get(scheme) if separator else None
    if kind is None:
        # The URL is not shown: it may contain a password.
        raise ValueError("a database URL looks like %s%s" % (
            _URLS, "; %r is not supported" % scheme[:20] if separator else ""))
    return kind(url, rest)


def make_mysql_engine(host, database, user, password):
    """The engine for the arguments of Tornado 1.0's `Connection`: `host` is "name", "name:port" or
    the path of a Unix socket."""
    engine = make_engine("mysql://localhost/" + database)
    engine.database, engine.user, engine.password = database, user, password
    if "/" in host:
        engine.options["unix_socket"] = host
    else:
        engine.host, _, port = host.partition(":")
        engine.port = int(port) if port else engine.port
    engine.place = "%s/%s" % (host, database)
    return engine


class Engine(object):
    """One kind of database, and how to reach one. `error` is the base class of its driver's errors,
    and `place` names the database in messages, without the password."""
    name = None
    driver = None

    def connect(self, timeout=None):
        """A new connection of the driver, in autocommit mode. `timeout` is how many seconds it
        waits for an answer; None means no limit."""
        raise NotImplementedError()

    def translate(self, statement):
        """A statement with ``%s`` for its parameters, in the form the driver expects."""
        return statement

    def execute(self, cursor, statement, parameters):
        """Run a statement. Without parameters, a percent sign in it has no special meaning."""
        if parameters:
            try:
                cursor.execute(self.translate(statement), parameters)
            except (IndexError, TypeError) as error:    # from drivers that insert them themselves
                raise ProgrammingError("%d parameters do not match %r: %s"
                                       % (len(parameters), statement, error))
            except (ValueError, OverflowError) as error:
                # For PostgreSQL, a NUL in a text; for SQLite, an integer of more than 64 bits.
                raise DataError("a parameter cannot be sent to %s: %s" % (self.name, error))
        else:
            try:
                cursor.execute(self.translate(statement.replace("%", "%%")), ())
            except ValueError as error:
                raise ProgrammingError("a statement cannot be sent to %s: %s" % (self.name, error))

    def is_lost(self, error):
        """Whether an error means that the connection is unusable from now on."""
        raise NotImplementedError()

    def is_busy(self, error):
        """Whether an error means that the database was locked and nothing was done."""
        return False

    def is_cut_off(self, error):
        """Whether an error means that the server cut the statement short, because of a time limit
        or on request."""
        return False

    def is_quiet(self, connection):
        """Whether nothing has arrived on an idle connection: neither its end nor a message that
        announces it."""
        return True

    def undo(self, connection):
        """Roll back the transaction that is open, and return to autocommit mode; returns whether
        there was one."""
        raise NotImplementedError()

    def begin(self, connection):
        """Begin a transaction."""
        raise NotImplementedError()

    def end(self, connection):
        """Return to autocommit mode, after a commit or rollback."""
        raise NotImplementedError()


class SQLite(Engine):
    """A database in a file, without a server."""
    name = "sqlite"
    driver = sqlite3
    error = sqlite3.Error

    def __init__(self, url, rest):
        rest = rest.partition("?")[0]
        if rest == ":memory:":
            self.path = rest
        elif rest.startswith("/") and len(rest) > 1:
            self.path = unquote(rest[1:])
        else:
            raise ValueError("an SQLite URL looks like sqlite:///relative/path.db or "
                             "sqlite:////absolute/path.db, not %r" % url)
        self.place = self.path

    def connect(self, timeout=None):
        # Less than the caller waits, so that "busy" is reported rather than a timeout.
        wait = BUSY_SECONDS if timeout is None else min(0.9 * timeout, BUSY_SECONDS)
        connection = sqlite3.connect(
            self.path, timeout=wait, isolation_level=None, check_same_thread=False)
        if str is bytes:  # version: py2
            connection.text_factory = six.text_type
        # Close the cursors: on PyPy, an open one may keep its lock until it is collected.
        connection.execute("PRAGMA foreign_keys = ON").close()
        # So that readers need not wait for a writer. An in-memory database ignores it.
        connection.execute("PRAGMA journal_mode = WAL").close()
        return connection

    def translate(self, statement):
        return _replace_marks(statement)

    def is_lost(self, error):
        return False

    def is_busy(self, error):
        return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

    def undo(self, connection):
        if not getattr(connection, "in_transaction", True):
            return False
        try:
            connection.execute("ROLLBACK").close()
        except sqlite3.OperationalError as error:
            # The driver of Python 2 does not say so beforehand.
            if "no transaction" not in str(error):
                raise
            return False
        return True

    def begin(self, connection):
        # Take the write lock now: of two transactions that read first and then both want to write,
        # one would fail at once, however long its timeout.
        connection.execute("BEGIN IMMEDIATE").close()

    def end(self, connection):
        """Do nothing: `begin` did not leave autocommit mode."""


# A literal or a comment, or else a mark to be replaced.
_MARK = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/)|%([s%]?)""", re.DOTALL)


def _replace_marks(statement):
    """The statement with ``?`` for each ``%s`` outside of literals and comments, and ``%`` for each
    ``%%``."""
    def replace(match):
        if match.group(1) is not None:
            return match.group(1).replace("%%", "%")
        if match.group(2) == "s":
            return "?"
        if match.group(2) == "%":
            return "%"
        raise ValueError("a parameter is %s in a statement, and a percent sign is %%: "
                         + statement)
    return _MARK.sub(replace, statement)


class _Server(Engine):
    """A database that is reached over a socket."""
    port = None

    def __init__(self, url, rest):
        if self.driver is None:
            raise ImportError("%s needs a driver: python -m pip install 'friendserve[%s]'"
                              % (self.name, self.name))
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise ValueError("the port in a database URL must be a number from 0 to 65535")
        self.options = dict(parse_qsl(parts.query))
        self.host = parts.hostname or "localhost"
        self.port = port or self.port
        self.user = unquote(parts.username or "") or None
        self.password = unquote(parts.password or "") or None
        self.database = unquote(parts.path.lstrip("/"))
        if not self.database:
            raise ValueError("a database URL must end in the database's name: %s://host/name"
                             % self.name)
        self.place = "%s:%d/%s" % (self.host, self.port, self.database)
        self.error = self.driver.Error

    def fileno(self, connection):
        """The file descriptor of an open connection of the driver."""
        return connection.fileno()

    def is_quiet(self, connection):
        try:
            return not _is_readable(self.fileno(connection))
        except (AttributeError, EnvironmentError, ValueError, select.error, self.error):
            # It is closed, or the driver does not give access to its socket.
            return False


def _is_readable(fd):
    """Whether bytes, or the end, have arrived at a socket."""
    if hasattr(select, "poll"):
        # `select` is limited to the descriptors below 1024.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fd], [], [], 0)[0])


#: CLIENT_FOUND_ROWS of the protocol: the row count includes matched rows that already had the new
#: values, as with other databases.
_FOUND_ROWS = 2

#: ER_UNKNOWN_SYSTEM_VARIABLE.
_UNKNOWN_VARIABLE = 1193


class MySQL(_Server):
    """MySQL or MariaDB."""
    name = "mysql"
    driver = mysql_driver
    port = 3306

    #: Errors after which the connection is unusable: CR_SERVER_GONE_ERROR, CR_SERVER_LOST,
    #: ER_SERVER_SHUTDOWN, CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR, and 0, pymysql's code for a
    #: connection that it has closed.
    _LOST = frozenset((0, 2002, 2003, 2006, 2013, 2014, 2055, 1053, 1927))

    #: Errors that cut a statement short: ER_QUERY_INTERRUPTED (KILL QUERY), and the time limits of
    #: MariaDB (ER_STATEMENT_TIMEOUT) and MySQL (ER_QUERY_TIMEOUT). With tables that have no
    #: transactions, a part of it may have been carried out.
    _CUT_OFF = frozenset((1317, 1969, 3024))

    #: SERVER_STATUS_IN_TRANS and SERVER_STATUS_AUTOCOMMIT of the protocol.
    _IN_TRANSACTION, _AUTOCOMMIT = 1, 2

    #: Whether the driver uses the argument names of pymysql, which older versions of MySQLdb lack.
    _has_long_names = driver is not None and driver.__name__ == "pymysql"

    def connect(self, timeout=None):
        database, password = ("database", "password") if self._has_long_names else ("db", "passwd")
        arguments = {"host": self.host, "port": self.port, "user": self.user,
                     database: self.database, "charset": "utf8mb4", "use_unicode": True,
                     "connect_timeout": 10, "autocommit": True, "client_flag": _FOUND_ROWS,
                     "init_command": "SET time_zone = '+0:00', sql_mode = 'TRADITIONAL'"}
        if timeout is not None:
            arguments["read_timeout"] = arguments["write_timeout"] = int(timeout) or 1
        if CONVERSIONS != _converters:
            arguments["conv"] = CONVERSIONS
        if self.password:
            arguments[password] = self.password
        if "unix_socket" in self.options:
            arguments["unix_socket"] = self.options["unix_socket"]
        return self.driver.connect(**arguments)

    def is_lost(self, error):
        if isinstance(error, self.driver.InterfaceError):
            return True
        return isinstance(error, self.driver.OperationalError) and bool(error.args) and \
            error.args[0] in self._LOST

    def is_cut_off(self, error):
        return bool(error.args) and error.args[0] in self._CUT_OFF

    def fileno(self, connection):
        # pymysql has no method for it.
        return getattr(connection, "_sock", connection).fileno()

    def undo(self, connection):
        status = getattr(connection, "server_status", None)
        if status is None:
            return self._undo_unseen(connection)
        is_open = bool(status & self._IN_TRANSACTION)
        if is_open:
            connection.rollback()
        if not status & self._AUTOCOMMIT:
            # After "SET autocommit = 0", all further statements would be one transaction without
            # end.
            connection.autocommit(True)
        return is_open

    def _undo_unseen(self, connection):
        """Like `undo`, for MySQLdb, which does not pass on what the server says about transactions:
        the server is asked. Only MariaDB answers; on MySQL, a transaction is rolled back without
        notice."""
        is_open, may_be_open = False, True
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                try:
                    cursor.execute("SELECT @@in_transaction")
                    is_open = may_be_open = cursor.fetchone()[0] == 1
                except self.error as error:
                    if error.args[:1] != (_UNKNOWN_VARIABLE,):
                        raise
            if may_be_open:
                connection.rollback()
            if not connection.get_autocommit():
                connection.autocommit(True)
        except self.error:
            # Lost, and with it the transaction, if there was one.
            connection.close()
        return is_open

    def begin(self, connection):
        connection.autocommit(False)
        connection.begin() if hasattr(connection, "begin") else connection.query("BEGIN")

    def end(self, connection):
        connection.autocommit(True)


def _libpq_version():
    """The version of PostgreSQL's client library: 120000 for 12.0."""
    if hasattr(postgresql_driver, "pq"):
        return postgresql_driver.pq.version()
    return postgresql_driver.extensions.libpq_version()


#: PQTRANS_IDLE and PQTRANS_UNKNOWN of libpq: outside a transaction, and without a connection.
_PG_IDLE, _PG_UNKNOWN = 0, 4


class PostgreSQL(_Server):
    """PostgreSQL."""
    name = "postgresql"
    driver = postgresql_driver
    port = 5432

    def connect(self, timeout=None):
        arguments = dict(self.options, dbname=self.database, user=self.user,
                         password=self.password, port=self.port)
        arguments.setdefault("host", self.host)
        arguments.setdefault("connect_timeout", 10)
        if timeout is not None:
            # Both in milliseconds: how long a statement may take, and how long our data may stay
            # unacknowledged.
            milliseconds = int(timeout * 1000) or 1
            arguments.setdefault("options", "-c statement_timeout=%d" % milliseconds)
            if _libpq_version() >= 120000:
                arguments.setdefault("tcp_user_timeout", milliseconds)
        connection = self.driver.connect(**dict(
            (name, value) for name, value in arguments.items() if value is not None))
        connection.autocommit = True
        if six.PY2:  # version: py2
            extensions = self.driver.extensions
            extensions.register_type(extensions.UNICODE, connection)
            connection.set_client_encoding("UTF8")
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
        return connection

    def is_lost(self, error):
        state = sql_state(error)
        if state:
            # 57P: the server is shutting down, or an administrator closed the connection.
            return state.startswith("57P")
        return isinstance(error, (self.driver.OperationalError, self.driver.InterfaceError))

    def is_cut_off(self, error):
        # QUERY_CANCELED, by statement_timeout as well.
        return sql_state(error) == "57014"

    def undo(self, connection):
        # libpq knows it from the last answer of the server.
        if connection.info.transaction_status in (_PG_IDLE, _PG_UNKNOWN):
            return False
        # Not `rollback`, which in autocommit mode does nothing.
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        return True

    def begin(self, connection):
        connection.autocommit = False

    def end(self, connection):
        connection.autocommit = True


_ENGINES = {"sqlite": SQLite, "mysql": MySQL, "mariadb": MySQL, "postgresql": PostgreSQL,
            "postgres": PostgreSQL}
