from __future__ import absolute_import, division, print_function

import gc
import sys
import threading
import unittest

import six

from friendserve.awaitable import DONE, Outcome, as_future, failed, future_of, is_awaitable
from friendserve.concurrent import (
    DummyExecutor, Future, ReturnValueIgnoredError, chain_future, dummy_executor,
    future_add_done_callback, future_set_exc_info, future_set_result_unless_cancelled, is_future,
    return_future, run_on_executor)
from friendserve.ioloop import IOLoop, TimeoutError
from friendserve.stack_context import ExceptionStackContext
from tests import missing
from tests.loopcase import LogCatcher, LoopCase

try:
    from concurrent.futures import ThreadPoolExecutor
except ImportError:  # version: py2
    ThreadPoolExecutor = None


class FutureCase(LoopCase, unittest.TestCase):
    def setUp(self):
        self.loop = IOLoop(make_current=True)
        self.addCleanup(self.loop.close)
        self.log = []

    def later(self, function, *args):
        self.loop.call_later(0.001, function, *args)


class FutureTest(FutureCase):
    def test_a_result(self):
        future = Future()
        self.assertEqual((False, True, False, False), (
            future.done(), future.running(), future.cancel(), future.cancelled()))
        for ask in (future.result, future.exception, future.exc_info):
            with self.assertRaises(RuntimeError):
                ask()
        future.set_result(5)
        self.assertEqual((True, False, 5, None, None), (
            future.done(), future.running(), future.result(), future.exception(),
            future.exc_info()))
        for set_again in (future.set_result, future.set_exception):
            with self.assertRaises(RuntimeError):
                set_again(ValueError())
        self.assertEqual(5, future.result())

    def test_an_exception_keeps_its_traceback(self):
        future = Future()
        try:
            raise ValueError("no")
        except ValueError as error:
            first = error
            future.set_exc_info(sys.exc_info())
        self.assertIs(first, future.exception())
        with self.assertRaises(ValueError) as caught:
            future.result()
        self.assertIs(first, caught.exception)
        self.assertIs(first, future.exc_info()[1])
        self.assertIsNotNone(future.exc_info()[2])

    def test_callbacks_are_called_by_the_loop_in_order(self):
        future = Future()
        for number in range(3):
            future.add_done_callback(lambda future, number=number: self.log.append(number))
        future.set_result(None)
        future.add_done_callback(lambda future: self.log.append(3))
        self.assertEqual([], self.log)
        self.loop.run_once()
        self.assertEqual([0, 1, 2, 3], self.log)

    def test_a_callback_runs_in_the_context_in_which_it_was_added(self):
        future = Future()

        def failed(type, value, tb):
            self.log.append(str(value))
            return True

        with ExceptionStackContext(failed):
            future.add_done_callback(lambda future: 1 / 0)
        future.set_result(None)
        self.loop.run_once()
        self.assertEqual(1, len(self.log))

    def test_an_answer_from_another_thread(self):
        future = Future()
        future.add_done_callback(lambda future: self.log.append(threading.current_thread()))
        thread = threading.Thread(target=future.set_result, args=(1,))
        thread.start()
        thread.join()
        self.run_until(lambda: self.log)
        self.assertEqual([threading.current_thread()], self.log)

    def test_an_error_never_taken_is_raised_in_the_context_of_the_call(self):
        def handle(type, value, tb):
            self.log.append(value)
            return True

        error = ValueError("dropped")
        with ExceptionStackContext(handle):
            future = future_of(lambda callback, on_error: self.later(on_error, error))
        del future
        gc.collect()
        self.run_until(lambda: self.loop.add_callback(gc.collect) or self.log)
        self.assertEqual([error], self.log)

    def test_an_error_that_was_taken_is_not_raised(self):
        with LogCatcher() as records:
            for take in (Future.exception, Future.exc_info, lambda future: future.result):
                future = Future()
                future.set_exception(ValueError("taken"))
                try:
                    take(future)
                    future.result()
                except ValueError:
                    pass
                del future
            gc.collect()
            self.loop.run_once()
        self.assertEqual([], [record.message for record in records])

    def test_an_error_dropped_outside_of_the_loop_is_logged(self):
        gc.collect()
        with LogCatcher() as records:
            Future().set_exception(ValueError("dropped"))
            gc.collect()
        self.assertEqual(["ERROR"], [record.levelname for record in records])

    def test_chain_and_helpers(self):
        first, second = Future(), Future()
        chain_future(first, second)
        first.set_result(3)
        self.loop.run_once()
        self.assertEqual(3, second.result())
        chain_future(first, second)     # it has its outcome already
        self.loop.run_once()
        failing, last = Future(), Future()
        chain_future(failing, last)
        future_set_exc_info(failing, (KeyError, KeyError("k"), None))
        self.loop.run_once()
        self.assertIsInstance(last.exception(), KeyError)
        future_set_result_unless_cancelled(Future(), 1)
        future_add_done_callback(first, self.log.append)
        self.assertEqual([first], self.log)
        self.assertTrue(is_future(first))
        self.assertFalse(is_future(5))

    def test_repr_tells_the_state(self):
        future = Future()
        self.assertEqual("<Future pending>", repr(future))
        future.set_result(None)
        self.assertEqual("<Future done>", repr(future))


class LoopTest(FutureCase):
    def test_add_future(self):
        future = Future()
        self.loop.add_future(future, self.log.append)
        self.later(future.set_result, 1)
        self.run_until(lambda: self.log)
        self.assertEqual([future], self.log)

    def test_run_sync(self):
        self.assertEqual(5, self.loop.run_sync(lambda: 5))
        self.assertIsNone(self.loop.run_sync(lambda: None))
        future = Future()
        self.later(future.set_result, 7)
        self.assertEqual(7, self.loop.run_sync(lambda: future))
        with self.assertRaises(ZeroDivisionError):
            self.loop.run_sync(lambda: 1 // 0)
        failing = Future()
        self.later(failing.set_exception, KeyError("k"))
        with self.assertRaises(KeyError):
            self.loop.run_sync(lambda: failing)

    def test_run_sync_does_not_stop_the_loop_of_others(self):
        def inner():
            with self.assertRaises(RuntimeError):
                self.loop.run_sync(lambda: None)

        self.loop.run_sync(inner)
        late, future = Future(), Future()
        with self.assertRaises(TimeoutError):
            self.loop.run_sync(lambda: late, timeout=0.001)
        self.loop.add_callback(late.set_result, None)
        self.loop.call_later(0.005, future.set_result, 3)
        self.assertEqual(3, self.loop.run_sync(lambda: future))

    def test_run_sync_ends_in_time(self):
        with self.assertRaises(TimeoutError):
            self.loop.run_sync(Future, timeout=0.001)
        self.later(self.loop.stop)
        with self.assertRaises(RuntimeError):
            self.loop.run_sync(Future)
        self.assertEqual(1, self.loop.run_sync(lambda: 1, timeout=0.001))
        # The timer of a call that has ended does not stop a later one.
        future = Future()
        self.loop.call_later(0.01, future.set_result, 2)
        self.assertEqual(2, self.loop.run_sync(lambda: future))

    @unittest.skipIf(ThreadPoolExecutor is None, missing("futures"))
    def test_run_in_executor(self):
        executor = ThreadPoolExecutor(1)
        self.addCleanup(executor.shutdown)
        run = self.loop.run_in_executor
        self.assertEqual(3, self.loop.run_sync(lambda: run(executor, lambda: 3)))
        with self.assertRaises(ZeroDivisionError):
            self.loop.run_sync(lambda: run(executor, lambda: 1 // 0))
        errors = []
        run(executor, lambda: 1 // 0, on_error=errors.append)
        self.run_until(lambda: errors)
        self.assertIsInstance(errors[0], ZeroDivisionError)

    @unittest.skipIf(ThreadPoolExecutor is None, missing("futures"))
    def test_run_on_executor(self):
        class Work(object):
            executor = ThreadPoolExecutor(1)
            other = DummyExecutor()

            @run_on_executor
            def where(self, n):
                return n, threading.current_thread()

            @run_on_executor(executor="other")
            def here(self):
                return threading.current_thread()

        work = Work()
        self.addCleanup(work.executor.shutdown)
        number, thread = self.loop.run_sync(lambda: work.where(4))
        self.assertEqual(4, number)
        self.assertIsNot(threading.current_thread(), thread)
        self.assertIs(threading.current_thread(), self.loop.run_sync(work.here))
        work.where(5, callback=self.log.append)
        self.run_until(lambda: self.log)
        self.assertEqual(5, self.log[0][0])
        with self.assertRaises(TypeError):
            run_on_executor(1, 2)

    def test_the_dummy_executor_runs_at_once(self):
        self.assertEqual(3, dummy_executor.submit(lambda: 3).result())
        self.assertIsInstance(dummy_executor.submit(lambda: 1 // 0).exception(),
                              ZeroDivisionError)
        dummy_executor.shutdown()


class AwaitableTest(FutureCase):
    def test_what_is_awaitable(self):
        for value in (Future(), DONE, Outcome()):
            self.assertTrue(is_awaitable(value))
        for value in (None, 5, "text", [], {"a": 1}):
            self.assertFalse(is_awaitable(value))

    def test_outcomes(self):
        self.assertIsNone(self.loop.run_sync(lambda: DONE))
        with self.assertRaises(KeyError):
            self.loop.run_sync(lambda: failed(KeyError("k")))
        early, late = Outcome(), Outcome()
        early.callback(1)
        self.assertEqual(1, self.loop.run_sync(lambda: early))
        self.later(late.callback, 2)
        self.assertEqual(2, self.loop.run_sync(lambda: late))

    def test_an_error_that_is_awaited_is_not_raised(self):
        outcome = Outcome()
        future = as_future(outcome)
        outcome.on_error(KeyError("k"))
        self.assertIsInstance(future.exception(), KeyError)
        with self.assertRaises(KeyError):
            Outcome().on_error(KeyError("k"))

    def test_done_callbacks_of_what_a_write_returns(self):
        DONE.add_done_callback(self.log.append)
        self.run_until(lambda: self.log)
        self.assertIsNone(self.log[0].result())


class ReturnFutureTest(FutureCase):
    def test_result_and_callback(self):
        @return_future
        def add(a, b, callback):
            self.later(callback, a + b)

        self.assertEqual(3, self.loop.run_sync(lambda: add(1, 2)))
        add(3, 4, callback=self.log.append)
        add(3, 5, self.log.append)
        self.run_until(lambda: len(self.log) == 2)
        self.assertEqual([7, 8], self.log)

    def test_exceptions(self):
        @return_future
        def at_once(callback):
            raise KeyError("now")

        @return_future
        def later(callback):
            self.later(six.next, iter([]))

        @return_future
        def wrong(callback):
            return 5

        for function, error in ((at_once, KeyError), (later, StopIteration),
                                (wrong, ReturnValueIgnoredError)):
            future = function()
            self.run_until(future.done)
            self.assertIsInstance(future.exception(), error)
