"""B329: look-ups that hang do not stop others."""
from __future__ import absolute_import, division, print_function

import socket
import threading
import weakref

from friendserve.netutil import ThreadedResolver, resolver as resolver_module
from tests import PATIENCE
from tests.resolvercase import FakeSocketModule, ResolverCase


class HangingTest(ResolverCase):
    def setUp(self):
        super(HangingTest, self).setUp()
        self.gate = gate = threading.Event()
        self.threads = threads = []
        original = socket.getaddrinfo

        def getaddrinfo(host, *args):
            threads.append(threading.current_thread())
            if host.startswith("hangs"):
                gate.wait(2 * PATIENCE)
            return original("127.0.0.1", *args)

        resolver_module.socket = FakeSocketModule(getaddrinfo)
        self.addCleanup(setattr, resolver_module, "socket", socket)
        self.addCleanup(gate.set)
        self.found = []

    def ask(self, resolver, host):
        resolver.resolve(host, 80, socket.AF_INET, callback=lambda found: self.found.append(host))

    def test_b329_a_look_up_that_waits_for_hanging_ones_gets_a_thread(self):
        resolver = ThreadedResolver()
        hanging = ["hangs%d.test" % number for number in range(25)]
        for host in hanging:
            self.ask(resolver, host)
        self.ask(resolver, "quick.test")
        self.run_until(lambda: self.found)
        self.assertEqual(["quick.test"], self.found)
        self.gate.set()
        self.run_until(lambda: len(self.found) == 26)
        self.assertEqual(set(hanging), set(self.found[1:]))
        # The threads in place of those that hung have ended.
        self.run_until(lambda: sum(thread.is_alive() for thread in set(self.threads)) <= 10)

    def test_b329_the_number_of_threads_that_hang_is_bounded(self):
        resolver = ThreadedResolver(num_threads=1)
        self.addCleanup(setattr, resolver_module, "HANGS_AFTER",
                        getattr(resolver_module, "HANGS_AFTER", None))
        resolver_module.HANGS_AFTER = 0.01
        for number in range(12):
            self.ask(resolver, "hangs%d.test" % number)
        self.run_until(lambda: len(self.threads) == 10)
        self.turn(0.02, 5)
        self.assertEqual(10, len(set(self.threads)))
        self.assertEqual([], self.found)
        self.gate.set()
        self.run_until(lambda: len(self.found) == 12)

    def test_a_thread_does_not_keep_what_it_was_started_for(self):
        class Callback(object):
            def __call__(self, found):
                calls.append(found)

        calls = []
        callback = Callback()
        kept = weakref.ref(callback)
        # A number of threads that no other test uses, so that a thread is started.
        ThreadedResolver(num_threads=13).resolve("quick.test", 80, socket.AF_INET,
                                                 callback=callback)
        del callback
        self.run_until(lambda: calls)
        self.run_until(lambda: kept() is None)
