from __future__ import absolute_import, division, print_function

import functools
import unittest

from friendserve.callbacks import after_all, chain
from friendserve.ioloop import IOLoop
from friendserve.netutil import Resolver
from friendserve.stack_context import ExceptionStackContext
from tests.loopcase import LoopCase


class CallbacksCase(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop(make_current=True)
        self.addCleanup(self.loop.close)
        self.log = []

    def note(self, *args):
        self.log.append(args)

    def caught(self, function, *args, **kwargs):
        """The exceptions that reach the stack context of this call."""
        caught = []

        def handle(type, value, tb):
            caught.append(value)
            return True

        with ExceptionStackContext(handle):
            function(*args, **kwargs)
        return caught


class AfterAllTest(CallbacksCase):
    def test_results_come_in_the_order_of_the_list(self):
        first, second, third = after_all(3, self.note)
        third("c", "d")
        first("a")
        self.assertEqual([], self.log)
        second()
        self.assertEqual([("a", None, ("c", "d"))], self.log)

    def test_none(self):
        self.assertEqual([], after_all(0, self.note))
        self.assertEqual([], self.log)
        self.loop.run_once(0)
        self.assertEqual([()], self.log)

    def test_the_first_error_ends_it(self):
        errors = []
        first, second, third = after_all(3, self.note, errors.append)
        first("a")
        second.on_error("no")
        third.on_error("too")
        third("c")
        self.assertEqual((["no"], []), (errors, self.log))

    def test_an_error_without_on_error_is_raised_in_the_context(self):
        parts = []
        caught = self.caught(lambda: parts.extend(after_all(2, self.note)))
        error = KeyError("k")
        parts[0].on_error(error)
        self.assertEqual([error], caught)

    def test_the_callback_runs_in_the_context(self):
        parts = []
        caught = self.caught(lambda: parts.extend(after_all(1, lambda result: 1 / 0)))
        parts[0]()
        self.assertIsInstance(caught[0], ZeroDivisionError)

    def test_misuse(self):
        first, second = after_all(2, self.note)
        first()
        self.assertRaises(RuntimeError, first)
        self.assertRaises(ValueError, after_all, -1, self.note)

    def test_with_look_ups(self):
        resolver = Resolver()
        self.addCleanup(resolver.close)
        for port, part in zip((80, 81), after_all(2, self.note)):
            resolver.resolve("127.0.0.1", port, callback=part, on_error=part.on_error)
        self.run_until(lambda: self.log)
        self.assertEqual([80, 81], [addresses[0][1][1] for addresses in self.log[0]])


class ChainTest(CallbacksCase):
    def later(self, *args, **kwargs):
        self.loop.call_later(0.001, functools.partial(kwargs["callback"], *args))

    def test_steps(self):
        chain(functools.partial(self.later, 1, 2),
              lambda a, b, callback: self.later(a + b, callback=callback),
              lambda c, callback: self.later(c * 2, callback=callback),
              callback=self.note)
        self.run_until(lambda: self.log)
        self.assertEqual([(6,)], self.log)

    def test_without_a_callback(self):
        chain(self.later, lambda callback: self.note(callback))
        self.run_until(lambda: self.log)
        self.assertEqual([(None,)], self.log)

    def test_errors(self):
        def fail(callback, on_error):
            self.loop.add_callback(on_error, "no")

        errors = []
        chain(fail, self.later, callback=self.note, on_error=errors.append)
        self.run_until(lambda: errors)
        self.assertEqual((["no"], []), (errors, self.log))

    def test_exceptions_reach_the_context(self):
        caught = self.caught(chain, self.later, lambda callback: 1 / 0)
        self.run_until(lambda: caught)
        self.assertIsInstance(caught[0], ZeroDivisionError)

    def test_misuse(self):
        self.assertRaises(TypeError, chain)
        self.assertRaises(TypeError, chain, self.later, callbak=self.note)
