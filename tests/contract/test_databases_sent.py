# -*- coding: utf-8 -*-
"""What a database may be sent, and how often: on real servers, behind a relay that cuts
connections."""
from __future__ import absolute_import, division, print_function

import os
import select
import shutil
import socket
import tempfile
import threading
import unittest

from friendserve import database
from friendserve.database import engines
from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.clock import monotonic_time
from tests import PATIENCE, services
from tests.loopcase import LoopCase


class Relay(object):
    """Passes connections on to a port of loopback. After `cut_at`, bytes that a client sends, the
    server's answer to them is dropped, and the connection is closed. `seen` counts these bytes."""
    def __init__(self, port, cut_at):
        self._port = port
        self._cut_at = cut_at
        self.seen = 0
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(5)
        self.port = self._listener.getsockname()[1]
        self._threads = [self._start(self._accept)]

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args)
        thread.daemon = True
        thread.start()
        return thread

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except EnvironmentError:
                return
            server = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
            self._threads.append(self._start(self._pass_on, client, server))

    def _pass_on(self, client, server):
        is_cut = False
        try:
            while True:
                ready = select.select([client, server], [], [], PATIENCE)[0]
                for source, target in ((client, server), (server, client)):
                    if source not in ready:
                        continue
                    data = source.recv(65536)
                    if not data or source is server and is_cut:
                        return
                    if source is client and self._cut_at in data:
                        self.seen += 1
                        is_cut = True
                    target.sendall(data)
                if not ready:
                    return
        except EnvironmentError:
            pass
        finally:
            client.close()
            server.close()

    def close(self):
        """End it; connections under way are given up."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except EnvironmentError:
            pass
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)


class SentOnce(LoopCase):
    """Row B250: a statement that was sent is not sent again."""
    service = None
    make_pay = None     # the statement that defines pay(amount), a function that writes
    others = None       # a query for the ids of the other connections
    drop = None

    def setUp(self):
        self.server = services.shared(self.service)
        self.direct = database.connect(self.server.url())
        self.addCleanup(self.direct.close)
        self.direct.execute("DROP TABLE IF EXISTS ledger")
        self.direct.execute("CREATE TABLE ledger (amount INTEGER NOT NULL)" + self.table)
        self.direct.execute("DROP FUNCTION IF EXISTS pay")
        self.direct.execute(self.make_pay)

    table = ""

    def ledger(self):
        return [row.amount for row in self.direct.query("SELECT amount FROM ledger")]

    def connect(self, cut_at, **options):
        self.relay = Relay(self.server.port, cut_at)
        self.addCleanup(self.relay.close)
        db = database.connect(self.server.url().replace(
            ":%d/" % self.server.port, ":%d/" % self.relay.port), **options)
        self.addCleanup(db.close)
        return db

    def outcome(self, ask, *args):
        """What a call returns or raises."""
        try:
            return ask(*args)
        except Exception as error:
            return error

    def test_b250_a_select_whose_answer_is_lost_is_not_repeated(self):
        db = self.connect(b"pay(100")
        outcome = self.outcome(db.query, "SELECT pay(100)")
        self.assertEqual([100], self.ledger())
        self.assertEqual(1, self.relay.seen)
        self.assertIsInstance(outcome, database.OutcomeUnknown)
        self.assertEqual(1, db.get("SELECT 1 AS one").one)

    def test_b250_neither_for_get_nor_iter(self):
        db = self.connect(b"pay(100")
        for ask in (db.get, lambda statement: list(db.iter(statement))):
            self.assertIsInstance(self.outcome(ask, "SELECT pay(100)"), database.OutcomeUnknown)
        self.assertEqual([100, 100], self.ledger())
        self.assertEqual(2, self.relay.seen)

    def test_b250_a_select_in_a_pool(self):
        loop = IOLoop()
        self.addCleanup(loop.close, all_fds=True)
        self.connect(b"pay(100")
        pool = database.Pool(self.server.url().replace(
            ":%d/" % self.server.port, ":%d/" % self.relay.port), io_loop=loop)
        self.addCleanup(pool.close)
        outcomes = []
        pool.query("SELECT pay(100)", callback=outcomes.append, on_error=outcomes.append)
        self.run_until(lambda: outcomes, loop)
        self.assertEqual([100], self.ledger())
        self.assertIsInstance(outcomes[0], database.OutcomeUnknown)

    def test_b251_a_connection_lost_while_idle_is_replaced_before_anything_is_sent(self):
        db = database.connect(self.server.url())
        self.addCleanup(db.close)
        for statement in ("SELECT pay(1)", "INSERT INTO ledger VALUES (2)"):
            db.query("SELECT 1 AS one")
            self.drop_others()
            outcome = self.outcome(db.query, statement)
            self.assertNotIsInstance(outcome, Exception)
        with db.transaction():
            db.query("SELECT 1 AS one")
        self.drop_others()
        with db.transaction():
            db.execute("INSERT INTO ledger VALUES (3)")
        self.assertEqual([1, 2, 3], self.ledger())

    def drop_others(self):
        for row in self.direct.query(self.others):
            self.outcome(self.direct.query, self.drop % row.id)
        deadline = monotonic_time() + PATIENCE
        while self.direct.query(self.others):
            self.assertLess(monotonic_time(), deadline)


class LeftOpen(LoopCase):
    """Row B252: a job of a pool leaves no transaction to the jobs that follow."""
    begin = ("BEGIN",)

    def setUp(self):
        super(LeftOpen, self).setUp()
        self.loop = IOLoop()
        self.addCleanup(self.loop.close, all_fds=True)
        self.pool = database.Pool(self.url(), threads=1, io_loop=self.loop)
        self.addCleanup(self.stop)
        self.other = database.connect(self.url())
        self.addCleanup(self.other.close)
        self.other.execute("DROP TABLE IF EXISTS kept")
        self.other.execute("CREATE TABLE kept (number INTEGER NOT NULL)")

    def stop(self):
        ended = []
        self.pool.close(lambda: ended.append(True))
        self.run_until(lambda: ended)

    def result(self, ask, *args):
        results = []
        ask(*args, callback=results.append, on_error=results.append)
        self.run_until(lambda: results)
        return results[0]

    def kept(self):
        return [row.number for row in self.other.query("SELECT number FROM kept ORDER BY number")]

    def insert(self, number):
        self.result(self.pool.execute, "INSERT INTO kept VALUES (%s)", number)

    def check(self):
        self.insert(10)
        self.assertEqual([10], self.kept())
        self.result(self.pool.transaction, lambda db: db.execute("INSERT INTO kept VALUES (11)"))
        self.assertEqual([10, 11], self.kept())

    def test_b252_begin_as_a_statement(self):
        for statement in self.begin:
            self.other.execute("DELETE FROM kept")
            error = self.result(self.pool.execute, statement)
            self.check()
            self.assertIsInstance(error, database.InterfaceError)
            self.assertIn("transaction()", str(error))

    def test_b252_begin_in_a_function(self):
        def work(db):
            db.execute("BEGIN")
            db.execute("INSERT INTO kept VALUES (1)")
            return "done"

        error = self.result(self.pool.run, work)
        self.check()
        self.assertIsInstance(error, database.InterfaceError)

    def test_b252_a_job_that_fails_keeps_its_error(self):
        def work(db):
            db.execute("BEGIN")
            db.execute("INSERT INTO kept VALUES (1)")
            raise KeyError("a mistake")

        error = self.result(self.pool.run, work)
        self.check()
        self.assertIsInstance(error, KeyError)

    def test_b252_a_statement_that_fails_in_it(self):
        def work(db):
            db.execute("BEGIN")
            db.execute("INSERT INTO nowhere VALUES (1)")

        error = self.result(self.pool.run, work)
        self.check()
        self.assertIsInstance(error, database.DatabaseError)

    def test_b252_a_transaction_that_was_entered_and_never_left(self):
        entered = []

        def work(db):
            entered.append(db.transaction())
            entered[0].__enter__()
            db.execute("INSERT INTO kept VALUES (1)")

        error = self.result(self.pool.run, work)
        self.check()
        self.assertIsInstance(error, database.InterfaceError)

    def test_b252_jobs_that_end_their_transaction_are_left_alone(self):
        def work(db):
            first = db._connection
            db.execute("BEGIN")
            db.execute("INSERT INTO kept VALUES (1)")
            db.execute("COMMIT")
            return first

        self.result(self.pool.query, "SELECT 1")
        first = self.result(self.pool.run, work)
        self.assertEqual([1], self.kept())
        self.assertIs(first, self.result(self.pool.run, lambda db: db._connection))


class SQLiteTest(LeftOpen, unittest.TestCase):
    begin = ("BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s")

    def url(self):
        return "sqlite:///" + self.path

    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, "test.db")
        super(SQLiteTest, self).setUp()

    def test_b252_a_database_in_memory_is_kept(self):
        self.stop()
        self.pool = database.Pool("sqlite://:memory:", io_loop=self.loop)
        self.result(self.pool.execute, "CREATE TABLE kept (number INTEGER)")
        self.insert(1)
        self.result(self.pool.execute, "BEGIN")
        self.insert(2)
        self.assertEqual([1, 2], [row.number for row in self.result(
            self.pool.query, "SELECT number FROM kept ORDER BY number")])

    def test_b253_an_error_while_rows_are_fetched_is_translated(self):
        self.other.executemany("INSERT INTO kept VALUES (%s)",
                               [[number] for number in range(250)])
        self.other.execute("INSERT INTO kept VALUES (-9223372036854775808)")
        with self.assertRaises(Exception) as caught:
            list(self.other.iter("SELECT abs(number) FROM kept ORDER BY number DESC"))
        self.assertIsInstance(caught.exception, database.DatabaseError)


if engines.mysql_driver is not None:
    @services.needs(services.MariaDB)
    class MariaDBSentTest(SentOnce, unittest.TestCase):
        service = services.MariaDB
        # Without transactions, so that each run is seen, even one that was interrupted.
        table = " ENGINE=MyISAM"
        make_pay = ("CREATE FUNCTION pay(amount INT) RETURNS INT MODIFIES SQL DATA BEGIN "
                    "INSERT INTO ledger VALUES (amount); RETURN amount; END")
        others = ("SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND "
                  "user = 'friend'")
        drop = "KILL %d"

        def test_b250_a_time_limit_of_the_driver(self):
            db = self.connect(b"nothing", timeout=1)
            outcome = self.outcome(db.query, "SELECT pay(100), SLEEP(20)")
            self.assertEqual([100], self.ledger())
            self.assertIsInstance(outcome, database.OutcomeUnknown)
            self.drop_others()

        def test_b250_a_time_limit_of_the_server(self):
            db = self.connect(b"nothing")
            db.execute("DROP FUNCTION IF EXISTS pay_slowly")
            db.execute("CREATE FUNCTION pay_slowly(amount INT) RETURNS INT MODIFIES SQL DATA BEGIN "
                       "INSERT INTO ledger VALUES (amount); "
                       "WHILE 1 DO SET @x = 1; END WHILE; RETURN 1; END")
            db.execute("SET max_statement_time = 0.1")
            outcome = self.outcome(db.query, "SELECT pay_slowly(100)")
            self.assertEqual([100], self.ledger())
            self.assertIsInstance(outcome, database.OutcomeUnknown)
            self.assertEqual(1, db.get("SELECT 1 AS one").one)

    @services.needs(services.MariaDB)
    class MariaDBLeftOpenTest(LeftOpen, unittest.TestCase):
        begin = ("BEGIN", "START TRANSACTION WITH CONSISTENT SNAPSHOT")

        def url(self):
            return services.shared(services.MariaDB).url()

        def test_b252_autocommit_switched_off(self):
            self.result(self.pool.execute, "SET autocommit = 0")
            self.check()

if engines.postgresql_driver is not None:
    @services.needs(services.PostgreSQL)
    class PostgreSQLSentTest(SentOnce, unittest.TestCase):
        service = services.PostgreSQL
        make_pay = ("CREATE FUNCTION pay(amount INTEGER) RETURNS INTEGER LANGUAGE SQL AS "
                    "'INSERT INTO ledger VALUES (amount) RETURNING amount'")
        others = ("SELECT pid AS id FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                  "backend_type = 'client backend'")
        drop = "SELECT pg_terminate_backend(%d)"

        def test_b250_a_time_limit_of_the_server(self):
            db = self.connect(b"nothing", timeout=0.2)
            outcome = self.outcome(db.query, "SELECT pay(100), pg_sleep(20)")
            self.assertEqual([], self.ledger())
            self.assertIsInstance(outcome, database.OutcomeUnknown)
            self.assertEqual("57014", outcome.code)
            self.assertEqual(1, db.get("SELECT 1 AS one").one)

    @services.needs(services.PostgreSQL)
    class PostgreSQLLeftOpenTest(LeftOpen, unittest.TestCase):
        begin = ("BEGIN", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE")

        def url(self):
            return services.shared(services.PostgreSQL).url()
