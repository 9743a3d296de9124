# coding: utf-8
"""The resolvers: which addresses they find, in which thread, and what they cache."""
from __future__ import absolute_import, division, print_function

import socket
import subprocess
import sys
import textwrap
import threading

from friendserve.ioloop import IOLoop
from friendserve.ioloop.interface import ThreadPoolExecutor
from friendserve.netutil import (
    BlockingResolver, CachedResolver, DefaultExecutorResolver, ExecutorResolver, OverrideResolver,
    Resolver, ThreadedResolver, resolver as resolver_module)
from tests import PATIENCE, ROOT
from tests.resolvercase import FakeSocketModule, ResolverCase, ResolverContract


class BlockingResolverTest(ResolverContract, ResolverCase):
    resolver_class = BlockingResolver


class ThreadedResolverTest(ResolverContract, ResolverCase):
    resolver_class = ThreadedResolver


if ThreadPoolExecutor is not None:
    class ExecutorResolverTest(ResolverContract, ResolverCase):
        def make_resolver(self):
            return ExecutorResolver(executor=ThreadPoolExecutor(2))

    class DefaultExecutorResolverTest(ResolverContract, ResolverCase):
        resolver_class = DefaultExecutorResolver


class WhereTest(ResolverCase):
    def slow_look_ups(self):
        """Let every look-up wait; return the function that ends the wait."""
        gate = threading.Event()
        original = socket.getaddrinfo
        self.threads = []

        def getaddrinfo(host, *args):
            self.threads.append(threading.current_thread())
            if host == "slow.test":
                gate.wait(PATIENCE)
                host = "127.0.0.1"
            return original(host, *args)

        resolver_module.socket = FakeSocketModule(getaddrinfo)
        self.addCleanup(setattr, resolver_module, "socket", socket)
        self.addCleanup(gate.set)
        return gate.set

    def test_b220_the_loop_goes_on_during_a_look_up(self):
        release = self.slow_look_ups()
        resolver = ThreadedResolver(num_threads=2)
        slow, quick = [], []
        resolver.resolve("slow.test", 80, callback=slow.append)
        resolver.resolve("localhost", 80, callback=quick.append)
        self.run_until(lambda: quick)
        self.assertEqual(slow, [])
        release()
        self.run_until(lambda: slow)
        self.assertNotIn(threading.current_thread(), self.threads)

    def test_no_more_threads_than_allowed(self):
        release = self.slow_look_ups()
        resolver = ThreadedResolver(num_threads=3)
        found = []
        for _ in range(10):
            resolver.resolve("slow.test", 80, callback=found.append)
        self.run_until(lambda: len(self.threads) == 3)
        release()
        self.run_until(lambda: len(found) == 10)
        self.assertEqual(len(set(self.threads)), 3)

    def test_b221_an_address_needs_no_thread(self):
        self.slow_look_ups()
        self.resolve(ThreadedResolver(), "127.0.0.1", 80)
        self.assertEqual(self.threads, [threading.current_thread()])

    def test_b220_closing_the_loop_does_not_wait_for_a_look_up(self):
        release = self.slow_look_ups()
        loop = IOLoop(make_current=False)
        resolver = ThreadedResolver(io_loop=loop)
        resolver.resolve("slow.test", 80, callback=self.fail)
        self.run_until(lambda: self.threads)
        resolver.close()
        loop.close()
        release()
        # The thread continues with other look-ups.
        self.resolve(ThreadedResolver(), "localhost", 80)

    def run_program(self, text):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], cwd=ROOT,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate()[0]
        self.assertEqual(process.returncode, 0, output)
        return output.decode("utf-8")

    def test_b220_the_end_of_the_process_does_not_wait_for_a_look_up(self):
        self.run_program("""
            import socket, threading, time
            asked = threading.Event()
            def getaddrinfo(*args):
                asked.set()
                time.sleep(300)
            socket.getaddrinfo = getaddrinfo
            from friendserve.netutil import Resolver
            Resolver().resolve("slow.test", 80)
            assert asked.wait(20)
        """)

    def test_b222_look_ups_end_while_a_module_is_imported(self):
        self.run_program("""
            import os, sys, tempfile
            folder = tempfile.mkdtemp()
            path = os.path.join(folder, "importing.py")
            with open(path, "w") as file:
                file.write('''
            from friendserve.ioloop import IOLoop
            from friendserve.netutil import Resolver
            found = []
            loop = IOLoop.current()
            Resolver().resolve(u"localhost", 80, callback=lambda a: (found.append(a), loop.stop()))
            loop.start()
            '''.replace("            ", ""))
            sys.path.insert(0, folder)
            import importing
            os.remove(path)
            assert importing.found
        """)


class CountingResolver(Resolver):
    """Finds an address for every name, and records the look-ups."""
    def initialize(self, io_loop=None):
        super(CountingResolver, self).initialize(io_loop)
        self.asked = []
        self.closed = False

    def resolve(self, host, port, family=socket.AF_UNSPEC, callback=None, on_error=None):
        self.asked.append((host, port))
        if host == "bad.test":
            self.io_loop.add_callback(on_error, socket.gaierror("no"))
        else:
            self.io_loop.add_callback(callback, [(socket.AF_INET, ("127.0.0.1", port))])

    def close(self):
        self.closed = True


class WrappingTest(ResolverCase):
    def test_override(self):
        inner = CountingResolver()
        resolver = OverrideResolver(inner, {
            "a.test": "b.test", ("a.test", 443): ("c.test", 8443),
            ("a.test", 444, socket.AF_INET6): ("d.test", 1)})
        for host, port, family in (("a.test", 80, socket.AF_UNSPEC),
                                   ("a.test", 443, socket.AF_UNSPEC),
                                   ("a.test", 444, socket.AF_INET6),
                                   ("x.test", 80, socket.AF_UNSPEC)):
            self.resolve(resolver, host, port, family)
        self.assertEqual(inner.asked, [("b.test", 80), ("c.test", 8443), ("d.test", 1),
                                       ("x.test", 80)])
        resolver.close()
        self.assertTrue(inner.closed)

    def test_cache(self):
        inner = CountingResolver()
        resolver = CachedResolver(inner, ttl=1000)
        for _ in range(3):
            self.assertEqual(self.resolve(resolver, "a.test", 80)[0],
                             [(socket.AF_INET, ("127.0.0.1", 80))])
        self.assertEqual(len(inner.asked), 1)
        self.resolve(resolver, "a.test", 81)
        self.assertEqual(len(inner.asked), 2)
        for _ in range(2):
            self.assertIsNotNone(self.resolve(resolver, "bad.test", 80)[1])
        self.assertEqual(len(inner.asked), 4)
        resolver.ttl = 0
        self.resolve(resolver, "new.test", 80)
        self.resolve(resolver, "new.test", 80)
        self.assertEqual(len(inner.asked), 6)
        resolver.close()

    def test_a215_the_cache_is_bounded(self):
        inner = CountingResolver()
        resolver = CachedResolver(inner)
        done = []
        for number in range(100000):
            resolver.resolve("%d.test" % number, 80, callback=done.append)
            if number % 1000 == 999:
                self.turn()
        self.run_until(lambda: len(done) == 100000)
        self.assertEqual(len(resolver), 1000)
        self.resolve(resolver, "99999.test", 80)
        self.assertEqual(len(inner.asked), 100000)

    def test_configure(self):
        self.assertIsInstance(Resolver(), ThreadedResolver)
        Resolver.configure(BlockingResolver)
        self.addCleanup(Resolver.configure, None)
        self.assertIsInstance(Resolver(), BlockingResolver)
