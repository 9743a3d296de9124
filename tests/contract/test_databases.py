# -*- coding: utf-8 -*-
"""The contract of databases: one suite for SQLite, MariaDB and PostgreSQL, on real servers."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import tempfile
import sys
import threading
import unittest
import warnings

from friendserve import database
from friendserve.database import engines
from friendserve.ioloop import IOLoop
from friendserve.platform.pollers.clock import monotonic_time
from friendserve.stack_context import ExceptionStackContext
from tests import PATIENCE, services
from tests.loopcase import LogCatcher, LoopCase


class DatabaseContract(object):
    """`url()` is the URL of an empty database, `serial` the type of an automatic integer key."""
    serial = None

    def setUp(self):
        self.db = database.connect(self.url())
        self.addCleanup(self.db.close)
        self.db.execute("DROP TABLE IF EXISTS entries")
        self.db.execute("CREATE TABLE entries (id %s, title VARCHAR(200) NOT NULL UNIQUE, "
                        "views INTEGER NOT NULL DEFAULT 0)" % self.serial)

    def add(self, *titles):
        for title in titles:
            self.db.execute("INSERT INTO entries (title) VALUES (%s)", title)

    def titles(self, db=None):
        return [row.title for row in (db or self.db).query("SELECT title FROM entries ORDER BY id")]

    # Reading

    def test_rows(self):
        self.add("one", "two")
        rows = self.db.query("SELECT id, title FROM entries WHERE views = %s ORDER BY id", 0)
        self.assertEqual([{"id": 1, "title": "one"}, {"id": 2, "title": "two"}], rows)
        self.assertEqual(("one", "two"), (rows[0].title, rows[1]["title"]))
        with self.assertRaises(AttributeError) as caught:
            rows[0].name
        self.assertIn("id, title", str(caught.exception))
        self.assertEqual([], self.db.query("SELECT * FROM entries WHERE id = %s", 99))

    def test_get(self):
        self.add("one", "two")
        self.assertEqual("two", self.db.get("SELECT * FROM entries WHERE id = %s", 2).title)
        self.assertIsNone(self.db.get("SELECT * FROM entries WHERE id = %s", 3))
        with self.assertRaises(database.ProgrammingError):
            self.db.get("SELECT * FROM entries")

    def test_iter(self):
        self.db.executemany("INSERT INTO entries (title) VALUES (%s)",
                            [["title %d" % number] for number in range(250)])
        self.assertEqual(["title %d" % number for number in range(250)], [
            row.title for row in self.db.iter("SELECT title FROM entries ORDER BY id")])
        rows = self.db.iter("SELECT title FROM entries ORDER BY id")
        next(rows)
        rows.close()
        self.assertEqual(250, len(self.db.query("SELECT * FROM entries")))

    def test_text_comes_back_as_it_was(self):
        for text in (u"Grüße", u"שלום", u"\U0001f600", u"'\"\\%s%%?;--", u"", u"\\'"):
            self.db.execute("INSERT INTO entries (title) VALUES (%s)", text)
            row = self.db.get("SELECT title FROM entries WHERE title = %s", text)
            self.assertEqual(text, row.title)
            self.assertIsInstance(row.title, type(u""))

    def test_percent_signs_and_literals(self):
        self.add("100%", "%s")
        self.assertEqual("100%", self.db.get(
            "SELECT title FROM entries WHERE title LIKE '1%'").title)
        self.assertEqual("100%", self.db.get(
            "SELECT title FROM entries WHERE title LIKE '1%%' AND views = %s", 0).title)
        self.assertEqual(1, self.db.get("SELECT 5 %% 2 AS rest WHERE 1 = %s", 1).rest)
        self.assertEqual("a ? b", self.db.get("SELECT 'a ? b' AS t WHERE 1 = %s", 1).t)

    def test_none_and_numbers(self):
        row = self.db.get("SELECT %s AS missing, views FROM entries WHERE 1 = 0 UNION ALL "
                          "SELECT NULL, 5", None)
        self.assertEqual((None, 5), (row.missing, row.views))

    # Writing

    def test_what_execute_returns(self):
        self.add("one")
        if self.has_lastrowid:
            self.assertEqual(2, self.db.execute("INSERT INTO entries (title) VALUES (%s)", "two"))
        else:
            self.assertEqual(2, self.db.get(
                "INSERT INTO entries (title) VALUES (%s) RETURNING id", "two").id)
        for _ in range(2):
            # Rows that do not change count too.
            self.assertEqual(2, self.db.execute_rowcount("UPDATE entries SET views = %s", 7))
        self.assertEqual(0, self.db.execute_rowcount("DELETE FROM entries WHERE id = %s", 99))

    def test_executemany(self):
        self.assertEqual(3, self.db.executemany_rowcount(
            "INSERT INTO entries (title) VALUES (%s)", [["a"], ["b"], ("c",)]))
        self.assertEqual(["a", "b", "c"], self.titles())
        # All or nothing.
        with self.assertRaises(database.IntegrityError):
            self.db.executemany("INSERT INTO entries (title) VALUES (%s)", [["d"], ["a"]])
        self.assertEqual(["a", "b", "c"], self.titles())

    def test_each_statement_is_committed(self):
        other = database.connect(self.url())
        self.addCleanup(other.close)
        self.add("one")
        self.assertEqual(["one"], self.titles(other))

    def test_transaction(self):
        other = database.connect(self.url())
        self.addCleanup(other.close)
        with self.db.transaction():
            self.add("one")
            self.assertEqual([], self.titles(other))
            self.add("two")
            with self.assertRaises(database.InterfaceError):
                with self.db.transaction():
                    pass
        self.assertEqual(["one", "two"], self.titles(other))
        with self.assertRaises(KeyError):
            with self.db.transaction():
                self.add("three")
                raise KeyError("a mistake")
        self.assertEqual(["one", "two"], self.titles(other))
        self.add("four")
        self.assertEqual(["one", "two", "four"], self.titles(other))

    # Errors

    def test_errors_are_the_same_everywhere(self):
        self.add("one")
        for kind, statement in [
                (database.IntegrityError, "INSERT INTO entries (title) VALUES ('one')"),
                (database.DatabaseError, "SELECT * FROM nowhere"),
                (database.DatabaseError, "SELEKT 1")]:
            with self.assertRaises(kind) as caught:
                self.db.query(statement)
            self.assertTrue(str(caught.exception))
        with self.assertRaises(database.IntegrityError):
            self.add(None)
        self.assertEqual(["one"], self.titles())

    def test_wrong_number_of_parameters(self):
        with self.assertRaises(database.ProgrammingError):
            self.db.query("SELECT * FROM entries WHERE id = %s AND views = %s", 5)
        self.assertEqual([], self.titles())

    def test_close_and_reconnect(self):
        self.add("one")
        self.db.close()
        self.db.close()
        self.assertEqual(["one"], self.titles())
        self.db.reconnect()
        self.assertEqual(["one"], self.titles())

    def test_b334_the_driver_warns_of_nothing(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            db = database.connect(self.url())
            self.addCleanup(db.close)
            self.assertEqual(1, db.get("SELECT 1 AS one").one)
        self.assertEqual([], [str(warning.message) for warning in caught])

    def test_idle_connections_are_made_anew(self):
        self.add("one")
        before = self.db._connection
        self.db.max_idle_time = -1
        self.assertEqual(["one"], self.titles())
        self.assertIsNot(before, self.db._connection)


class PoolContract(LoopCase):
    """Tests of a Pool on every database."""
    def setUp(self):
        super(PoolContract, self).setUp()
        self.loop = IOLoop()
        self.loop.make_current()
        self.pool = database.Pool(self.url(), threads=3)
        self.addCleanup(self._close)

    def _close(self):
        ended = []
        self.pool.close(lambda: ended.append(True))
        self.run_until(lambda: ended)
        IOLoop.clear_current()
        self.loop.close(all_fds=True)

    def result(self, ask, *args, **options):
        """The argument passed to the callback or on_error of one call."""
        results = []
        ask(*args, callback=results.append, on_error=results.append, **options)
        self.assertEqual([], results, "called back synchronously")
        self.run_until(lambda: results)
        self.loop.run_once(0)
        self.assertEqual(1, len(results))
        return results[0]

    def test_pool_asks_and_writes(self):
        pool = self.pool
        self.result(pool.executemany, "INSERT INTO entries (title) VALUES (%s)", [["a"], ["b"]])
        self.assertEqual(["a", "b"], [row.title for row in self.result(
            pool.query, "SELECT title FROM entries ORDER BY id")])
        self.assertEqual("b", self.result(
            pool.get, "SELECT * FROM entries WHERE title = %s", "b").title)
        self.assertEqual(2, self.result(pool.execute_rowcount, "UPDATE entries SET views = 1"))
        self.assertEqual(2, self.result(pool.executemany_rowcount,
                                        "UPDATE entries SET views = %s WHERE title = %s",
                                        [[3, "a"], [2, "b"]]))
        self.result(pool.execute, "INSERT INTO entries (title) VALUES (%s)", "c")
        self.assertEqual(["a", "b", "c"], self.result(pool.run, self.titles))

    def test_pool_transactions(self):
        def work(db):
            db.execute("INSERT INTO entries (title) VALUES (%s)", "a")
            if fail:
                raise KeyError("a mistake")
            return "done"

        fail = True
        self.assertIsInstance(self.result(self.pool.transaction, work), KeyError)
        self.assertEqual([], self.titles())
        fail = False
        self.assertEqual("done", self.result(self.pool.transaction, work))
        self.assertEqual(["a"], self.titles())

    def test_pool_many_at_a_time(self):
        done = []
        for number in range(200):
            self.pool.execute("INSERT INTO entries (title) VALUES (%s)", "title %d" % number,
                              callback=done.append, on_error=self.fail)
        self.run_until(lambda: len(done) == 200)
        self.assertEqual(200, len(self.titles()))
        self.assertEqual(3, len(self.pool._threads))

    def test_pool_errors_come_home(self):
        self.assertIsInstance(self.result(self.pool.query, "SELECT * FROM nowhere"),
                              database.DatabaseError)
        caught = []
        with ExceptionStackContext(lambda *exc_info: caught.append(exc_info[1]) or True):
            self.pool.query("SELECT * FROM nowhere")
        self.run_until(lambda: caught)
        self.assertIsInstance(caught[0], database.DatabaseError)
        with LogCatcher() as records:
            self.pool.query("SELECT * FROM nowhere")
            self.run_until(lambda: records)
        with self.assertRaises(TypeError):
            self.pool.query("SELECT 1", calback=self.fail)
        # sys.exit() in a call does not end its thread.
        for _ in range(5):
            self.assertIsInstance(self.result(self.pool.run, lambda db: sys.exit()), SystemExit)

    def test_pool_without_a_thread(self):
        start = threading.Thread.start
        self.addCleanup(setattr, threading.Thread, "start", start)

        def refuse(thread):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = refuse
        with LogCatcher():
            error = self.result(self.pool.query, "SELECT 1")
        self.assertIsInstance(error, database.Unavailable)
        threading.Thread.start = start
        self.assertEqual(1, len(self.result(self.pool.query, "SELECT 1")))

    def test_pool_queue_counts_while_a_thread_is_idle(self):
        self.result(self.pool.query, "SELECT 1")
        self.pool.max_queue = 5
        errors, done = [], []
        for _ in range(500):
            self.pool.query("SELECT 1", callback=done.append, on_error=errors.append)
            self.assertLessEqual(len(self.pool._jobs), 5 + self.pool._max_threads)
        self.run_until(lambda: len(errors) + len(done) == 500)

    def test_pool_queue_is_bounded_and_time_is_over(self):
        held, go_on = [], threading.Event()
        self.addCleanup(go_on.set)

        def hold(db):
            held.append(True)
            go_on.wait(PATIENCE)
            return "late"

        results = []
        self.pool.max_queue = 2
        for count in range(1, 4):
            self.pool.run(hold, timeout=0.2, callback=results.append, on_error=results.append)
            self.run_until(lambda: len(held) == count)
        waiting = []
        for _ in range(2):
            self.pool.query("SELECT 1", timeout=0.1, callback=waiting.append,
                            on_error=waiting.append)
        full = self.result(self.pool.query, "SELECT 1")
        self.assertIsInstance(full, database.Unavailable)
        self.assertIn("2 statements are already waiting", str(full))
        self.run_until(lambda: len(waiting) == 2 and len(results) == 3)
        self.assertEqual([database.Unavailable] * 2, [type(error) for error in waiting])
        self.assertEqual([database.OutcomeUnknown] * 3, [type(error) for error in results])
        go_on.set()
        # The late results are dropped, and the threads are free again.
        self.assertEqual([], self.result(self.pool.query, "SELECT * FROM entries"))
        self.assertEqual((3, 2), (len(results), len(waiting)))

    def test_pool_close_with_work_under_way(self):
        held, go_on = threading.Event(), threading.Event()
        outcomes, ended = [], []
        pool = database.Pool(self.url(), threads=1)

        def hold(db):
            held.set()
            go_on.wait(PATIENCE)
            return "begun"

        for work in (hold, len):
            pool.run(work, callback=outcomes.append, on_error=outcomes.append)
        held.wait(PATIENCE)
        pool.close(lambda: ended.append(True))
        self.run_until(lambda: outcomes)
        self.assertIsInstance(outcomes[0], database.Unavailable)
        self.assertEqual([], ended)
        go_on.set()
        self.run_until(lambda: ended)
        self.assertEqual("begun", outcomes[1])
        with self.assertRaises(database.InterfaceError):
            pool.query("SELECT 1")

    def test_pool_and_a_loop_that_is_closed(self):
        loop = IOLoop()
        pool = database.Pool(self.url(), threads=1, io_loop=loop)
        done = threading.Event()
        pool.run(lambda db: done.wait(PATIENCE))
        loop.close()
        done.set()
        pool.close()
        pool._threads[0].join(PATIENCE)
        self.assertFalse(pool._threads[0].is_alive())


class DeferredChecks(object):
    """For databases that can defer checks to the end of a transaction, which MySQL cannot."""

    def test_a_commit_that_fails_leaves_nothing_behind(self):
        self.db.execute("CREATE TABLE owners (id INTEGER PRIMARY KEY)")
        self.db.execute("CREATE TABLE things (owner INTEGER REFERENCES owners (id) "
                        "DEFERRABLE INITIALLY DEFERRED)")
        try:
            with self.assertRaises(database.IntegrityError):
                with self.db.transaction():
                    self.db.execute("INSERT INTO things VALUES (%s)", 5)
            self.assertEqual(1, self.db.execute_rowcount("INSERT INTO owners VALUES (%s)", 77))
            self.db.close()
            self.assertEqual([77], [row.id for row in self.db.query("SELECT id FROM owners")])
            self.assertEqual([], self.db.query("SELECT * FROM things"))
            with self.db.transaction():
                self.db.execute("INSERT INTO owners VALUES (%s)", 78)
        finally:
            self.db.execute("DROP TABLE things")
            self.db.execute("DROP TABLE owners")


class SQLiteTest(DeferredChecks, PoolContract, DatabaseContract, unittest.TestCase):
    serial = "INTEGER PRIMARY KEY"
    has_lastrowid = True

    def url(self):
        return "sqlite:///" + self.path

    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, "test.db")
        super(SQLiteTest, self).setUp()

    def test_pool_of_a_file_that_another_is_writing_to(self):
        pool = database.Pool(self.url(), timeout=1)
        self.addCleanup(pool.close)
        with self.db.transaction():
            error = self.result(pool.execute, "INSERT INTO entries (title) VALUES ('late')")
            self.assertIsInstance(error, database.Unavailable)
            self.assertIn(" is busy (", str(error))
        self.assertEqual([], self.titles())
        self.result(pool.execute, "INSERT INTO entries (title) VALUES ('in time')")
        self.assertEqual(["in time"], self.titles())

    def test_in_memory(self):
        pool = database.Pool("sqlite://:memory:", threads=5)
        self.addCleanup(pool.close)
        self.result(pool.execute, "CREATE TABLE t (x INTEGER)")
        for _ in range(5):
            self.result(pool.execute, "INSERT INTO t VALUES (1)")
        self.assertEqual(5, len(self.result(pool.query, "SELECT * FROM t")))


class UrlTest(unittest.TestCase):
    def test_bad_urls_say_what_would_be_right(self):
        for url, text in [("blog.db", "sqlite:///"), ("oracle://x", "sqlite:///"),
                          ("sqlite://blog.db", "sqlite:////"), ("", "sqlite:///"),
                          ("friend:secret@host/x", "sqlite:///")]:
            with self.assertRaises(ValueError) as caught:
                database.connect(url)
            self.assertIn(text, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_marks_of_sqlite(self):
        translate = engines.make_engine("sqlite://:memory:").translate
        for statement, result in [
                ("a = %s AND b = '%s' -- %s\nAND c = %s", "a = ? AND b = '%s' -- %s\nAND c = ?"),
                ("'it''s %s' %s /* %s\n */ %%", "'it''s %s' ? /* %s\n */ %"),
                ('"%s" LIKE \'50%%\'', '"%s" LIKE \'50%\'')]:
            self.assertEqual(result, translate(statement))
        with self.assertRaises(ValueError):
            translate("%d")


class ServerContract(PoolContract, DatabaseContract):
    """Tests that need a server."""
    service = None

    def url(self):
        return services.shared(self.service).url()

    def test_a_server_that_is_not_there(self):
        port = services.shared(self.service).port
        url = self.url().replace(":%d/" % port, ":%d/" % services.free_port())
        with self.assertRaises(database.Unavailable) as caught:
            database.connect(url).query("SELECT 1")
        self.assertNotIn("p@ss", str(caught.exception))
        self.assertIn("127.0.0.1", str(caught.exception))

    def test_urls_without_a_name(self):
        with self.assertRaises(ValueError):
            database.connect(self.url().rpartition("/")[0])
        with self.assertRaises(ValueError):
            database.connect(self.url().replace("127.0.0.1:", "127.0.0.1:x"))

    def test_a_connection_that_was_dropped(self):
        self.add("one")
        self.drop_connections()
        # That is noticed before a statement is sent.
        self.assertEqual(["one"], self.titles())
        self.drop_connections()
        self.add("two")
        self.assertEqual(["one", "two"], self.titles())
        with self.assertRaises(database.OutcomeUnknown):
            with self.db.transaction():
                self.add("four")
                self.drop_connections()
                self.titles()
        self.assertNotIn("four", self.titles())

    def drop_connections(self):
        other = database.connect(self.url())
        for row in other.query(self.others):
            other.query(self.drop % row.id)
        deadline = monotonic_time() + PATIENCE
        while other.query(self.others):
            self.assertLess(monotonic_time(), deadline)
        other.close()

    def test_a_server_that_ends_under_load_loses_nothing(self):
        server = self.service()
        self.addCleanup(server.close)
        db = database.connect(server.url())
        self.addCleanup(db.close)
        db.execute("CREATE TABLE entries (id %s, title VARCHAR(200) NOT NULL)" % self.serial)
        pool = database.Pool(server.url(), threads=3, timeout=10)
        kept, failed, asked = [], [], [0]
        running = [True]

        def insert():
            if running[0]:
                asked[0] += 1
                title = "title %d" % asked[0]
                pool.execute("INSERT INTO entries (title) VALUES (%s)", title,
                             callback=lambda result: on_kept(title), on_error=on_error)

        def on_kept(title):
            kept.append(title)
            insert()

        def on_error(error):
            failed.append(error)
            self.loop.call_later(0.01, insert)

        for _ in range(6):
            insert()
        for number in range(2):
            enough = len(kept) + 100
            self.run_until(lambda: len(kept) > enough)
            server.kill() if number else server.stop()
            self.run_until(lambda: any(isinstance(error, database.Unavailable)
                                       for error in failed[-6:]))
            server.start()
        enough = len(kept) + 100
        self.run_until(lambda: len(kept) > enough)
        running[0] = False
        self.run_until(lambda: len(kept) + len(failed) == asked[0])
        stored = [row.title for row in db.query("SELECT title FROM entries")]
        self.assertEqual(set(), set(kept) - set(stored))
        self.assertEqual(len(stored), len(set(stored)), "a row appears twice")
        self.assertEqual(set(), set(type(error) for error in failed)
                         - {database.Unavailable, database.OutcomeUnknown})
        ended = []
        pool.close(lambda: ended.append(True))
        self.run_until(lambda: ended)


if engines.mysql_driver is not None:
    @services.needs(services.MariaDB)
    class MariaDBTest(ServerContract, unittest.TestCase):
        service = services.MariaDB
        serial = "INTEGER PRIMARY KEY AUTO_INCREMENT"
        has_lastrowid = True
        others = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND " \
                 "user = 'friend'"
        drop = "KILL %d"

        def test_the_constructor_of_tornado_1_0(self):
            server = services.shared(services.MariaDB)
            db = database.Connection("127.0.0.1:%d" % server.port, "test", "friend", "p@ss/word")
            self.addCleanup(db.close)
            self.assertEqual(1, db.get("SELECT 1 AS one").one)
            db = database.Connection(os.path.join(server.folder, "socket"), "test", "friend",
                                     "p@ss/word")
            with self.assertRaises(database.Unavailable):
                # The account is for 127.0.0.1 only, so the socket was found.
                db.query("SELECT 1")

if engines.postgresql_driver is not None:
    @services.needs(services.PostgreSQL)
    class PostgreSQLTest(DeferredChecks, ServerContract, unittest.TestCase):
        service = services.PostgreSQL
        serial = "SERIAL PRIMARY KEY"
        has_lastrowid = False
        others = "SELECT pid AS id FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND " \
                 "backend_type = 'client backend'"
        drop = "SELECT pg_terminate_backend(%d)"
