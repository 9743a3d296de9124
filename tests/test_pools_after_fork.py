"""Thread pools in a child made by a fork: they start threads of the child, and do nothing of what
the parent's threads are doing."""
from __future__ import absolute_import, division, print_function

import os
import shutil
import socket
import tempfile
import threading

try:
    from concurrent.futures import Future
except ImportError:  # version: py2
    Future = None

from friendserve import database
from friendserve.ioloop import IOLoop
from friendserve.ioloop.interface import ThreadPoolExecutor
from friendserve.netutil import Resolver, ThreadedResolver, resolver as resolver_module
from tests import PATIENCE
from tests.forkcase import ForkCase, no_threads
from tests.resolvercase import FakeSocketModule, ResolverCase

LOCALHOST = [(socket.AF_INET, ("127.0.0.1", 80))]


def answer_of(loop, ask, *args, **options):
    """The argument that one of the callbacks is called with, on `loop`."""
    answers = []
    ask(*args, callback=answers.append, on_error=answers.append, **options)
    for _ in range(1000):
        if answers:
            return answers[0]
        loop.run_once(PATIENCE / 1000)
    return "no answer"


class ResolverAfterForkTest(ForkCase, ResolverCase):
    def child_looks_up(self, make_resolver):
        def look_up():
            loop = IOLoop(make_current=True)
            resolver = make_resolver()
            resolver.io_loop = loop
            return answer_of(loop, resolver.resolve, "localhost", 80, socket.AF_INET)
        return self.in_child(look_up)

    def test_b290_a_resolver_of_the_parent_and_a_new_one(self):
        resolver = ThreadedResolver(num_threads=31)
        self.assertIn(LOCALHOST[0], self.resolve(resolver, "localhost", 80)[0])
        for make_resolver in (lambda: resolver, lambda: ThreadedResolver(num_threads=31)):
            self.assertEqual(str(LOCALHOST), self.child_looks_up(make_resolver))
        # The parent still has its threads.
        self.assertIn(LOCALHOST[0], self.resolve(resolver, "localhost", 80)[0])

    def test_b290_the_resolver_that_all_share(self):
        self.assertIn(LOCALHOST[0], self.resolve(Resolver(), "localhost", 80)[0])
        self.assertEqual(str(LOCALHOST), self.child_looks_up(Resolver))

    def test_b290_a_fork_while_a_thread_of_the_pool_has_its_lock(self):
        resolver = ThreadedResolver(num_threads=32)
        self.resolve(resolver, "localhost", 80)
        held, release = threading.Event(), threading.Event()

        def hold():
            with ThreadedResolver._pools[32]._changed:
                held.set()
                release.wait(PATIENCE)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(PATIENCE)
        try:
            self.assertEqual(str(LOCALHOST), self.child_looks_up(lambda: resolver))
        finally:
            release.set()
            holder.join()

    def test_b290_look_ups_of_the_parent_are_not_the_childs(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        release = threading.Event()
        self.addCleanup(release.set)
        original = socket.getaddrinfo

        def getaddrinfo(host, *args):
            # Files, since memory is not shared.
            open(os.path.join(folder, "%s %d" % (host, os.getpid())), "w").close()
            if host == "slow.test":
                release.wait(PATIENCE)
                host = "127.0.0.1"
            return original("127.0.0.1" if host == "waits.test" else host, *args)

        resolver_module.socket = FakeSocketModule(getaddrinfo)
        self.addCleanup(setattr, resolver_module, "socket", socket)
        resolver = ThreadedResolver(num_threads=1)
        found = []
        for host in ("slow.test", "waits.test"):
            resolver.resolve(host, 80, socket.AF_INET, callback=found.append)
        self.assertEqual(str(LOCALHOST), self.child_looks_up(lambda: resolver))
        release.set()
        self.run_until(lambda: len(found) == 2)
        looked_up = sorted(name.split()[0] for name in os.listdir(folder))
        self.assertEqual(["localhost", "slow.test", "waits.test"], looked_up)


if ThreadPoolExecutor is not None:
    class ExecutorAfterForkTest(ForkCase, ResolverCase):
        def run_job(self):
            """Whether a job for `run_in_executor` runs."""
            ran = threading.Event()
            self.loop.run_in_executor(None, ran.set)
            return ran.wait(PATIENCE / 2)

        def test_b290_the_default_executor(self):
            self.assertTrue(self.run_job())
            self.assertEqual("True", self.in_child(self.run_job))
            self.assertTrue(self.run_job())

        def test_b290_jobs_of_the_parent_are_not_the_childs(self):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            release, results = threading.Event(), []
            self.addCleanup(release.set)

            def job(number):
                open(os.path.join(folder, "%d %d" % (number, os.getpid())), "w").close()
                release.wait(PATIENCE)

            for number in range(8):
                # More than there are threads.
                self.loop.run_in_executor(None, job, number, callback=results.append)
            self.run_until(lambda: len(os.listdir(folder)) == 5)
            self.assertEqual("True", self.in_child(self.run_job))
            release.set()
            self.run_until(lambda: len(results) == 8)
            self.assertEqual(["%d %d" % (number, os.getpid()) for number in range(8)],
                             sorted(os.listdir(folder)))

        def test_b290_an_executor_that_was_passed_stays(self):
            class Inline(object):
                submitted = []

                def submit(self, function):
                    self.submitted.append(function)
                    future = Future()
                    future.set_result(function())
                    return future

            self.loop.set_default_executor(Inline())
            self.assertEqual("[True, 1]", self.in_child(
                lambda: [self.run_job(), len(Inline.submitted)]))


class DatabasePoolAfterForkTest(ForkCase, ResolverCase):
    def setUp(self):
        super(DatabasePoolAfterForkTest, self).setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.pool = database.Pool("sqlite:///%s/test.db" % folder, threads=1)
        self.addCleanup(self.close)
        self.ask(self.pool.execute, "CREATE TABLE things (x INTEGER)")

    def close(self):
        ended = []
        self.pool.close(lambda: ended.append(True))
        self.run_until(lambda: ended)

    def ask(self, *args, **options):
        return answer_of(self.loop, *args, **options)

    def in_a_child_with_a_loop(self, function):
        def run():
            loop = self.pool.io_loop = IOLoop(make_current=True)
            return function(loop)
        return self.in_child(run)

    def test_b290_jobs_of_a_child(self):
        self.assertEqual("1", self.in_a_child_with_a_loop(
            lambda loop: answer_of(loop, self.pool.execute_rowcount,
                                   "INSERT INTO things VALUES (5)")))
        self.assertEqual([5], [row.x for row in self.ask(self.pool.query, "SELECT * FROM things")])

    def test_b290_jobs_of_the_parent_are_done_once(self):
        begun, go_on, results = threading.Event(), threading.Event(), []
        self.addCleanup(go_on.set)

        def insert(number):
            def job(db):
                begun.set()
                go_on.wait(PATIENCE)
                db.execute("INSERT INTO things VALUES (%s)", number)
            return job

        for number in (1, 2):
            self.pool.run(insert(number), callback=results.append)
        begun.wait(PATIENCE)
        # One is being done, and one waits.
        self.assertEqual("1", self.in_a_child_with_a_loop(
            lambda loop: answer_of(loop, self.pool.execute_rowcount,
                                   "INSERT INTO things VALUES (5)")))
        go_on.set()
        self.run_until(lambda: len(results) == 2)
        self.assertEqual([5, 1, 2], [row.x for row in self.ask(
            self.pool.query, "SELECT * FROM things ORDER BY rowid")])

    def test_b290_a_fork_while_a_thread_of_the_pool_has_its_lock(self):
        held, release = threading.Event(), threading.Event()

        def hold():
            with self.pool._ready:
                held.set()
                release.wait(PATIENCE)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(PATIENCE)
        try:
            self.assertEqual("[]", self.in_a_child_with_a_loop(
                lambda loop: answer_of(loop, self.pool.query, "SELECT * FROM things")))
        finally:
            release.set()
            holder.join()

    def test_b290_closed_in_a_child(self):
        def close(loop):
            ended = []
            self.pool.close(lambda: ended.append(True))
            loop.run_once(PATIENCE)
            return ended
        self.assertEqual("[True]", self.in_a_child_with_a_loop(close))
        self.assertEqual([], self.ask(self.pool.query, "SELECT * FROM things"))


class NoThreadTest(ResolverCase):
    def test_b289_a_pool_that_can_start_no_thread(self):
        pool = database.Pool("sqlite://:memory:")
        ended = []
        with no_threads():
            try:
                error = answer_of(self.loop, pool.query, "SELECT 1")
            except Exception as caught:
                error = caught
        self.assertIsInstance(error, database.Unavailable)
        pool.close(lambda: ended.append(True))
        self.run_until(lambda: ended)

    def test_b289_closing_a_pool_takes_no_thread(self):
        pool = database.Pool("sqlite://:memory:")
        answer_of(self.loop, pool.query, "SELECT 1")
        ended = []
        with no_threads():
            try:
                pool.close(lambda: ended.append(True))
            except Exception as error:
                self.fail(repr(error))
        self.run_until(lambda: ended)
