"""Callbacks of the loop that are coroutines."""
from __future__ import absolute_import, division, print_function

import logging
import sys
import textwrap
import unittest

from friendserve import gen
from friendserve.concurrent import Future
from friendserve.ioloop import IOLoop, PeriodicCallback
from friendserve.stack_context import ExceptionStackContext
from tests.loopcase import LogCatcher, Loops

NATIVE = textwrap.dedent("""
    async def note(value):
        await soon()
        log.append(value)

    async def fail(value=None):
        await soon()
        raise KeyError("late")

    async def fail_at_once():
        raise KeyError("early")
""")


class CoroutineCallbacksTest(Loops, unittest.TestCase):
    def setUp(self):
        self.loop = self.make_loop(make_current=True)
        self.addCleanup(IOLoop.clear_current)
        self.log = []

    def soon(self):
        future = Future()
        self.loop.call_later(0.001, future.set_result, None)
        return future

    def errors(self, schedule):
        """The errors that are logged until there is one."""
        with LogCatcher(level=logging.ERROR) as records:
            schedule()
            self.run_until(lambda: records)
            self.loop.run_once(0.005)
        return [record.exc_info[1].args for record in records]

    def test_generators(self):
        @gen.coroutine
        def fail():
            yield self.soon()
            raise KeyError("late")

        self.assertEqual([("late",)], self.errors(lambda: self.loop.add_callback(fail)))

    if sys.version_info >= (3,):  # version: py2
        def names(self):
            names = {"soon": self.soon, "log": self.log}
            exec(NATIVE, names)
            return names

        def test_they_run(self):
            note = self.names()["note"]
            self.loop.add_callback(note, "callback")
            self.loop.spawn_callback(note, "spawned")
            self.loop.call_later(0, note, "timer")
            self.loop.add_timeout(self.loop.time(), note, "timeout")
            self.loop.add_future(self.soon(), note)
            periodic = PeriodicCallback(lambda: note("periodic"), 1)
            periodic.start()
            self.run_until(lambda: len(set(map(str, self.log))) == 6)
            periodic.stop()

        def test_they_run_in_debug_mode(self):
            self.loop.set_debug(True)
            self.test_they_run()

        def test_errors_are_reported_once(self):
            names = self.names()
            for name, text in (("fail", "late"), ("fail_at_once", "early")):
                self.assertEqual([(text,)], self.errors(
                    lambda: self.loop.add_callback(names[name])))
                self.assertEqual([(text,)], self.errors(
                    lambda: self.loop.call_later(0, names[name])))

        def test_errors_reach_the_context_of_the_callback(self):
            names = self.names()

            def failed(type, value, tb):
                self.log.append(value.args)
                return True

            for debug in (False, True):
                self.loop.set_debug(debug)
                with ExceptionStackContext(failed):
                    self.loop.add_callback(names["fail_at_once"])
                    self.loop.add_callback(names["fail"], 1)
                    self.loop.call_later(0, names["fail"], 2)
                with LogCatcher(level=logging.ERROR) as records:
                    self.run_until(lambda: len(self.log) == 3)
                self.assertEqual([], records)
                # On PyPy the garbage collector decides which comes first.
                self.assertEqual([("early",), ("late",), ("late",)], sorted(self.log))
                del self.log[:]


if __name__ == "__main__":
    unittest.main()
