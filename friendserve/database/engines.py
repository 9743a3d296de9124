"""What SQLite, MySQL and PostgreSQL want to be told, each in its own way.

An engine is made from a URL. It connects, and turns statements with ``%s`` into those of its
driver; all else is the same for all three, by PEP 249.
"""
from __future__ import absolute_import, division, print_function

import re
import sqlite3

import six
from six.moves.urllib.parse import parse_qsl, unquote, urlsplit

from friendserve.database.errors import DataError, ProgrammingError

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

#: Seconds for which a statement of SQLite waits for other writers.
BUSY_SECONDS = 30

_URLS = ("sqlite:///relative/path.db, sqlite:////absolute/path.db, sqlite://:memory:, "
         "mysql://user:password@host:3306/name or postgresql://user:password@host:5432/name")


def make_engine(url):
    """The engine of a URL. ValueError for a URL that is none, ImportError without its driver."""
    scheme, separator, rest = url.partition("://")
    kind = _ENGINES.get(scheme) if separator else None
    if kind is None:
        # What stands there may hold a password.
        raise ValueError("the URL of a database looks like %s%s" % (
            _URLS, "; there is no %r" % scheme[:20] if separator else ""))
    return kind(url, rest)


class Engine(object):
    """One kind of database. `error` is the base class of its driver's errors."""
    name = None
    driver = None

    def connect(self, timeout=None):
        """A new connection of the driver, which commits every statement by itself. `timeout`:
        seconds to wait for answers, None for as long as it takes."""
        raise NotImplementedError()

    def translate(self, statement):
        """A statement with ``%s`` for its parameters, as the driver takes it."""
        return statement

    def execute(self, cursor, statement, parameters):
        """Run a statement. Without parameters, a percent sign in it is nothing special."""
        if parameters:
            try:
                cursor.execute(self.translate(statement), parameters)
            except (IndexError, TypeError) as error:    # of drivers that fill them in themselves
                raise ProgrammingError("%d parameters do not fit into %r: %s"
                                       % (len(parameters), statement, error))
            except ValueError as error:
                # A NUL in a text, to PostgreSQL.
                raise DataError("a parameter cannot be sent to %s: %s" % (self.name, error))
        else:
            cursor.execute(self.translate(statement.replace("%", "%%")), ())

    def is_lost(self, error):
        """Whether an error says that the connection is of no use any more."""
        raise NotImplementedError()

    def is_busy(self, error):
        """Whether an error says that nothing was done, for others were at work."""
        return False

    def begin(self, connection):
        """Begin a transaction."""
        raise NotImplementedError()

    def end(self, connection):
        """Go back to committing every statement, after a commit or rollback."""
        raise NotImplementedError()


class SQLite(Engine):
    """The database in a file, which needs no server."""
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
            raise ValueError("a SQLite file is sqlite:///relative/path.db or "
                             "sqlite:////absolute/path.db, not %r" % url)
        self.place = self.path

    def connect(self, timeout=None):
        # Shorter than what the caller waits: that it is busy is an answer.
        wait = BUSY_SECONDS if timeout is None else min(0.9 * timeout, BUSY_SECONDS)
        connection = sqlite3.connect(
            self.path, timeout=wait, isolation_level=None, check_same_thread=False)
        if str is bytes:  # version: py2
            connection.text_factory = six.text_type
        connection.execute("PRAGMA foreign_keys = ON")
        # Readers do not wait for a writer then; in memory there is only one connection anyway.
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    def translate(self, statement):
        return _replace_marks(statement)

    def is_lost(self, error):
        return False

    def is_busy(self, error):
        return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

    def begin(self, connection):
        # Not later: two readers that both go on to write would fail, however long they wait.
        connection.execute("BEGIN IMMEDIATE")

    def end(self, connection):
        """There is nothing to go back to."""


# A literal, a comment, or what is to be replaced.
_MARK = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/)|%([s%]?)""", re.DOTALL)


def _replace_marks(statement):
    """``%s`` as ``?``, but in literals and comments, and ``%%`` as ``%`` everywhere."""
    def replace(match):
        if match.group(1) is not None:
            return match.group(1).replace("%%", "%")
        if match.group(2) == "s":
            return "?"
        if match.group(2) == "%":
            return "%"
        raise ValueError("a statement has %s for a parameter and %% for a percent sign: "
                         + statement)
    return _MARK.sub(replace, statement)


class _Server(Engine):
    """A database at the other end of a socket."""
    port = None

    def __init__(self, url, rest):
        if self.driver is None:
            raise ImportError("%s needs a driver: python -m pip install 'friendserve[%s]'"
                              % (self.name, self.name))
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise ValueError("the port in the URL of a database is a number")
        self.options = dict(parse_qsl(parts.query))
        self.host = parts.hostname or "localhost"
        self.port = port or self.port
        self.user = unquote(parts.username or "") or None
        self.password = unquote(parts.password or "") or None
        self.database = unquote(parts.path.lstrip("/"))
        if not self.database:
            raise ValueError("the URL of a database ends in its name: %s://host/name" % self.name)
        self.place = "%s:%d/%s" % (self.host, self.port, self.database)
        self.error = self.driver.Error


#: CLIENT_FOUND_ROWS of the protocol: a row counts that has the new values already, as elsewhere.
_FOUND_ROWS = 2


class MySQL(_Server):
    """MySQL or MariaDB."""
    name = "mysql"
    driver = mysql_driver
    port = 3306

    #: The server is gone or going: CR_SERVER_GONE_ERROR, CR_SERVER_LOST, ER_SERVER_SHUTDOWN,
    #: CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR, and how pymysql calls a closed connection.
    _LOST = frozenset((0, 2002, 2003, 2006, 2013, 2014, 2055, 1053, 1927))

    def connect(self, timeout=None):
        arguments = {"host": self.host, "port": self.port, "user": self.user, "db": self.database,
                     "charset": "utf8mb4", "use_unicode": True, "connect_timeout": 10,
                     "autocommit": True,
                     "client_flag": _FOUND_ROWS,
                     "init_command": "SET time_zone = '+0:00', sql_mode = 'TRADITIONAL'"}
        if timeout is not None:
            arguments["read_timeout"] = arguments["write_timeout"] = int(timeout) or 1
        if self.password:
            arguments["passwd"] = self.password
        if "unix_socket" in self.options:
            arguments["unix_socket"] = self.options["unix_socket"]
        if "passwd" in arguments and self.driver.__name__ == "pymysql":
            arguments["password"] = arguments.pop("passwd")
        if self.driver.__name__ == "pymysql":
            arguments["database"] = arguments.pop("db")
        return self.driver.connect(**arguments)

    def is_lost(self, error):
        if isinstance(error, self.driver.InterfaceError):
            return True
        return isinstance(error, self.driver.OperationalError) and bool(error.args) and \
            error.args[0] in self._LOST

    def begin(self, connection):
        connection.autocommit(False)
        connection.begin() if hasattr(connection, "begin") else connection.query("BEGIN")

    def end(self, connection):
        connection.autocommit(True)


def _libpq_version():
    """That of PostgreSQL's own library, as 120000 for 12.0."""
    if hasattr(postgresql_driver, "pq"):
        return postgresql_driver.pq.version()
    return postgresql_driver.extensions.libpq_version()


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
            # In milliseconds: of a statement, and of a server that does not even acknowledge.
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
        return isinstance(error, (self.driver.OperationalError, self.driver.InterfaceError)) and \
            not getattr(error, "pgcode", getattr(error, "sqlstate", None)) or \
            (getattr(error, "pgcode", getattr(error, "sqlstate", None)) or "").startswith("57P")

    def begin(self, connection):
        connection.autocommit = False

    def end(self, connection):
        connection.autocommit = True


_ENGINES = {"sqlite": SQLite, "mysql": MySQL, "mariadb": MySQL, "postgresql": PostgreSQL,
            "postgres": PostgreSQL}
